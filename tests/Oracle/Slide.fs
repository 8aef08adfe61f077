namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// What stands outside the map.
[<RequireQualifiedAccess>]
type SlidePadding =
    | Zeros
    | Circular
    | Reflect
    | Replicate

/// A Slide Attention layer. `qkv.bias` is there where the parameters have it.
type Slide =
    {
        Heads: int
        /// The odd side of the window.
        Window: int
        Padding: SlidePadding
        /// Whether the learned convolution `dep_conv1` is added to the fixed shifts.
        Deformed: bool
        /// The factor of the logits; none for 1/√d.
        Scale: float option
    }

/// Slide Attention as plain loops. Parameters have PyTorch's names: `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`,
/// `dep_conv.weight`, `dep_conv.bias`, `dep_conv1.weight`, `dep_conv1.bias`, `relative_position_bias_table`.
module Slide =
    /// Zero padding, deformed, the usual factor.
    let create heads window =
        { Heads = heads
          Window = window
          Padding = SlidePadding.Zeros
          Deformed = true
          Scale = None }

    /// The row or column that stands at a place outside, or inside, `0 .. length - 1`; none for a zero.
    let place padding length position =
        if position >= 0 && position < length then
            Some position
        else
            match padding with
            | SlidePadding.Zeros -> None
            | SlidePadding.Circular -> Some(((position % length) + length) % length)
            | SlidePadding.Replicate -> Some(max 0 (min (length - 1) position))
            | SlidePadding.Reflect ->
                Some(
                    if position < 0 then
                        -position
                    else
                        2 * (length - 1) - position
                )

    /// The fixed weights of `dep_conv` for a depth and a window: sample `j` of a channel is its `j`-th neighbour.
    let shiftWeights depth window =
        NdArray.init [| depth * window * window; 1; window; window |] (fun index ->
            if index[0] % (window * window) = index[2] * window + index[3] then
                1.0
            else
                0.0)

    /// The output `[B, H, W, C]` for a map of that shape.
    let forward<'T when 'T :> INumeric<'T>>
        (layer: Slide)
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let batch, height, width, channels = x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
        let depth = channels / layer.Heads
        let side, radius = layer.Window, (layer.Window - 1) / 2
        let area = side * side
        let factor = constant<'T>(defaultArg layer.Scale (1.0 / sqrt (float depth)))
        let rpb = parameter "relative_position_bias_table" parameters
        let qkv = x |> perToken (apply parameters [ "qkv" ])
        let project = apply parameters [ "proj" ]

        let convolutions =
            [ "dep_conv"
              if layer.Deformed then
                  "dep_conv1" ]
            |> List.map (fun name ->
                parameter (name + ".weight") parameters, parameter (name + ".bias") parameters)

        /// Sample `j` around a token of the channel `channel` of `qkv`, which is channel `c` of its head.
        let sample b y x channel c j : 'T =
            total (
                seq {
                    for weight, bias in convolutions do
                        bias[c * area + j]

                        for t in 0 .. area - 1 do
                            let row = place layer.Padding height (y + t / side - radius)
                            let column = place layer.Padding width (x + t % side - radius)

                            match row, column with
                            | Some row, Some column ->
                                weight[c * area + j, 0, t / side, t % side] * qkv[b, row, column, channel]
                            | _ -> ()
                }
            )

        let attend b y x n : 'T array =
            let q, k, v = n * 3 * depth, n * 3 * depth + depth, n * 3 * depth + 2 * depth

            let logits =
                Array.init area (fun j ->
                    let bias = rpb.At [| 0; n; 0; j; 0; 0 |]
                    sum depth (fun c -> qkv[b, y, x, q + c] * (factor * (sample b y x (k + c) c j + bias))))

            let weights = softmax logits
            Array.init depth (fun c -> sum area (fun j -> weights[j] * sample b y x (v + c) c j))

        let tokens =
            [| for b in 0 .. batch - 1 do
                   for y in 0 .. height - 1 do
                       for x in 0 .. width - 1 do
                           project (Array.concat [ for n in 0 .. layer.Heads - 1 -> attend b y x n ]) |]

        NdArray.ofArray [ batch; height; width; tokens[0].Length ] (Array.concat tokens)
