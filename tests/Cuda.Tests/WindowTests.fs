/// Window attention's CUDA kernels against float64, forward and every gradient: windows that a shift, an edge or both cut, of
/// one token to several tiles, heads that fill a product's operands or do not, on tensor cores and on CUDA cores.
module LocalAttention.Cuda.Tests.WindowTests

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Window
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Cuda.Tests.Emulated
open TorchSharp

/// One attention over a projected map.
type private Case =
    {
        Batch: int
        Map: int * int
        Window: int * int
        Shift: int * int
        Heads: int
        Depth: int
        Order: QkvOrder
        /// The window that the biases were made for, or none.
        Biases: int option
        /// The largest query and key.
        Magnitude: float
        Element: torch.ScalarType
    }

let private half = torch.ScalarType.Float16
let private bfloat16 = torch.ScalarType.BFloat16

/// Swin's windows, in one tile.
let private swin =
    { Batch = 2
      Map = 9, 10
      Window = 7, 7
      Shift = 3, 3
      Heads = 2
      Depth = 24
      Order = QkvOrder.QkvMajor
      Biases = Some 7
      Magnitude = 1.0
      Element = torch.ScalarType.Float32 }

/// Windows of 144 tokens, in several tiles, on a map that they do not divide.
let private large =
    { swin with
        Batch = 1
        Map = 13, 15
        Window = 12, 12
        Shift = 6, 6
        Depth = 32
        Order = QkvOrder.HeadMajor
        Biases = Some 12 }

/// All tokens of a map, 300, with the widest heads.
let private everywhere =
    { swin with
        Batch = 1
        Map = 15, 20
        Window = 15, 20
        Shift = 0, 0
        Heads = 1
        Depth = 128
        Biases = None }

let private attentionMap case =
    let axis side =
        WindowAxis(side case.Map, side case.Window, side case.Shift)

    AttentionMap(case.Batch, axis fst, axis snd, case.Heads, case.Depth, case.Order)

/// Numbers between −1 and 1, as the element type holds them.
let private uniform name shape (element: torch.ScalarType) =
    numbers 7 name (Array.ofList shape) |> toTensor element

let private inputsOf case =
    let channels = case.Heads * case.Depth
    let map = [ case.Batch; fst case.Map; snd case.Map ]

    let projected =
        uniform "projected" (map @ [ 3 * channels ]) torch.ScalarType.Float64

    let scale = torch.ones (3L * int64 channels, dtype = torch.ScalarType.Float64)

    // Values keep their magnitude, wherever they stand.
    for head in 0 .. case.Heads - 1 do
        for part in 0..1 do
            scale
                .narrow(0, (attentionMap case).Offset(part, head), int64 case.Depth)
                .fill_(case.Magnitude.ToScalar())
            |> ignore

    let biases =
        case.Biases
        |> Option.map (fun window ->
            uniform "biases" [ (2 * window - 1) * (2 * window - 1); case.Heads ] case.Element)

    (projected * scale).``to`` case.Element, biases, uniform "slope" (map @ [ channels ]) case.Element

/// The output and the gradients of the inputs, in float64.
let private evaluate attend (projected: torch.Tensor, biases: torch.Tensor option, slope: torch.Tensor) =
    let leaf (tensor: torch.Tensor) =
        tensor.detach().clone().requires_grad_ true

    let projected, biases = leaf projected, Option.map leaf biases
    let output: torch.Tensor = attend projected (Option.toObj biases)
    output.backward [| slope |]

    [ "output", output.detach ()
      "gradient of the projected map", projected.grad
      for table in Option.toList biases do
          "gradient of the biases", table.grad ]
    |> List.map (fun (name, tensor) -> name, tensor.``to`` torch.ScalarType.Float64)

/// The same, computed in float64 of the same numbers: by the kernels for processors, which their own tests hold to the oracle.
let private expected case =
    let exact (tensor: torch.Tensor) = tensor.``to`` torch.ScalarType.Float64
    let projected, biases, slope = inputsOf case

    evaluate
        (fun projected table ->
            FusedAttention.Apply(projected, attentionMap case, table, Option.defaultValue 0 case.Biases))
        (exact projected, Option.map exact biases, exact slope)

let private attend case projected table =
    CudaAttention.Apply(projected, attentionMap case, table, Option.defaultValue 0 case.Biases)

/// A weight is rounded to elements before its product, a result after it, and δ is made of rounded results: each of the terms
/// of a sum is off by about two units of itself, and the sum by no more of the largest element, for terms are off
/// independently and cancel alike; 4 units leave a factor of two. Sums in float add a unit of float for each of their terms.
/// A score's own rounding is a float's unit of its magnitude, and the weight's relative error.
let private toleranceOf case =
    let longest = (attentionMap case).Longest
    let score = case.Magnitude * case.Magnitude * sqrt (float case.Depth)

    4.0 * unitOf case.Element
    + (float (case.Depth + longest + 32) + 8.0 * score) * Math.ScaleB(1.0, -24)

let private largest (tensor: torch.Tensor) =
    tensor.``to``(torch.ScalarType.Float64).abs().max().item<float>()

/// What is left of terms that cancel is compared on a scale of a tenth, the terms being of order one.
let private agree tolerance wanted found what =
    for (name, wanted: torch.Tensor), (_, found: torch.Tensor) in List.zip wanted found do
        Expect.sequenceEqual found.shape wanted.shape $"shape of {name}"
        let error = largest (wanted - found) / max 0.1 (largest wanted)

        // Not a number is not below anything.
        if not (error <= tolerance) then
            failtest $"{name} of {what} is off by {error} of its largest element, more than {tolerance}"

let private checkOn device case =
    use _ = torch.NewDisposeScope()
    let found = onDeviceOf device (fun () -> evaluate (attend case) (inputsOf case))
    agree (toleranceOf case) (expected case) found $"%A{case}"

let private check case = checkOn (device ()) case

let private cases name cases =
    testCase name <| fun () -> List.iter check cases

let private everyWay name case =
    testCase name
    <| fun () ->
        let before = device().Questions.Count
        inWay 0 (fun () -> check case)

        let most = device().Questions |> Seq.skip before |> Seq.map _.Count |> Seq.max

        for way in 1 .. most - 1 do
            inWay way (fun () -> check case)

/// Maps of any size at least the window's, so that kernels are compiled once.
let private anyMap name case =
    let maps =
        gen {
            let! batch = Gen.choose (1, 2)
            let! heads = Gen.choose (1, 3)
            let! height = Gen.choose (fst case.Window, 12)
            let! width = Gen.choose (snd case.Window, 12)
            let! down = Gen.choose (0, fst case.Window - 1)
            let! right = Gen.choose (0, snd case.Window - 1)
            let! order = Gen.elements [ QkvOrder.QkvMajor; QkvOrder.HeadMajor ]

            return
                { case with
                    Batch = batch
                    Heads = heads
                    Map = (height, width)
                    Shift = (down, right)
                    Order = order }
        }

    testCase name <| fun () -> maps |> Gen.sample 5 |> Seq.iter check

/// A layer in single precision against its composite in double precision, with the kernels that must have run.
let private layer name (build: unit -> Module) (map: int list) kernels =
    testCase name
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use layer = build () |> inDoubles 5
        layer.``to`` torch.ScalarType.Float32 |> ignore
        layer.``to`` torch.ScalarType.Float64 |> ignore
        let input = numbers 5 "x" (Array.ofList map)
        let cotangent = numbers 5 "cotangent" (Array.ofList map)

        let wanted =
            use _ = Backends.Use Backend.Composite
            gradients layer input cotangent

        layer.``to`` torch.ScalarType.Float32 |> ignore
        let mutable found = wanted

        let launches =
            launchesOf (device ()) (fun () -> found <- onDevice (fun () -> gradients layer input cotangent))

        let functions =
            launches
            |> List.map _.Kernel.Function
            |> List.filter _.StartsWith("window_")
            |> List.distinct

        Expect.equal functions kernels "the kernels that ran"
        // Two projections and attention, sums of at most 400 terms each, of which roundings add up like a random walk.
        let tolerance = 400.0 * Math.ScaleB(1.0, -24)
        within tolerance 0.1 (fst found) (fst wanted) "output"
        allWithin tolerance (snd found) (snd wanted) name

let private whole = [ "window_forward"; "window_backward" ]

let private tiled =
    [ "window_forward"
      "window_deltas"
      "window_query_gradients"
      "window_key_gradients" ]

let private layers =
    testList
        "layers use them, forward and backward"
        [ layer
              "windows, shifted, on a map that they do not divide"
              (fun () -> new WindowLayer(WindowAttention(7, 2, Shifted = true), 48))
              [ 1; 9; 10; 48 ]
              (whole @ [ "window_offsets" ])
          layer "all tokens" (fun () -> new GlobalLayer(GlobalAttention 1, 128)) [ 1; 15; 20; 128 ] tiled
          layer
              "stripes"
              (fun () -> new CrossShapedLayer(CrossShapedAttention(4, 4), 96))
              [ 1; 9; 9; 96 ]
              whole
          testCase "but not for heads that are too wide"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              use layer = new GlobalLayer(GlobalAttention 1, 144)
              let input = uniform "x" [ 1; 2; 3; 144 ] torch.ScalarType.Float32

              let launches =
                  launchesOf (device ()) (fun () -> onDevice (fun () -> layer.call input |> ignore))

              Expect.isFalse
                  (launches |> List.exists _.Kernel.Function.StartsWith("window_"))
                  "no kernel of window attention"

              Expect.throwsT<ArgumentException>
                  (fun () ->
                      onDevice (fun () ->
                          check
                              { everywhere with
                                  Depth = 144
                                  Map = (2, 3)
                                  Window = (2, 3) }))
                  "the kernels themselves refuse" ]

let private inputs =
    testList
        "inputs"
        [ testCase "a part of a larger tensor is what it is by itself"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              use _ = torch.no_grad ()
              let projected, biases, _ = inputsOf swin
              let wide = torch.cat ([| projected; projected |], 3L)
              let part = wide.narrow (3L, 3L, projected.size 3)

              let attend projected =
                  onDevice (fun () -> attend swin projected (Option.toObj biases))

              Expect.equal (largest (attend part - attend (part.contiguous ()))) 0.0 "the difference"

          testCase "no images give no output and no gradient"
          <| fun () ->
              use _ = torch.NewDisposeScope()

              let found =
                  onDevice (fun () ->
                      evaluate (attend { swin with Batch = 0 }) (inputsOf { swin with Batch = 0 }))

              Expect.equal
                  (List.map (fun (_, each: torch.Tensor) -> each.numel ()) found)
                  [ 0L; 0L; 338L ]
                  "elements"

              Expect.equal (largest (snd found[2])) 0.0 "the gradient of the biases"

          testCase "double precision is refused"
          <| fun () ->
              use _ = torch.NewDisposeScope()

              Expect.throwsT<ArgumentException>
                  (fun () ->
                      onDevice (fun () ->
                          evaluate
                              (attend
                                  { swin with
                                      Element = torch.ScalarType.Float64 })
                              (inputsOf
                                  { swin with
                                      Element = torch.ScalarType.Float64 })
                          |> ignore))
                  "an element type that no kernel computes" ]

/// Scores of some 10⁴, of which one takes nearly all the weight: nothing overflows, and results are those of float64.
let private extreme element magnitude =
    { swin with
        Batch = 1
        Element = element
        Magnitude = magnitude }

/// Windows of one token: the weight is 1, and queries and keys have no gradient.
let private single element depth =
    { swin with
        Map = 3, 4
        Window = 1, 1
        Shift = 0, 0
        Depth = depth
        Biases = Some 1
        Element = element }

let private singlePrecision =
    testList
        "single precision"
        [ everyWay "windows in one tile, every way" swin
          anyMap "any map" swin
          everyWay "windows in several tiles, every way" large
          cases "all tokens, wide heads" [ everywhere ]
          cases "windows of one token, odd heads" [ single torch.ScalarType.Float32 5 ]
          cases "extreme scores" [ extreme torch.ScalarType.Float32 60.0 ]
          testCase "little shared memory: gradients in tiles"
          <| fun () -> checkOn (smallDevice ()) swin ]

let private tensorCores =
    testList
        "half and bfloat16"
        [ everyWay "windows in one tile, every way" { swin with Element = half }
          anyMap "any map" { swin with Element = half }
          everyWay "windows in several tiles, every way" { large with Element = bfloat16 }
          cases "all tokens, wide heads" [ { everywhere with Element = half } ]
          cases
              "a tile that a window fills"
              [ { swin with
                    Map = 8, 16
                    Window = 8, 8
                    Shift = 4, 0
                    Depth = 64
                    Biases = None
                    Element = bfloat16 } ]
          cases "windows of one token, narrow and odd heads" [ single half 8; single bfloat16 5 ]
          cases "extreme scores" [ extreme half 60.0 ] ]

/// The tests of this file.
let tests =
    testList "window attention" [ singlePrecision; tensorCores; inputs; layers ]
