namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// Attention to a smaller map as plain loops. Parameters have the official names: `q`, `kv`, `sr`, `norm`, `proj`; biases of
/// `q` and `kv` are there where the parameters have them. The epsilon is that of the norm of keys and values.
module Reduced =
    /// Every token of `x` attends to all of the tokens that keys and values are projected from.
    let private attendTo<'T when 'T :> INumeric<'T>>
        heads
        (parameters: Parameters<'T>)
        (smaller: NdArray<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let channels = x.Shape[3]
        let depth = channels / heads
        let queries = x |> perToken (apply parameters [ "q" ])
        // All heads' keys first, then all heads' values.
        let projected = smaller |> perToken (apply parameters [ "kv" ])

        let attend b y x =
            let others =
                [| for row in 0 .. smaller.Shape[1] - 1 do
                       for column in 0 .. smaller.Shape[2] - 1 -> token projected b row column |]

            let noBias: 'T array = Array.create others.Length (constant 0.0)

            Array.concat
                [ for n in 0 .. heads - 1 ->
                      Attending.attend
                          (Attending.head depth n (token queries b y x))
                          (others |> Array.map (Attending.head depth n))
                          noBias
                          (others |> Array.map (Attending.head depth (heads + n))) ]

        NdArray.ofArray
            x.Shape
            [| for b in 0 .. x.Shape[0] - 1 do
                   for y in 0 .. x.Shape[1] - 1 do
                       for x in 0 .. x.Shape[2] - 1 do
                           yield! attend b y x |]
        |> perToken (apply parameters [ "proj" ])

    /// PVT's spatial reduction: patches of `reduction²` tokens, zeros beyond the map; a reduction of 1 leaves it as it is.
    let spatial<'T when 'T :> INumeric<'T>>
        epsilon
        heads
        reduction
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let reduced () =
            let weight, bias = parameter "sr.weight" parameters, parameter "sr.bias" parameters
            let channels = x.Shape[3]

            let patch b row column =
                Array.init channels (fun o ->
                    let product: 'T =
                        total
                            [ for y in 0 .. reduction - 1 do
                                  for across in 0 .. reduction - 1 do
                                      let token =
                                          Attending.tokenOrZero
                                              x
                                              b
                                              (row * reduction + y)
                                              (column * reduction + across)

                                      sum channels (fun c -> weight[o, c, y, across] * token[c]) ]

                    product + bias[o])
                |> Attending.layerNorm epsilon "norm" parameters

            let rows = (x.Shape[1] + reduction - 1) / reduction
            let columns = (x.Shape[2] + reduction - 1) / reduction

            NdArray.ofArray
                [ x.Shape[0]; rows; columns; channels ]
                [| for b in 0 .. x.Shape[0] - 1 do
                       for row in 0 .. rows - 1 do
                           for column in 0 .. columns - 1 do
                               yield! patch b row column |]

        attendTo heads parameters (if reduction = 1 then x else reduced ()) x

    /// PVTv2's linear reduction: the averages of `pool²` cells, which overlap where `pool` does not divide the map.
    let pooled<'T when 'T :> INumeric<'T>>
        epsilon
        heads
        pool
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let weight, bias = parameter "sr.weight" parameters, parameter "sr.bias" parameters
        let channels = x.Shape[3]

        /// The places of a cell: from the rounded-down to the rounded-up border.
        let cell length i =
            [ i * length / pool .. ((i + 1) * length + pool - 1) / pool - 1 ]

        let reduced b row column =
            let tokens =
                [| for y in cell x.Shape[1] row do
                       for across in cell x.Shape[2] column -> token x b y across |]

            let share = constant<'T>(1.0 / float tokens.Length)

            let average =
                Array.init channels (fun c -> share * sum tokens.Length (fun t -> tokens[t][c]))

            Array.init channels (fun o -> bias[o] + sum channels (fun c -> weight[o, c, 0, 0] * average[c]))
            |> Attending.layerNorm epsilon "norm" parameters
            |> Array.map Attending.gelu

        let smaller =
            NdArray.ofArray
                [ x.Shape[0]; pool; pool; channels ]
                [| for b in 0 .. x.Shape[0] - 1 do
                       for row in 0 .. pool - 1 do
                           for column in 0 .. pool - 1 do
                               yield! reduced b row column |]

        attendTo heads parameters smaller x
