/// Whole models once more as plain loops over doubles: everything around the attention, which is the oracle's.
module LocalAttention.Core.Tests.PlainModel

open System
open LocalAttention.Oracle
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases

/// The error function by its series, which is exact to rounding for |x| < 3; beyond, one minus a continued fraction.
let private errorFunction x =
    if abs x < 3.0 then
        let mutable term, sum, n = x, x, 0

        while abs term > 1e-18 * abs sum do
            n <- n + 1
            term <- -term * x * x / float n
            sum <- sum + term / float (2 * n + 1)

        2.0 / sqrt Math.PI * sum
    else
        let fraction =
            List.foldBack (fun k rest -> float k / 2.0 / (abs x + rest)) [ 1..60 ] 0.0

        float (sign x) * (1.0 - exp (-x * x) / sqrt Math.PI / (abs x + fraction))

let private activate activation (x: float) =
    match activation with
    | Activation.Gelu -> 0.5 * x * (1.0 + errorFunction (x / sqrt 2.0))
    | Activation.GeluTanh -> 0.5 * x * (1.0 + tanh (sqrt (2.0 / Math.PI) * (x + 0.044715 * x * x * x)))
    | _ -> max x 0.0

/// The parameters under a prefix, without it.
let private under (prefix: string) (parameters: Parameters<float>) =
    Safetensors.under (prefix + ".") parameters

let private real (array: NdArray<float>) =
    NdArray.map (fun value -> ({ Double = value }: Real)) array

let private linear name (parameters: Parameters<float>) (map: NdArray<float>) =
    map
    |> real
    |> Linear.perToken (Linear.apply (Map.map (fun _ -> real) parameters) [ name ])
    |> NdArray.map Numeric.value

let private norm epsilon name (parameters: Parameters<float>) (map: NdArray<float>) =
    let weight, bias = parameters[name + ".weight"], parameters[name + ".bias"]

    map
    |> Linear.perToken (fun token ->
        let mean = Array.average token
        let variance = token |> Array.averageBy (fun value -> (value - mean) ** 2.0)

        token
        |> Array.mapi (fun c value -> (value - mean) / sqrt (variance + epsilon) * weight[c] + bias[c]))

let private add (a: NdArray<float>) (b: NdArray<float>) = NdArray.map2 (+) a b

/// A branch times its layer scale, where there is one.
let private scaled name (parameters: Parameters<float>) (map: NdArray<float>) =
    match Map.tryFind name parameters with
    | Some scale -> map |> Linear.perToken (Array.mapi (fun c value -> value * scale[c]))
    | None -> map

let private dividedBy divisor length = (length + divisor - 1) / divisor

/// The element, or zero outside the map.
let private at (map: NdArray<float>) b y x c =
    if y >= 0 && y < map.Shape[1] && x >= 0 && x < map.Shape[2] then
        map[b, y, x, c]
    else
        0.0

/// A convolution with zeros around, to a map of rows and columns: window `t` begins at `t·stride − padding`.
let private convolveTo rows columns (kernel: NdArray<float>) stride padding (map: NdArray<float>) =
    NdArray.init [| map.Shape[0]; rows; columns; kernel.Shape[0] |] (fun index ->
        let mutable sum = 0.0

        for c in 0 .. kernel.Shape[1] - 1 do
            for y in 0 .. kernel.Shape[2] - 1 do
                for x in 0 .. kernel.Shape[3] - 1 do
                    let row, column = index[1] * stride + y - padding, index[2] * stride + x - padding
                    sum <- sum + kernel[index[3], c, y, x] * at map index[0] row column c

        sum)

/// A convolution of which only the stride shrinks the map; what hangs over the border sees zeros.
let private convolve (kernel: NdArray<float>) stride padding (map: NdArray<float>) =
    convolveTo (dividedBy stride map.Shape[1]) (dividedBy stride map.Shape[2]) kernel stride padding map

/// The bias of a convolution, where it has one.
let private shifted name (parameters: Parameters<float>) (map: NdArray<float>) =
    match Map.tryFind name parameters with
    | Some bias -> map |> Linear.perToken (Array.mapi (fun c value -> value + bias[c]))
    | None -> map

/// The ε of norms in stems and transitions.
let private embeddingEpsilon (architecture: Architecture) =
    architecture.Conventions.EmbeddingNormEpsilon.GetValueOrDefault architecture.Conventions.NormEpsilon

let private stem (architecture: Architecture) (parameters: Parameters<float>) (image: NdArray<float>) =
    let epsilon = embeddingEpsilon architecture

    match architecture.Stem with
    | :? PatchStem as patch ->
        let tokens =
            convolve parameters["proj.weight"] patch.PatchSize 0 image
            |> shifted "proj.bias" parameters

        if patch.Norm then
            norm epsilon "norm" parameters tokens
        else
            tokens
    | stem ->
        let stem = stem :?> ConvolutionStem
        let convolutions = List.ofSeq stem.Convolutions

        let step (map: NdArray<float>) (index, convolution: Convolution) =
            let size = convolution.OutputSize(ImageSize(map.Shape[1], map.Shape[2]))
            let padding = convolution.Padding.GetValueOrDefault(convolution.Kernel / 2)

            let convolved =
                convolveTo
                    size.Height
                    size.Width
                    parameters[$"convs.{index}.weight"]
                    convolution.Stride
                    padding
                    map
                |> shifted $"convs.{index}.bias" parameters

            match index = convolutions.Length - 1, stem.ActivatedBetween with
            | true, true -> norm epsilon $"norms.{index}" parameters convolved
            | true, false -> norm epsilon "norms.0" parameters convolved
            | false, true ->
                norm epsilon $"norms.{index}" parameters convolved
                |> NdArray.map (activate architecture.Conventions.Activation)
            | false, false -> convolved

        convolutions |> List.indexed |> List.fold step image

/// Each channel by itself, 3×3, zeros around.
let private depthwise (parameters: Parameters<float>) (map: NdArray<float>) =
    let kernel = parameters["weight"]

    NdArray.init map.Shape (fun index ->
        let mutable sum = 0.0

        for y in 0..2 do
            for x in 0..2 do
                sum <-
                    sum
                    + kernel[index[3], 0, y, x]
                      * at map index[0] (index[1] + y - 1) (index[2] + x - 1) index[3]

        sum)
    |> shifted "bias" parameters

let private mlp
    (architecture: Architecture)
    (convolution: MlpConvolution)
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    =
    let hidden = linear "fc1" parameters map

    let mixed =
        match convolution with
        | MlpConvolution.None -> hidden
        | MlpConvolution.Depthwise -> depthwise (under "dwconv" parameters) hidden
        | _ -> hidden |> NdArray.map (max 0.0) |> depthwise (under "dwconv" parameters)

    mixed
    |> NdArray.map (activate architecture.Conventions.Activation)
    |> linear "fc2" parameters

/// The attention as the oracle has it.
let private attend
    (architecture: Architecture)
    (case: LayerCase)
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    =
    Derivative.evaluate (oracleWith (embeddingEpsilon architecture) case) (Map.add "x" map parameters)

let private caseOf attention inputs outputs =
    { Attention = attention
      Inputs = inputs
      Outputs = outputs
      Stride = 1
      Upsampling = 1
      Pools = false
      Map = ImageSize.Square 1
      Batch = 1
      Seed = 0 }

let private secondBranch
    (architecture: Architecture)
    convolution
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    =
    map
    |> norm architecture.Conventions.NormEpsilon "norm2" parameters
    |> mlp architecture convolution (under "mlp" parameters)
    |> scaled "gamma_2" parameters
    |> add map

let private block
    (architecture: Architecture)
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    (block: Block)
    =
    let channels = map.Shape[3]

    map
    |> norm architecture.Conventions.NormEpsilon "norm1" parameters
    |> attend architecture (caseOf block.Attention channels channels) (under "attn" parameters)
    |> scaled "gamma_1" parameters
    |> add map
    |> secondBranch architecture block.MlpConvolution parameters

/// Flax's `SAME` average: what is padded is split evenly, the odd one at the end, and counts as zeros.
let private averagePool window stride (map: NdArray<float>) =
    let before length =
        max 0 ((dividedBy stride length - 1) * stride + window - length) / 2

    let top, left = before map.Shape[1], before map.Shape[2]

    NdArray.init
        [| map.Shape[0]
           dividedBy stride map.Shape[1]
           dividedBy stride map.Shape[2]
           map.Shape[3] |]
        (fun index ->
            List.sum
                [ for y in 0 .. window - 1 do
                      for x in 0 .. window - 1 ->
                          at
                              map
                              index[0]
                              (index[1] * stride + y - top)
                              (index[2] * stride + x - left)
                              index[3] ]
            / float (window * window))

let private qnaBlock
    (architecture: Architecture)
    (parameters: Parameters<float>)
    case
    resampled
    (map: NdArray<float>)
    =
    let attended =
        map
        |> norm architecture.Conventions.NormEpsilon "norm1" parameters
        |> attend architecture case (under "attn" parameters)
        |> scaled "gamma_1" parameters

    resampled
    |> convolve parameters["skip.weight"] 1 0
    |> add attended
    |> secondBranch architecture MlpConvolution.None parameters

let private transition
    (architecture: Architecture)
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    (transition: Transition)
    =
    let epsilon = embeddingEpsilon architecture
    let inputs = map.Shape[3]
    let outputs = transition.OutputChannels inputs

    match transition with
    | :? PatchMerging ->
        // The tokens of a square column by column, as Swin's slices have them.
        NdArray.init
            [| map.Shape[0]
               dividedBy 2 map.Shape[1]
               dividedBy 2 map.Shape[2]
               4 * inputs |]
            (fun index ->
                let part, c = index[3] / inputs, index[3] % inputs
                at map index[0] (2 * index[1] + part % 2) (2 * index[2] + part / 2) c)
        |> norm epsilon "norm" parameters
        |> linear "reduction" parameters
    | :? StridedConvolution as convolution ->
        let padding = if convolution.IsPatches then 0 else convolution.Kernel / 2

        convolve parameters["reduction.weight"] convolution.Stride padding map
        |> shifted "reduction.bias" parameters
        |> norm epsilon "norm" parameters
    | :? QnADownsampling as down ->
        let resampled =
            if down.Skip = SkipPath.AveragePool then
                averagePool down.Attention.Window down.Stride map
            else
                averagePool 1 down.Stride map

        let case =
            { caseOf down.Attention inputs outputs with
                Stride = down.Stride }

        qnaBlock architecture parameters case resampled map
    | transition ->
        let up = transition :?> QnAUpsampling

        let repeated =
            NdArray.init
                [| map.Shape[0]; up.Factor * map.Shape[1]; up.Factor * map.Shape[2]; inputs |]
                (fun index -> map[index[0], index[1] / up.Factor, index[2] / up.Factor, index[3]])

        let case =
            { caseOf up.Attention inputs outputs with
                Upsampling = up.Factor }

        qnaBlock architecture parameters case repeated map

/// Vectors of the places of a map, between which straight lines are drawn where the map has another size: place `i` of
/// `n'` stands at `(i + ½)·n/n' − ½` of `n`, not before the first nor behind the last.
let private places (vectors: NdArray<float>) skipped (learned: ImageSize) (size: ImageSize) =
    let between n count i =
        let at = max 0.0 ((float i + 0.5) * float n / float count - 0.5)
        let low = int at
        low, min (low + 1) (n - 1), at - float low

    NdArray.init [| size.Height; size.Width; vectors.Shape[2] |] (fun index ->
        let top, bottom, down = between learned.Height size.Height index[0]
        let left, right, along = between learned.Width size.Width index[1]

        let at y x =
            vectors[0, skipped + y * learned.Width + x, index[2]]

        (1.0 - down) * ((1.0 - along) * at top left + along * at top right)
        + down * ((1.0 - along) * at bottom left + along * at bottom right))

/// The map behind a stage, and the class token that went through it.
let private stage
    (architecture: Architecture)
    (declared: ImageSize list)
    (parameters: Parameters<float>)
    (map: NdArray<float>, _)
    (index, stage: Stage)
    =
    let all, parameters = parameters, under $"layers.{index}" parameters

    let token =
        if index = architecture.Stages.Count - 1 then
            Map.tryFind "cls_token" all
        else
            None

    let skipped = if token.IsSome then 1 else 0

    let batch, rows, columns, channels =
        map.Shape[0], map.Shape[1], map.Shape[2], map.Shape[3]

    let placed =
        match Map.tryFind "pos_embed" parameters with
        | Some vectors ->
            let places = places vectors skipped declared[index] (ImageSize(rows, columns))
            NdArray.init map.Shape (fun at -> map[at[0], at[1], at[2], at[3]] + places[at[1], at[2], at[3]])
        | None -> map

    // With a class token, all tokens are one row, that token first.
    let tokens =
        match token with
        | Some token ->
            let ownPlace c =
                match Map.tryFind "pos_embed" parameters with
                | Some vectors -> vectors[0, 0, c]
                | None -> 0.0

            NdArray.init [| batch; 1; 1 + rows * columns; channels |] (fun at ->
                if at[2] = 0 then
                    token[0, 0, at[3]] + ownPlace at[3]
                else
                    placed[at[0], (at[2] - 1) / columns, (at[2] - 1) % columns, at[3]])
        | None -> placed

    let attended =
        stage.Blocks
        |> Seq.indexed
        |> Seq.fold
            (fun map (index, each) -> block architecture (under $"blocks.{index}" parameters) map each)
            tokens

    let features =
        if stage.Norm then
            norm architecture.Conventions.NormEpsilon "norm" parameters attended
        else
            attended

    match token with
    | Some _ ->
        NdArray.init map.Shape (fun at -> features[at[0], 0, 1 + at[1] * columns + at[2], at[3]]),
        Some(NdArray.init [| batch; 1; 1; channels |] (fun at -> features[at[0], 0, 0, at[3]]))
    | None ->
        match stage.Transition with
        | null -> features, None
        | next -> transition architecture (under "downsample" parameters) features next, None

let private head
    (architecture: Architecture)
    (parameters: Parameters<float>)
    (map: NdArray<float>, token: NdArray<float> option)
    =
    let normalise = norm architecture.Conventions.NormEpsilon "norm" parameters
    let tokens = map.Shape[1] * map.Shape[2]

    let mean (normalised: NdArray<float>) =
        NdArray.init [| map.Shape[0]; 1; 1; map.Shape[3] |] (fun index ->
            List.sum
                [ for y in 0 .. map.Shape[1] - 1 do
                      for x in 0 .. map.Shape[2] - 1 -> normalised[index[0], y, x, index[3]] ]
            / float tokens)

    let pooled =
        match architecture.Head, token with
        | _, Some token -> normalise token
        | :? QnAPoolHead as pool, _ ->
            let case =
                { caseOf (pool.Attention.With(window = map.Shape[1])) map.Shape[3] map.Shape[3] with
                    Pools = true }

            let normalised = normalise map
            let attended = attend architecture case (under "pool" parameters) normalised

            if pool.Skip then
                add attended (mean normalised)
            else
                attended
        | _ -> mean (normalise map)

    let logits =
        if architecture.Head.Classes > 0 then
            linear "head" parameters pooled
        else
            pooled

    NdArray.reshape [| map.Shape[0]; logits.Shape[3] |] logits

/// The size of the map that enters each stage, at the architecture's own resolution.
let private declaredSizes (architecture: Architecture) =
    let parts = ShapeInference.Trace architecture |> List.ofSeq

    let behind (map: MapShape) number =
        let ofStage =
            parts |> List.filter (fun part -> part.Place.StartsWith $"stage {number},")

        map.Size, (ofStage |> List.tryLast |> Option.map _.Output |> Option.defaultValue map)

    [ 1 .. architecture.Stages.Count ]
    |> List.mapFold behind parts.Head.Output
    |> fst

/// The logits of images with channels first.
let forward (architecture: Architecture) (parameters: Parameters<float>) (images: NdArray<float>) =
    let channelsLast =
        NdArray.init [| images.Shape[0]; images.Shape[2]; images.Shape[3]; images.Shape[1] |] (fun index ->
            images[index[0], index[3], index[1], index[2]])

    let tokens = stem architecture (under "patch_embed" parameters) channelsLast

    architecture.Stages
    |> Seq.indexed
    |> Seq.fold (stage architecture (declaredSizes architecture) parameters) (tokens, None)
    |> head architecture parameters
