/// Layers against numbers of the official code, in double precision: outputs and all gradients.
module LocalAttention.Core.Tests.LayerGoldens

open System.IO
open System.Text.Json
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open TorchSharp

/// Both sides are double precision and differ in the order of their sums alone.
let private rounding = 1e-9

/// The properties of one case, with defaults for those that are left out.
type private Options(element: JsonElement) =
    let find (name: string) =
        match element.TryGetProperty name with
        | true, value -> Some value
        | _ -> None

    member _.Integer(name, otherwise) =
        find name |> Option.map _.GetInt32() |> Option.defaultValue otherwise

    member _.Flag(name, otherwise) =
        find name |> Option.map _.GetBoolean() |> Option.defaultValue otherwise

    member _.Text(name, otherwise) =
        find name
        |> Option.bind (fun value -> Option.ofObj (value.GetString()))
        |> Option.defaultValue otherwise

    member _.Number name = find name |> Option.map _.GetDouble()

let private qnaLayer (options: Options) (input: NdArray<float>) (output: NdArray<float>) : Module =
    let scale =
        match options.Text("attn_scale", "normal") with
        | "normal" -> AttentionScale.Normal
        | "normal_elementwise" -> AttentionScale.NormalElementwise
        | "posneg" -> AttentionScale.PositiveNegative
        | "ones" -> AttentionScale.Ones
        | "avg" -> AttentionScale.Average
        | "none" -> AttentionScale.None
        | unknown -> failwith $"no scale '{unknown}'"

    let position =
        match options.Text("pos_embedding_type", "relative_pos") with
        | "relative_pos" -> PositionBias.Relative
        | "absolute_pos" -> PositionBias.Absolute
        | unknown -> failwith $"no position '{unknown}'"

    let norm: QueryNorm =
        if options.Flag("normalize_q", true) then
            UnitNorm(StopGradient = options.Flag("qna_normalize_stop_grads", false))
        else
            QueryNorm.Free

    let attention =
        QnAAttention(
            options.Integer("kernel_size", 0),
            options.Integer("heads", 0),
            Queries = options.Integer("n_queries", 2),
            Width = options.Integer("features", 0),
            Scale = scale,
            Position = position,
            ScalePositionBias = options.Flag("scale_rpe_bias", false),
            Norm = norm,
            Bias = options.Flag("use_bias", false)
        )

    new QnALayer(
        attention,
        input.Shape[3],
        output.Shape[3],
        stride = options.Integer("stride", 1),
        pooling = (options.Integer("padding", 0) = 0)
    )

let private slideLayer (options: Options) (input: NdArray<float>) _ : Module =
    let padding =
        match options.Text("padding", "zeros") with
        | "zeros" -> EdgePadding.Zeros
        | "circular" -> EdgePadding.Circular
        | "reflect" -> EdgePadding.Reflect
        | "replicate" -> EdgePadding.Replicate
        | unknown -> failwith $"no padding '{unknown}'"

    let attention =
        SlideAttention(
            options.Integer("ka", 3),
            options.Integer("heads", 0),
            Padding = padding,
            QkvBias = options.Flag("qkv_bias", true),
            Scale = Option.toNullable (options.Number "scale")
        )

    new SlideLayer(attention, input.Shape[3])

let private transposed (matrix: NdArray<float>) =
    NdArray.init [| matrix.Shape[1]; matrix.Shape[0] |] (fun index -> matrix[index[1], index[0]])

/// A Flax array by the layer's name for it: the projections are PyTorch's in the layer.
let private ofFlax (name: string) (array: NdArray<float>) =
    match name with
    | "to_v/kernel"
    | "to_out/kernel" -> name.Replace("/kernel", ".weight"), transposed array
    | _ -> name.Replace("/", "."), array

let private named (arrays: Map<string, NdArray<float>>) =
    arrays
    |> Map.toSeq
    |> Seq.map (fun (name, array) -> ofFlax name array)
    |> Map.ofSeq

let private file name create =
    let arrays = Safetensors.read (Data.path $"{name}.safetensors")
    use options = JsonDocument.Parse(File.ReadAllText(Data.path $"{name}.json"))
    let options = options.RootElement.Clone()

    let case (options: JsonProperty) =
        testCase options.Name
        <| fun () ->
            let case = arrays |> Safetensors.under $"{options.Name}/"
            let input, expected = case["x"], case["output"]
            use layer: Module = create (Options options.Value) input expected
            layer.``to`` torch.ScalarType.Float64 |> ignore
            let parameters = named (Safetensors.under "parameter/" case)

            Expect.sequenceEqual
                (namedParameters layer |> List.map fst |> List.sort)
                (Map.keys parameters)
                "the layer's parameters should be the official ones"

            setParameters parameters layer
            let output, gradient = gradients layer input case["cotangent"]
            within rounding 0.0 output expected "the output"
            let expectedGradients = named (Safetensors.under "gradient/" case)
            Expect.sequenceEqual (Map.keys gradient) (Map.keys expectedGradients) "names of the gradients"

            // A gradient that is zero but for rounding, as that of a bias that adds the same to all scores, is compared
            // beside a millionth of the largest.
            let largest = expectedGradients |> Map.values |> Seq.map NdArray.largest |> Seq.max

            for KeyValue(name, array) in expectedGradients do
                within rounding (1e-6 * largest) gradient[name] array $"the gradient by {name}"

    testList name [ for property in options.EnumerateObject() -> case property ]

/// The tests of this file.
let tests =
    testList "layers" [ file "qna-layers" qnaLayer; file "slide-layers" slideLayer ]
