/// Attention layers to test: what is built, on which map, with numbers from which seed, and what the oracle makes of it.
module LocalAttention.Core.Tests.Cases

open System
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Oracle
open LocalAttention.Verification
open LocalAttention.Verification.Picking

/// A layer on a map. All but QnA keep the channels and have a stride and a factor of 1.
type LayerCase =
    {
        Attention: Attention
        Inputs: int
        Outputs: int
        Stride: int
        Upsampling: int
        /// QnA's window is the map, without padding.
        Pools: bool
        Map: ImageSize
        Batch: int
        Seed: int
    }

let private onMap attention channels map batch seed =
    { Attention = attention
      Inputs = channels
      Outputs = channels
      Stride = 1
      Upsampling = 1
      Pools = false
      Map = map
      Batch = batch
      Seed = seed }

let private channels = Gen.elements [ 4; 6; 8; 12 ]
let private batch = Gen.elements [ 1; 2 ]

/// Any attention but QnA.
let private keepingChannels (attention: MapShape -> Gen<'kind> when 'kind :> Attention) =
    gen {
        let! channels = channels
        let! map = Generate.mapSize
        let! attention = attention (MapShape(map, channels))
        let! batch = batch
        let! seed = seed
        return onMap attention channels map batch seed
    }

/// QnA at any stride or factor, or pooling.
let qna =
    gen {
        let! inputs = channels
        let! outputs = channels
        let! qna = Generate.qna outputs
        let! map = Generate.mapSize
        let! stride, upsampling = Gen.elements [ 1, 1; 1, 1; 2, 1; 3, 1; 1, 2 ]
        let! pools = usually false [ true ]
        let! side = Gen.choose (1, 5)
        let! batch = batch
        let! seed = seed

        let case =
            { onMap qna inputs map batch seed with
                Outputs = outputs
                Stride = stride
                Upsampling = upsampling }

        return
            if pools then
                { case with
                    Attention = qna.With(window = side)
                    Map = ImageSize.Square side
                    Stride = 1
                    Upsampling = 1
                    Pools = true }
            else
                case
    }

let slide = keepingChannels Generate.slide
let window = keepingChannels (Generate.window SizePolicy.Pad)
let everywhere = keepingChannels Generate.globalAttention
let reduction = keepingChannels (Generate.spatialReduction SizePolicy.Pad)
let pooled = keepingChannels Generate.pooledAttention
let crossShaped = keepingChannels (Generate.crossShaped SizePolicy.Pad)
let neighbourhood = keepingChannels (Generate.neighbourhood SizePolicy.Pad)

let private fits (case: LayerCase) =
    let stage = Stage(ValueList.From [ Block case.Attention ])

    case.Pools
    || Validation
        .Check(
            Architecture("case", PatchStem(1, case.Outputs), ValueList.From [ stage ], AveragePoolHead 1)
                .With(resolution = case.Map)
        )
        .Count
        =
        0

/// The same case with a simpler layer, a smaller map, fewer channels or images.
let simpler (case: LayerCase) =
    seq {
        for attention in Shrink.sameKind case.Attention do
            if not case.Pools || attention.Kind <> "qna" then
                { case with Attention = attention }

        { case with Stride = 1; Upsampling = 1 }
        { case with Batch = 1 }

        if not case.Pools then
            for height in towards 1 case.Map.Height do
                { case with
                    Map = ImageSize(height, case.Map.Width) }

            for width in towards 1 case.Map.Width do
                { case with
                    Map = ImageSize(case.Map.Height, width) }

        for channels in towards 1 case.Outputs do
            { case with
                Inputs = channels
                Outputs = channels }

        { case with Inputs = case.Outputs }
    }
    |> Seq.filter (fun smaller -> smaller <> case && fits smaller)

/// A generator of cases with the shrinker.
let arbitrary generator = Arb.fromGenShrink (generator, simpler)

/// The layer in double precision, every parameter filled from the seed.
let build (case: LayerCase) : Module =
    match case.Attention with
    | :? QnAAttention as qna ->
        new QnALayer(qna, case.Inputs, case.Outputs, case.Stride, case.Upsampling, case.Pools)
        |> inDoubles case.Seed
        :> Module
    | attention -> attention.Build(case.Inputs) |> inDoubles case.Seed

/// The input that belongs to the seed.
let input (case: LayerCase) =
    numbers case.Seed "x" [| case.Batch; case.Map.Height; case.Map.Width; case.Inputs |]

let private scaleOf scale =
    match scale with
    | AttentionScale.Normal -> QnaScale.Normal
    | AttentionScale.NormalElementwise -> QnaScale.NormalElementwise
    | AttentionScale.PositiveNegative -> QnaScale.PositiveNegative
    | AttentionScale.Ones -> QnaScale.Ones
    | AttentionScale.Average -> QnaScale.Average
    | AttentionScale.None -> QnaScale.None
    | unknown -> failwith $"the oracle has no scale {unknown}"

let private positionOf position =
    match position with
    | PositionBias.Relative -> QnaPosition.Relative
    | PositionBias.Contextual -> QnaPosition.Contextual
    | PositionBias.Absolute -> QnaPosition.Absolute
    | PositionBias.None -> QnaPosition.None
    | unknown -> failwith $"the oracle has no position bias {unknown}"

let private normOf (norm: QueryNorm) =
    match norm with
    | :? UnitNorm as unit when unit.StopGradient -> QnaNorm.UnitStopGradient
    | :? UnitNorm -> QnaNorm.Unit
    | :? LargestNorm as largest -> QnaNorm.AtMost largest.Limit
    | _ -> QnaNorm.Free

let private qnaOracle<'T when 'T :> INumeric<'T>>
    (qna: QnAAttention)
    (case: LayerCase)
    (point: Parameters<'T>)
    =
    let padding = if case.Pools then 0 else (qna.Window - 1) / 2

    let layer =
        { Qna.create (qna.Width.GetValueOrDefault case.Outputs) qna.Heads qna.Window with
            Queries = qna.Queries
            Padding = (padding, padding)
            Stride = case.Stride
            Upsampling = case.Upsampling
            Scale = scaleOf qna.Scale
            Position = positionOf qna.Position
            Norm = normOf qna.Norm
            ScaleBias = qna.ScalePositionBias }

    // The contextual bias is a module here and a pair of arrays there.
    let named =
        Map [ for KeyValue(name, value) in point -> name.Replace("rpe_bias.", "rpe_bias/"), value ]

    Qna.forward layer named point["x"]

let private paddingOf padding =
    match padding with
    | EdgePadding.Zeros -> SlidePadding.Zeros
    | EdgePadding.Circular -> SlidePadding.Circular
    | EdgePadding.Reflect -> SlidePadding.Reflect
    | EdgePadding.Replicate -> SlidePadding.Replicate
    | unknown -> failwith $"the oracle has no padding {unknown}"

let private slideOracle<'T when 'T :> INumeric<'T>> (slide: SlideAttention) (point: Parameters<'T>) =
    let layer =
        { Slide.create slide.Heads slide.Window with
            Padding = paddingOf slide.Padding
            Deformed = slide.Deformed
            Scale = Option.ofNullable slide.Scale }

    Slide.forward layer point point["x"]

/// Where the windows of a side begin and how long they are once the mask has cut them: shifting by `s` makes the first
/// `s` tokens a window of their own, and the last window is what is left. A window that holds the side is the side.
let segments window shift length =
    let starts =
        if window >= length then
            [ 0 ]
        else
            [ if shift > 0 then
                  0
              yield! [ shift..window .. length - 1 ] ]

    List.zip starts (List.tail starts @ [ length ])
    |> List.map (fun (start, next) -> start, next - start)

let private orderOf order =
    match order with
    | LocalAttention.Core.Specification.QkvOrder.QkvMajor -> QkvOrder.QkvMajor
    | _ -> QkvOrder.HeadMajor

/// Each window by itself, as attention of all of its tokens to all: shifts, masks and padding are nothing else.
let private windowOracle<'T when 'T :> INumeric<'T>> (window: WindowAttention) (point: Parameters<'T>) =
    let x = point["x"]
    let shift = if window.Shifted then window.Window / 2 else 0
    let rows = segments window.Window shift x.Shape[1]
    let columns = segments window.Window shift x.Shape[2]

    let block (top, height) (left, width) =
        let crop =
            NdArray.init [| x.Shape[0]; height; width; x.Shape[3] |] (fun index ->
                x[index[0], top + index[1], left + index[2], index[3]])

        // The rows of the table that belong to the offsets of this block.
        let table (name: string) (table: NdArray<'T>) =
            if name <> "relative_position_bias_table" then
                table
            else
                NdArray.init [| (2 * height - 1) * (2 * width - 1); window.Heads |] (fun index ->
                    let down = index[0] / (2 * width - 1) + window.Window - height
                    let right = index[0] % (2 * width - 1) + window.Window - width
                    table[down * (2 * window.Window - 1) + right, index[1]])

        Global.forward window.Heads (orderOf window.Order) (Map.map table point) crop

    let blocks =
        [ for row in rows do
              for column in columns -> row, column, block row column ]

    NdArray.init x.Shape (fun index ->
        let holds (start, count) position =
            position >= start && position < start + count

        let (top, _), (left, _), block =
            blocks
            |> List.find (fun (row, column, _) -> holds row index[1] && holds column index[2])

        block[index[0], index[1] - top, index[2] - left, index[3]])

/// The layer as the oracle has it, with the ε of norms inside it.
let oracleWith<'T when 'T :> INumeric<'T>>
    (epsilon: float)
    (case: LayerCase)
    (point: Parameters<'T>)
    : NdArray<'T> =
    match case.Attention with
    | :? QnAAttention as qna -> qnaOracle qna case point
    | :? SlideAttention as slide -> slideOracle slide point
    | :? WindowAttention as window -> windowOracle window point
    | :? SpatialReductionAttention as reduced ->
        Reduced.spatial epsilon reduced.Heads reduced.Reduction point point["x"]
    | :? PooledAttention as pooled -> Reduced.pooled epsilon pooled.Heads pooled.Pool point point["x"]
    | :? CrossShapedAttention as cross -> Enhanced.crossShaped cross.Heads cross.Stripe point point["x"]
    | :? NeighbourhoodAttention as neighbourhood ->
        Neighbourhood.forward neighbourhood.Heads neighbourhood.Window neighbourhood.Dilation point point["x"]
    | :? GlobalAttention as everywhere when everywhere.LocallyEnhanced ->
        Enhanced.whole everywhere.Heads (orderOf everywhere.Order) point point["x"]
    | :? GlobalAttention as everywhere ->
        Global.forward everywhere.Heads (orderOf everywhere.Order) point point["x"]
    | unknown -> failwith $"the oracle has no {unknown.GetType()}"

/// The layer as the oracle has it, on any kind of number: a function of its parameters and of `x`.
let oracle<'T when 'T :> INumeric<'T>> (case: LayerCase) (point: Parameters<'T>) : NdArray<'T> =
    oracleWith Conventions.PyTorch.NormEpsilon case point
