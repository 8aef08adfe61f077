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

/// A convolution with zeros around: window `t` begins at `t·stride − padding`.
let private convolve (kernel: NdArray<float>) stride padding (map: NdArray<float>) =
    let rows, columns = dividedBy stride map.Shape[1], dividedBy stride map.Shape[2]

    NdArray.init [| map.Shape[0]; rows; columns; kernel.Shape[0] |] (fun index ->
        let mutable sum = 0.0

        for c in 0 .. kernel.Shape[1] - 1 do
            for y in 0 .. kernel.Shape[2] - 1 do
                for x in 0 .. kernel.Shape[3] - 1 do
                    let row, column = index[1] * stride + y - padding, index[2] * stride + x - padding
                    sum <- sum + kernel[index[3], c, y, x] * at map index[0] row column c

        sum)

let private stem (architecture: Architecture) (parameters: Parameters<float>) (image: NdArray<float>) =
    let epsilon = architecture.Conventions.NormEpsilon

    match architecture.Stem with
    | :? PatchStem as patch ->
        let tokens = convolve parameters["proj.weight"] patch.PatchSize 0 image

        let shifted =
            match Map.tryFind "proj.bias" parameters with
            | Some bias -> tokens |> Linear.perToken (Array.mapi (fun c value -> value + bias[c]))
            | None -> tokens

        if patch.Norm then
            norm epsilon "norm" parameters shifted
        else
            shifted
    | stem ->
        let convolutions = (stem :?> ConvolutionStem).Convolutions |> List.ofSeq

        let step map (index, convolution: Convolution) =
            let convolved =
                convolve parameters[$"convs.{index}.weight"] convolution.Stride (convolution.Kernel / 2) map
                |> norm epsilon $"norms.{index}" parameters

            if index = convolutions.Length - 1 then
                convolved
            else
                NdArray.map (activate architecture.Conventions.Activation) convolved

        convolutions |> List.indexed |> List.fold step image

let private mlp (architecture: Architecture) (parameters: Parameters<float>) (map: NdArray<float>) =
    map
    |> linear "fc1" parameters
    |> NdArray.map (activate architecture.Conventions.Activation)
    |> linear "fc2" parameters

/// The attention as the oracle has it.
let private attend (case: LayerCase) (parameters: Parameters<float>) (map: NdArray<float>) =
    Derivative.evaluate (oracle case) (Map.add "x" map parameters)

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

let private secondBranch (architecture: Architecture) (parameters: Parameters<float>) (map: NdArray<float>) =
    map
    |> norm architecture.Conventions.NormEpsilon "norm2" parameters
    |> mlp architecture (under "mlp" parameters)
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
    |> attend (caseOf block.Attention channels channels) (under "attn" parameters)
    |> scaled "gamma_1" parameters
    |> add map
    |> secondBranch architecture parameters

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
        |> attend case (under "attn" parameters)
        |> scaled "gamma_1" parameters

    resampled
    |> convolve parameters["skip.weight"] 1 0
    |> add attended
    |> secondBranch architecture parameters

let private transition
    (architecture: Architecture)
    (parameters: Parameters<float>)
    (map: NdArray<float>)
    (transition: Transition)
    =
    let epsilon = architecture.Conventions.NormEpsilon
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
        convolve parameters["reduction.weight"] convolution.Stride (convolution.Kernel / 2) map
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

let private stage (architecture: Architecture) (parameters: Parameters<float>) map (index, stage: Stage) =
    let parameters = under $"layers.{index}" parameters

    let features =
        stage.Blocks
        |> Seq.indexed
        |> Seq.fold
            (fun map (index, each) -> block architecture (under $"blocks.{index}" parameters) map each)
            map

    match stage.Transition with
    | null -> features
    | next -> transition architecture (under "downsample" parameters) features next

let private head (architecture: Architecture) (parameters: Parameters<float>) (map: NdArray<float>) =
    let normalised = norm architecture.Conventions.NormEpsilon "norm" parameters map
    let tokens = map.Shape[1] * map.Shape[2]

    let mean =
        NdArray.init [| map.Shape[0]; 1; 1; map.Shape[3] |] (fun index ->
            List.sum
                [ for y in 0 .. map.Shape[1] - 1 do
                      for x in 0 .. map.Shape[2] - 1 -> normalised[index[0], y, x, index[3]] ]
            / float tokens)

    let pooled =
        match architecture.Head with
        | :? QnAPoolHead as pool ->
            let case =
                { caseOf (pool.Attention.With(window = map.Shape[1])) map.Shape[3] map.Shape[3] with
                    Pools = true }

            let attended = attend case (under "pool" parameters) normalised
            if pool.Skip then add attended mean else attended
        | _ -> mean

    let logits =
        if architecture.Head.Classes > 0 then
            linear "head" parameters pooled
        else
            pooled

    NdArray.reshape [| map.Shape[0]; logits.Shape[3] |] logits

/// The logits of images with channels first.
let forward (architecture: Architecture) (parameters: Parameters<float>) (images: NdArray<float>) =
    let channelsLast =
        NdArray.init [| images.Shape[0]; images.Shape[2]; images.Shape[3]; images.Shape[1] |] (fun index ->
            images[index[0], index[3], index[1], index[2]])

    let tokens = stem architecture (under "patch_embed" parameters) channelsLast

    architecture.Stages
    |> Seq.indexed
    |> Seq.fold (stage architecture parameters) tokens
    |> head architecture parameters
