/// Between the oracle's arrays and the engine's tensors, and layers as functions of named arrays.
module LocalAttention.Core.Tests.Tensors

open System
open Expecto
open LocalAttention.Oracle
open TorchSharp

/// A layer or a model.
type Module = torch.nn.Module<torch.Tensor, torch.Tensor>

/// An array as a tensor of an element type.
let toTensor (elementType: torch.ScalarType) (array: NdArray<float>) =
    let shape = ReadOnlySpan(Array.map int64 array.Shape)
    let doubles: torch.Tensor = torch.tensor (array.Elements, shape)
    doubles.``to`` elementType

/// A tensor as an array of doubles.
let toArray (tensor: torch.Tensor) : NdArray<float> =
    let doubles = tensor.detach().``to``(torch.ScalarType.Float64).contiguous()
    NdArray.ofArray (tensor.shape |> Array.map int) (doubles.data<float>().ToArray())

/// The parameters and their names.
let namedParameters (layer: Module) =
    [ for struct (name, parameter) in layer.named_parameters () -> name, parameter ]

/// The parameters as arrays.
let parametersOf layer =
    namedParameters layer
    |> List.map (fun (name, parameter) -> name, toArray parameter)
    |> Map.ofList

/// Replaces the values of the parameters of the given names.
let setParameters (values: Map<string, NdArray<float>>) (layer: Module) =
    use _ = torch.no_grad ()

    for name, parameter in namedParameters layer do
        match Map.tryFind name values with
        | Some array ->
            use tensor = toTensor parameter.dtype array
            parameter.copy_ tensor |> ignore
        | None -> ()

let private isShift (name: string) = name.EndsWith "dep_conv.weight"

/// Numbers between -1 and 1 that follow from a seed and a name.
let numbers (seed: int) (name: string) shape = Counter.array $"{seed}/{name}" shape

/// Values for a parameter such that no part of a layer is without effect and sums of products stay of order one:
/// norms and layer scales near 1, matrices by their fan-in, everything else up to 0.5. The fixed shifts stay.
let private lively seed (name: string) (shape: int array) =
    let u = numbers seed name shape
    let last = name.Split '.' |> Array.last

    match last, shape with
    | ("Wk" | "kernel"), _ -> u |> NdArray.map (fun u -> u * sqrt (3.0 / float shape[0]))
    | "weight", _ when shape.Length > 1 ->
        let fanIn = Array.fold (*) 1 shape / shape[0]
        u |> NdArray.map (fun u -> u * sqrt (3.0 / float fanIn))
    | ("weight" | "gamma_1" | "gamma_2"), _ -> u |> NdArray.map (fun u -> 1.0 + 0.1 * u)
    | "query", _ -> u
    | _ -> u |> NdArray.map (fun u -> 0.5 * u)

/// Fills every parameter but the fixed shifts with numbers that follow from a seed.
let enliven seed (layer: Module) =
    let values =
        [ for name, parameter in namedParameters layer do
              if not (isShift name) then
                  name, lively seed name (parameter.shape |> Array.map int) ]

    setParameters (Map.ofList values) layer

/// The module with numbers from a seed in its parameters, in double precision.
let inDoubles seed (layer: #Module) =
    layer.``to`` torch.ScalarType.Float64 |> ignore
    enliven seed layer
    layer

/// The output for an input.
let run (layer: Module) (x: NdArray<float>) =
    use _ = torch.NewDisposeScope()
    let elementType = (namedParameters layer |> List.head |> snd).dtype
    layer.forward (toTensor elementType x) |> toArray

/// The output, and the gradients of `sum(output · cotangent)` by the input `x` and by every trained parameter.
let gradients (layer: Module) (x: NdArray<float>) (cotangent: NdArray<float>) =
    use _ = torch.NewDisposeScope()
    layer.zero_grad ()
    let elementType = (namedParameters layer |> List.head |> snd).dtype
    let input = (toTensor elementType x).requires_grad_()
    let output = layer.forward input
    (output * toTensor elementType cotangent).sum().backward()

    let ofTensor name (tensor: torch.Tensor) =
        match tensor.grad with
        | null -> failtest $"{name} has no gradient"
        | gradient -> name, toArray gradient

    let ofParameters =
        [ for name, parameter in namedParameters layer do
              if parameter.requires_grad then
                  ofTensor name parameter ]

    toArray output, Map.ofList (ofTensor "x" input :: ofParameters)

/// Fails unless no element differs by more than `tolerance` times the largest magnitude, or times `floor` where that
/// is larger.
let within tolerance floor (actual: NdArray<float>) (expected: NdArray<float>) what =
    Expect.equal actual.Shape expected.Shape $"shape of {what}"
    let difference = NdArray.map2 (-) actual expected |> NdArray.map abs
    // The largest of numbers with a NaN among them is whatever came last: a NaN is looked for by itself.
    let worst =
        if Array.exists Double.IsNaN difference.Elements then
            infinity
        else
            NdArray.largest difference

    let scale = max floor (NdArray.largest expected)

    if not (worst <= tolerance * scale) then
        failtest
            $"{what} differs by {worst} where the largest magnitude is {scale}: more than {tolerance} of it"

/// Compares arrays of the same names. An array that is all but zero beside the largest of them is compared on a scale
/// of a ten-thousandth of that one, or of one where opposite scales cancel all of them: what is left of a sum that
/// vanishes is the rounding of its terms, and they are of order one.
let allWithin tolerance (actual: Map<string, NdArray<float>>) (expected: Map<string, NdArray<float>>) what =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"
    let largest = expected |> Map.values |> Seq.map NdArray.largest |> Seq.max

    for KeyValue(name, array) in expected do
        within tolerance (1e-4 * max 1.0 largest) actual[name] array $"{what} {name}"
