/// Short ways to make tensors and to look into them, shared by all tests of the contract.
module LocalAttention.Tests.Values

open System
open TorchSharp
open Expecto

type Tensor = torch.Tensor
type TensorIndex = torch.TensorIndex

/// Whether the tensors come from this repository's engine rather than from the TorchSharp package.
let isOwnEngine = typeof<Tensor>.Assembly.GetName().Name = "Torch.CSharp"

/// Skips a test that says something about this repository's engine alone.
let onlyOwnEngine reason =
    if not isOwnEngine then
        skiptest reason

let scalar (value: float) : Scalar = Scalar.op_Implicit value
let whole (value: int64) : Scalar = Scalar.op_Implicit value

let vector (values: float list) =
    torch.tensor (values |> List.map float32 |> Array.ofList)

let wholes (values: int64 list) = torch.tensor (Array.ofList values)
let truths (values: bool list) = torch.tensor (Array.ofList values)

let matrix (rows: float list list) =
    torch.tensor (rows |> List.map (List.map float32) |> array2D)

/// 0, 1, 2, … in a tensor of single precision with the sizes.
let counting (sizes: int64 list) =
    let count = List.fold (*) 1L sizes

    torch.arange(whole count, dtype = Nullable torch.float32).reshape(Array.ofList sizes)

let shape (tensor: Tensor) = List.ofArray tensor.shape

/// The elements in row-major order of the indices, whatever the strides and the dtype.
let elements (tensor: Tensor) =
    List.ofArray (tensor.detach().to_type(torch.float64).flatten().data<float>().ToArray())

/// The tensor has this shape and exactly these elements.
let holds (sizes: int64 list) (values: float list) (tensor: Tensor) =
    Expect.equal (shape tensor) sizes "shape"
    Expect.equal (elements tensor) values "elements"

/// The tensor has this shape, and its elements are these up to the rounding of single precision: `steps` units of
/// the last place of the largest element, one per rounded operation on the way.
let holdsNearly (steps: int) (sizes: int64 list) (values: float list) (tensor: Tensor) =
    Expect.equal (shape tensor) sizes "shape"
    let actual = elements tensor
    Expect.equal actual.Length values.Length "number of elements"
    let largest = values |> List.map abs |> List.fold max Double.Epsilon
    let tolerance = float steps * largest * Math.Pow(2.0, -23.0)

    for index, (a, e) in List.indexed (List.zip actual values) do
        if not (abs (a - e) <= tolerance) then
            failtestf "element %d is %.9g, expected %.9g ± %.2g" index a e tolerance

/// The tensors have equal shapes and nearly equal elements, as in `holdsNearly`.
let isNearly steps (expected: Tensor) (actual: Tensor) =
    holdsNearly steps (shape expected) (elements expected) actual

/// `f` throws an exception of exactly this type; its message is handed to `check`.
[<RequiresExplicitTypeArguments>]
let throwsWith<'failure when 'failure :> exn> (check: string -> unit) (f: unit -> unit) =
    Expect.throwsC f (fun failure ->
        Expect.equal (failure.GetType()) typeof<'failure> $"type of '{failure.Message}'"
        check failure.Message)

/// The message contains the text.
let says (text: string) (message: string) =
    Expect.stringContains message text "message"
