namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// Neighbourhood attention as plain loops. Parameters: `qkv`, `proj`, and `rpb` `[heads, 2k−1, 2k−1]` where there is a bias.
module Neighbourhood =
    /// The places that a place attends to along one side, each with its offset in steps of the dilation: of the places of its own
    /// residue, the window that is centred on it, moved as far as it must to lie inside.
    let neighbours length window dilation place =
        let sequence = [| place % dilation .. dilation .. length - 1 |]
        let own = System.Array.IndexOf(sequence, place)
        let first = max 0 (min (own - window / 2) (sequence.Length - window))
        [ for t in first .. first + window - 1 -> sequence[t], t - own ]

    /// The output `[B, H, W, C]`. A map shorter than `window·dilation` is extended by zeros, which are attended to.
    let forward<'T when 'T :> INumeric<'T>>
        heads
        window
        dilation
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let channels = x.Shape[3]
        let depth = channels / heads
        let height = max x.Shape[1] (window * dilation)
        let width = max x.Shape[2] (window * dilation)
        let table = Map.tryFind "rpb" parameters

        let projected =
            NdArray.ofArray
                [ x.Shape[0]; height; width; channels ]
                [| for b in 0 .. x.Shape[0] - 1 do
                       for y in 0 .. height - 1 do
                           for column in 0 .. width - 1 do
                               yield! Attending.tokenOrZero x b y column |]
            |> perToken (apply parameters [ "qkv" ])

        let attend b y x =
            let others =
                [| for row, down in neighbours height window dilation y do
                       for column, right in neighbours width window dilation x ->
                           token projected b row column, down, right |]

            let tokens = others |> Array.map (fun (token, _, _) -> token)

            let biases n : 'T array =
                others
                |> Array.map (fun (_, down, right) ->
                    match table with
                    | Some table -> table[n, down + window - 1, right + window - 1]
                    | None -> constant 0.0)

            Array.concat
                [ for n in 0 .. heads - 1 ->
                      Attending.attend
                          (Attending.head depth n (token projected b y x))
                          (tokens |> Array.map (Attending.head depth (heads + n)))
                          (biases n)
                          (tokens |> Array.map (Attending.head depth (2 * heads + n))) ]

        NdArray.ofArray
            x.Shape
            [| for b in 0 .. x.Shape[0] - 1 do
                   for y in 0 .. x.Shape[1] - 1 do
                       for column in 0 .. x.Shape[2] - 1 do
                           yield! attend b y column |]
        |> perToken (apply parameters [ "proj" ])
