/// Slide Attention's CUDA kernels against the composite definition in float64, forward and every gradient: plain and on tensor
/// cores, in every way to divide the work, every padding, windows from 1 to 9 and larger than the map, heads that fill packs
/// and steps of products or do not, weights that only shift.
module LocalAttention.Cuda.Tests.SlideTests

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Cuda.Tests.Emulated
open LocalAttention.Oracle
open TorchSharp

/// One attention over a projected map.
type private Case =
    {
        Batch: int
        Height: int
        Width: int
        Heads: int
        Depth: int
        Window: int
        Padding: EdgePadding
        /// Whether the convolution is more than shifts.
        Deformed: bool
        Element: torch.ScalarType
        /// The largest number of the projected map.
        Magnitude: float
        Scale: float
    }

    member case.Area = case.Window * case.Window

let private plain =
    { Batch = 1
      Height = 4
      Width = 5
      Heads = 2
      Depth = 8
      Window = 3
      Padding = EdgePadding.Zeros
      Deformed = true
      Element = torch.ScalarType.Float32
      Magnitude = 1.0
      Scale = 0.4 }

/// Of numbers between −1 and 1, as the element type holds them: the projected map, the weight, the bias, the position bias, and
/// the gradient of the output.
let private inputsOf (case: Case) =
    let make name shape = numbers 11 name shape

    let weight =
        if case.Deformed then
            make "weight" [| case.Depth; case.Area; case.Area |]
            |> NdArray.map (fun w -> w * sqrt (3.0 / float case.Area))
        else
            NdArray.init [| case.Depth; case.Area; case.Area |] (fun index ->
                if index[1] = index[2] then 1.0 else 0.0)

    let map = [| case.Batch; case.Height; case.Width; case.Heads |]

    let inputs =
        [ make "projected" (Array.append map [| 3; case.Depth |])
          |> NdArray.map (fun x -> x * case.Magnitude)
          weight
          make "bias" [| case.Depth; case.Area |]
          make "rpb" [| case.Heads; case.Area |] ]
        |> List.map (toTensor case.Element)

    inputs, toTensor case.Element (make "slope" (Array.append map [| case.Depth |]))

let private names = [ "projected map"; "weight"; "bias"; "position bias" ]

/// The output and the gradients of the inputs that are wanted, in float64.
let private evaluate wanted attend (inputs: torch.Tensor list, slope: torch.Tensor) =
    let leaves =
        List.zip names inputs
        |> List.map (fun (name, input) -> input.detach().clone().requires_grad_(List.contains name wanted))

    let output: torch.Tensor = attend leaves
    output.backward [| slope |]

    [ "output", output.detach ()
      for name, leaf in List.zip names leaves do
          if List.contains name wanted then
              $"gradient of the {name}", nonNull leaf.grad ]
    |> List.map (fun (name, tensor) -> name, tensor.``to`` torch.ScalarType.Float64)

/// By the composite definition, on a map that is extended by gathering rows and columns.
let private composite (case: Case) (inputs: torch.Tensor list) =
    let radius = case.Window / 2

    let padding =
        match case.Padding with
        | EdgePadding.Circular -> SlidePadding.Circular
        | EdgePadding.Reflect -> SlidePadding.Reflect
        | EdgePadding.Replicate -> SlidePadding.Replicate
        | _ -> SlidePadding.Zeros

    // Row and column `length` stand for zeros.
    let places length =
        [| for position in -radius .. length - 1 + radius ->
               Slide.place padding length position |> Option.defaultValue length |> int64 |]
        |> torch.tensor

    let part index = inputs.Head.select (4L, index)

    let extend (map: torch.Tensor) =
        let withZeros =
            torch.nn.functional.pad (map.flatten 3L, [| 0L; 0L; 0L; 1L; 0L; 1L |])

        withZeros
            .index_select(1L, places case.Height)
            .index_select(2L, places case.Width)
            .view(
                int64 case.Batch,
                int64 (case.Height + 2 * radius),
                int64 (case.Width + 2 * radius),
                int64 case.Heads,
                int64 case.Depth
            )

    let queries = (part 0L).mul(torch.tensor (case.Scale, dtype = inputs.Head.dtype))

    SlideAggregation.Attend(
        queries,
        extend (part 1L),
        extend (part 2L),
        inputs[1],
        inputs[2],
        inputs[3],
        WindowGrid(case.Window, 1, radius)
    )

let private kernels (case: Case) (inputs: torch.Tensor list) =
    CudaSlide.Attend(
        inputs[0],
        inputs[1],
        inputs[2],
        inputs[3],
        case.Scale,
        case.Window,
        case.Padding,
        not case.Deformed
    )

/// A sum of n products in float is off by some √n units of its magnitude, and the longest chain adds, for one element of dW,
/// both products of every token after the k²·(k² + d) terms of a token's own sums; a softmax makes the absolute error of its
/// logits, at most 20, one relative to its weights. In 16 bits, on tensor cores, every term of a sum is a rounded product of a
/// rounded factor, and results are rounded again: 8 units cover them and their cancellation. The weight's gradient goes
/// through bfloat16 for half too.
let private toleranceOf (case: Case) (name: string) =
    let terms =
        case.Area * (case.Area + case.Depth) + 2 * case.Batch * case.Height * case.Width

    let inFloat = unitOf torch.ScalarType.Float32 * sqrt (float terms) * 200.0

    match case.Element with
    | torch.ScalarType.Float32 -> inFloat
    | torch.ScalarType.Float16 when name.EndsWith "weight" || name.EndsWith "of the bias" ->
        inFloat + 8.0 * unitOf torch.ScalarType.BFloat16
    | element -> inFloat + 8.0 * unitOf element

let private largest (tensor: torch.Tensor) = tensor.abs().max().ToDouble()

let private checkOn emulated wanted (case: Case) =
    use _ = torch.NewDisposeScope()
    let inputs, slope = inputsOf case
    let exact (tensor: torch.Tensor) = tensor.``to`` torch.ScalarType.Float64

    let expected = evaluate wanted (composite case) (List.map exact inputs, exact slope)

    let actual =
        onDeviceOf emulated (fun () -> evaluate wanted (kernels case) (inputs, slope))

    // Some gradients are zero: windows of one sample have no choice.
    let floor = 1e-2 * (expected |> List.map (snd >> largest) |> List.max)

    for (name, wanted), (_, found) in List.zip expected actual do
        let error = largest (wanted - found) / max floor (largest wanted)

        Expect.isLessThanOrEqual
            error
            (toleranceOf case name)
            $"{name} of %A{case}, relative to its largest element"

/// All gradients; of shifts the weight has none.
let private wantedOf (case: Case) =
    if case.Deformed then
        names
    else
        List.except [ "weight" ] names

let private check case =
    checkOn (device ()) (wantedOf case) case

let private everyWay (case: Case) =
    for way in 0..4 do
        inWay way (fun () -> check case)

/// Maps of any size of one attention: its kernels are compiled once.
let private anyMap (case: Case) =
    gen {
        let! batch = Gen.choose (1, 2)
        let! height = Gen.choose (1, 11)
        let! width = Gen.choose (1, 11)

        return
            { case with
                Batch = batch
                Height = height
                Width = width }
    }
    |> Gen.sample 6
    |> Seq.iter check

let private layer =
    testCase "a layer uses them, forward and backward"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use layer = new SlideLayer(SlideAttention(3, 2), 16)
        let map = numbers 3 "map" [| 1; 4; 5; 16 |] |> toTensor torch.ScalarType.Float32

        let run () =
            layer.zero_grad ()
            let output = layer.forward map
            output.square().sum().backward()

            output.detach ()
            :: [ for name, parameter in namedParameters layer do
                     if parameter.requires_grad then
                         (nonNull parameter.grad).clone() ]

        let expected = run ()
        let mutable actual = []

        let launches =
            launchesOf (device ()) (fun () -> actual <- onDevice run)
            |> List.map (fun launch -> launch.Kernel.Function)

        for name in
            [ "slide_forward"
              "slide_backward_queries"
              "slide_backward_keys"
              "slide_backward_weight" ] do
            Expect.contains launches name "the layer's launches"

        for wanted, found in List.zip expected actual do
            let error = largest (wanted - found) / largest wanted
            Expect.isLessThanOrEqual error (toleranceOf plain "output") "relative to its largest element"

let private products =
    testCase "tensor cores are used for half and bfloat16, and not where the weight only shifts"
    <| fun () ->
        let functions case =
            launchesOf (device ()) (fun () -> inWay 0 (fun () -> check case))
            |> List.map (fun launch -> launch.Kernel.Function)

        let bfloat16 =
            { plain with
                Padding = EdgePadding.Circular
                Depth = 32
                Heads = 1
                Element = torch.ScalarType.BFloat16 }

        Expect.containsAll
            (functions bfloat16)
            [ "slide_product_forward"
              "slide_product_queries"
              "slide_product_keys"
              "slide_product_weight" ]
            "with a weight"

        let shifts = { bfloat16 with Deformed = false }

        let launches =
            launchesOf (device ()) (fun () ->
                use _ = torch.NewDisposeScope()
                onDevice (fun () -> kernels shifts (fst (inputsOf shifts)) |> ignore))
            |> List.map (fun launch -> launch.Kernel.Function)

        Expect.sequenceEqual launches [ "slide_table"; "slide_forward" ] "with shifts"

let private some =
    testCase "gradients of some inputs without the others"
    <| fun () ->
        for wanted in [ [ "projected map" ]; [ "weight" ]; [ "bias" ]; [ "position bias" ] ] do
            checkOn (device ()) wanted plain

let private empty =
    testCase "a batch of no images gives one"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let inputs, _ = inputsOf plain

        let none = torch.zeros ([| 0L; 4L; 5L; 2L; 3L; 8L |], requires_grad = true)

        let output = onDevice (fun () -> kernels plain (none :: inputs.Tail))
        Expect.sequenceEqual output.shape [| 0L; 4L; 5L; 2L; 8L |] "shape"

let private refused =
    testCase "elements that no kernel computes are refused by name"
    <| fun () ->
        use _ = torch.NewDisposeScope()

        let inputs, _ =
            inputsOf
                { plain with
                    Element = torch.ScalarType.Float64 }

        Expect.throwsC (fun () -> onDevice (fun () -> kernels plain inputs) |> ignore) (fun error ->
            Expect.stringContains error.Message "Float64" "message")

let private case name case = testCase name <| fun () -> check case

/// The tests of this file.
let tests =
    testList
        "slide"
        [ testCase "every way gives the same, plain" <| fun () -> everyWay plain
          testCase "every way gives the same, on tensor cores and beside them"
          <| fun () ->
              everyWay
                  { plain with
                      Padding = EdgePadding.Circular
                      Depth = 32
                      Heads = 1
                      Height = 5
                      Width = 9
                      Element = torch.ScalarType.BFloat16 }
          testCase "maps of any size" <| fun () -> anyMap plain
          case
              "a window larger than the map, with its edge repeated"
              { plain with
                  Window = 5
                  Depth = 6
                  Heads = 1
                  Height = 2
                  Width = 3
                  Padding = EdgePadding.Replicate }
          case
              "half, reflected, a step of channels that is not full"
              { plain with
                  Window = 5
                  Depth = 40
                  Heads = 1
                  Height = 9
                  Width = 3
                  Padding = EdgePadding.Reflect
                  Element = torch.ScalarType.Float16 }
          case
              "half, numbers whose products are beyond its range"
              { plain with
                  Window = 5
                  Depth = 40
                  Heads = 1
                  Height = 5
                  Width = 3
                  Padding = EdgePadding.Reflect
                  Element = torch.ScalarType.Float16
                  Magnitude = 300.0
                  Scale = 1e-5 }
          case
              "half, a window of 9 on a smaller map"
              { plain with
                  Window = 9
                  Heads = 1
                  Height = 3
                  Width = 4
                  Element = torch.ScalarType.Float16 }
          case
              "a window of 7, samples in blocks"
              { plain with
                  Window = 7
                  Heads = 1
                  Height = 4
                  Width = 9
                  Padding = EdgePadding.Reflect }
          case
              "a weight that only shifts"
              { plain with
                  Depth = 24
                  Padding = EdgePadding.Circular
                  Deformed = false }
          case "one sample, an odd number of channels" { plain with Window = 1; Depth = 7 }
          testCase "little shared memory, channels in chunks"
          <| fun () ->
              let case =
                  { plain with
                      Depth = 128
                      Heads = 1
                      Height = 3 }

              checkOn (smallDevice ()) (wantedOf case) case
          layer
          products
          some
          empty
          refused ]
