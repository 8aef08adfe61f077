namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// The scale `A` in the numerator of QnA.
[<RequireQualifiedAccess>]
type QnaScale =
    | Normal
    | NormalElementwise
    | PositiveNegative
    | Ones
    | Average
    | None

/// The position bias `P` of QnA.
[<RequireQualifiedAccess>]
type QnaPosition =
    | Relative
    | Contextual
    | Absolute
    | None

/// What QnA does to the norm of each head's query.
[<RequireQualifiedAccess>]
type QnaNorm =
    | Free
    | Unit
    | UnitStopGradient
    | AtMost of float

/// A QnA layer. Biases are there where the parameters have them.
type Qna =
    {
        /// Channels of queries, keys and values.
        Features: int
        Heads: int
        /// Queries of one query set.
        Queries: int
        /// Height and width of the window.
        Window: int * int
        /// Zero rows and columns around the image, which only say where windows may start.
        Padding: int * int
        Stride: int
        /// `Upsampling²` query sets, arranged as pixel shuffle.
        Upsampling: int
        Scale: QnaScale
        Position: QnaPosition
        Norm: QnaNorm
        /// Whether the relative bias is divided by √d.
        ScaleBias: bool
    }

/// QnA as plain loops. Parameters have Flax's names: `query`, `Wk`, `Wk_b`, `to_v/kernel`, `to_v/bias`,
/// `to_out/kernel`, `to_out/bias`, `attn_scale_weights` or `attn_scale_pos`, `rpe_bias`, `rpe_bias/kernel` and
/// `rpe_bias/bias` (contextual) or `absolute_pos_embedding`.
module Qna =
    /// Two normalised queries, a learned scale and relative bias, stride 1, an odd window in the middle.
    let create features heads window =
        { Features = features
          Heads = heads
          Queries = 2
          Window = window, window
          Padding = (window - 1) / 2, (window - 1) / 2
          Stride = 1
          Upsampling = 1
          Scale = QnaScale.Normal
          Position = QnaPosition.Relative
          Norm = QnaNorm.Unit
          ScaleBias = false }

    /// The queries after normalisation, divided by √d: `q̂[i, n, c]`.
    let private preparedQueries<'T when 'T :> INumeric<'T>> (layer: Qna) (parameters: Parameters<'T>) =
        let query = parameter "query" parameters
        let depth = layer.Features / layer.Heads
        let one, tiny = constant<'T> 1.0, constant<'T> 1e-6

        // A function, so that it is only computed where it is asked for: its derivative at zero is infinite.
        let norm i n : 'T =
            squareRoot (sum depth (fun c -> query[i, n * depth + c] * query[i, n * depth + c]))

        let factor i n : 'T =
            match layer.Norm with
            | QnaNorm.Free -> one
            | QnaNorm.Unit -> one / (norm i n + tiny)
            | QnaNorm.UnitStopGradient -> one / (stopGradient (norm i n) + tiny)
            | QnaNorm.AtMost limit ->
                let factor = constant<'T> limit / (norm i n + tiny)
                if value factor < 1.0 then factor else one

        let root = constant<'T>(sqrt (float depth))

        let factors =
            NdArray.init [| query.Shape[0]; layer.Heads |] (fun index -> factor index[0] index[1] / root)

        NdArray.init [| query.Shape[0]; layer.Heads; depth |] (fun index ->
            let i, n, c = index[0], index[1], index[2]
            query[i, n * depth + c] * factors[i, n])

    /// `P[t, i, n]` as a function.
    let private positionBias<'T when 'T :> INumeric<'T>>
        (layer: Qna)
        (parameters: Parameters<'T>)
        (q: NdArray<'T>)
        : int -> int -> int -> 'T =
        let depth = layer.Features / layer.Heads

        match layer.Position with
        | QnaPosition.None -> fun _ _ _ -> constant 0.0
        | QnaPosition.Relative ->
            let table = parameter "rpe_bias" parameters
            let divisor = constant<'T>(if layer.ScaleBias then sqrt (float depth) else 1.0)
            fun t i n -> table[t, i * layer.Heads + n] / divisor
        | QnaPosition.Contextual ->
            let kernel = parameter "rpe_bias/kernel" parameters
            let bias = parameter "rpe_bias/bias" parameters

            fun t i n ->
                bias[t, n]
                + sum layer.Heads (fun m -> sum depth (fun c -> q[i, m, c] * kernel[m, c, t, n]))
        | QnaPosition.Absolute ->
            let embedding = parameter "absolute_pos_embedding" parameters
            fun t i n -> sum depth (fun c -> q[i, n, c] * embedding[t, i, n * depth + c])

    /// `A[t, i, n]` as a function.
    let private scale<'T when 'T :> INumeric<'T>>
        (layer: Qna)
        (parameters: Parameters<'T>)
        : int -> int -> int -> 'T =
        match layer.Scale with
        | QnaScale.Normal ->
            let weights = parameter "attn_scale_weights" parameters
            fun t i n -> weights[0, 0, t, i * layer.Heads + n]
        | QnaScale.NormalElementwise ->
            let weights = parameter "attn_scale_weights" parameters
            fun _ i n -> weights[0, 0, 0, i * layer.Heads + n]
        | QnaScale.Ones ->
            let weights = parameter "attn_scale_pos" parameters
            fun t i n -> weights.At [| 0; 0; t; i; n |]
        | QnaScale.PositiveNegative ->
            // Each query set is a layer of its own, and has its own halves.
            let half = layer.Queries * layer.Heads / 2

            fun _ i n ->
                let place = i % layer.Queries * layer.Heads + n
                constant (if place < half then 1.0 else -1.0)
        | QnaScale.Average -> fun _ _ _ -> constant (1.0 / float layer.Queries)
        | QnaScale.None -> fun _ _ _ -> constant 1.0

    /// The height and width of the output for those of the input.
    let outputSize (layer: Qna) (height, width) =
        let along length window padding =
            ((length + 2 * padding - window) / layer.Stride + 1) * layer.Upsampling

        along height (fst layer.Window) (fst layer.Padding),
        along width (snd layer.Window) (snd layer.Padding)

    /// The output `[B, H', W', C_out]` for a map `[B, H, W, C_in]`.
    let forward<'T when 'T :> INumeric<'T>>
        (layer: Qna)
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let depth = layer.Features / layer.Heads
        let batch, height, width = x.Shape[0], x.Shape[1], x.Shape[2]
        let inputs = x.Shape[3]
        let windowHeight, windowWidth = layer.Window
        let paddingHeight, paddingWidth = layer.Padding
        let up = layer.Upsampling
        let wk = parameter "Wk" parameters
        let keyBias = Map.tryFind "Wk_b" parameters
        let toOut = apply parameters [ "to_out" ]
        let q = preparedQueries layer parameters
        let p = positionBias layer parameters q
        let a = scale layer parameters

        let queries = q.Shape[0]

        // No key is ever formed: the queries meet the key weights once, and each token meets the result.
        let mixed =
            NdArray.init [| inputs; queries; layer.Heads |] (fun index ->
                let c, i, n = index[0], index[1], index[2]
                sum depth (fun e -> wk[c, n * depth + e] * q[i, n, e]))

        let score (token: 'T array) i n =
            let product = sum inputs (fun c -> token[c] * mixed[c, i, n])

            match keyBias with
            | None -> product
            | Some bias -> product + sum depth (fun e -> bias[n, e] * q[i, n, e])

        let scores =
            x
            |> perToken (fun token ->
                [| for i in 0 .. queries - 1 do
                       for n in 0 .. layer.Heads - 1 -> score token i n |])

        let values = x |> perToken (apply parameters [ "to_v" ])

        /// The places of a window that lie inside the image: the offset, the row and the column.
        let inside gridY gridX =
            [| for t in 0 .. windowHeight * windowWidth - 1 do
                   let y = gridY * layer.Stride - paddingHeight + t / windowWidth
                   let x = gridX * layer.Stride - paddingWidth + t % windowWidth

                   if y >= 0 && y < height && x >= 0 && x < width then
                       t, y, x |]

        /// What query `i` of head `n` gathers from the places.
        let gather b places i n : 'T array =
            let weights =
                places
                |> Array.map (fun (t, y, x) -> scores[b, y, x, i * layer.Heads + n] + p t i n)
                |> exponentials

            let denominator = total weights

            Array.init depth (fun e ->
                let numerator =
                    sum weights.Length (fun place ->
                        let t, y, x = places[place]
                        weights[place] * (a t i n * values[b, y, x, n * depth + e]))

                numerator / denominator)

        /// The heads side by side, each the sum over the queries of a set, at a place of the strided grid.
        let attend b gridY gridX set : 'T array =
            let places = inside gridY gridX

            Array.concat
                [ for n in 0 .. layer.Heads - 1 do
                      let gathered =
                          [| for i in set * layer.Queries .. (set + 1) * layer.Queries - 1 ->
                                 gather b places i n |]

                      Array.init depth (fun e -> sum layer.Queries (fun i -> gathered[i][e])) ]

        let outHeight, outWidth = outputSize layer (height, width)

        let tokens =
            [| for b in 0 .. batch - 1 do
                   for y in 0 .. outHeight - 1 do
                       for x in 0 .. outWidth - 1 do
                           toOut (attend b (y / up) (x / up) (y % up * up + x % up)) |]

        NdArray.ofArray [ batch; outHeight; outWidth; tokens[0].Length ] (Array.concat tokens)
