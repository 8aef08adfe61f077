namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// In which order the joint projection lays out queries, keys and values.
[<RequireQualifiedAccess>]
type QkvOrder =
    /// All queries, all keys, all values, each divided into heads: Swin.
    | QkvMajor
    /// For each head its query, key and value: QnA-ViT.
    | HeadMajor

/// Self-attention inside windows that divide the map.
type Window =
    {
        Heads: int
        /// Height and width of the window.
        Window: int * int
        /// How far the windows are shifted down and right; then tokens that were no neighbours do not attend to each other.
        Shift: int
        Order: QkvOrder
    }

/// Window attention as plain loops. Parameters have PyTorch's names (`qkv`, `proj`, `relative_position_bias_table`) or
/// Flax's (`to_qkv`, `to_out`, `rpe_bias`); biases are there where the parameters have them.
module Window =
    /// What Swin adds to the logit of two tokens that only the shift made neighbours: a weight of 4e-44 beside 1.
    let masked = -100.0

    /// A window that is not shifted, in Swin's order.
    let create heads window =
        { Heads = heads
          Window = window, window
          Shift = 0
          Order = QkvOrder.QkvMajor }

    /// Which of the three bands a place of the shifted map lies in: two tokens of a window are neighbours in the image
    /// when they lie in the same band in both directions.
    let private band length window shift position =
        if shift = 0 || position < length - window then 0
        elif position < length - shift then 1
        else 2

    /// The output `[B, H, W, C]` for a map of that shape, whose sides the window divides.
    let forward<'T when 'T :> INumeric<'T>>
        (layer: Window)
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let height, width, channels = x.Shape[1], x.Shape[2], x.Shape[3]
        let rows, columns = layer.Window

        if height % rows <> 0 || width % columns <> 0 then
            invalidArg (nameof x) $"Windows of {rows}×{columns} do not divide a map of {height}×{width}."

        let depth = channels / layer.Heads
        let factor = constant<'T>(1.0 / sqrt (float depth))
        let project = apply parameters [ "proj"; "to_out" ]

        let table =
            [ "relative_position_bias_table"; "rpe_bias" ]
            |> List.tryPick (fun name -> Map.tryFind name parameters)

        // The map is moved up and left, so that the shifted windows start at its corner, and back at the end.
        let qkv =
            x
            |> NdArray.roll -layer.Shift -layer.Shift
            |> perToken (apply parameters [ "qkv"; "to_qkv" ])

        /// The channel of part 0 (query), 1 (key) or 2 (value) of a head.
        let channel part n c =
            match layer.Order with
            | QkvOrder.QkvMajor -> part * channels + n * depth + c
            | QkvOrder.HeadMajor -> n * 3 * depth + part * depth + c

        let attend b y x n : 'T array =
            let top, left = y / rows * rows, x / columns * columns

            let neighbours =
                [| for row in top .. top + rows - 1 do
                       for column in left .. left + columns - 1 -> row, column |]

            let logit (row, column) : 'T =
                let product =
                    sum depth (fun c ->
                        qkv[b, y, x, channel 0 n c] * (factor * qkv[b, row, column, channel 1 n c]))

                let bias =
                    match table with
                    | None -> constant 0.0
                    | Some table ->
                        table[(y - row + rows - 1) * (2 * columns - 1) + x - column + columns - 1, n]

                let apart =
                    band height rows layer.Shift y <> band height rows layer.Shift row
                    || band width columns layer.Shift x <> band width columns layer.Shift column

                product + (bias + constant (if apart then masked else 0.0))

            let weights = neighbours |> Array.map logit |> softmax

            Array.init depth (fun c ->
                sum neighbours.Length (fun t ->
                    let row, column = neighbours[t]
                    weights[t] * qkv[b, row, column, channel 2 n c]))

        let heads = [ 0 .. layer.Heads - 1 ]

        let shifted =
            NdArray.ofArray
                (Array.append x.Shape[0..2] [| channels |])
                [| for b in 0 .. x.Shape[0] - 1 do
                       for y in 0 .. height - 1 do
                           for x in 0 .. width - 1 do
                               for n in heads do
                                   yield! attend b y x n |]

        shifted |> perToken project |> NdArray.roll layer.Shift layer.Shift

/// Attention of all tokens to all tokens: one window that is the map, without relative bias unless the parameters have it.
module Global =
    /// The output `[B, H, W, C]` for a map of that shape.
    let forward<'T when 'T :> INumeric<'T>>
        heads
        order
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let window =
            { Heads = heads
              Window = x.Shape[1], x.Shape[2]
              Shift = 0
              Order = order }

        Window.forward window parameters x
