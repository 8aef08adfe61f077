/// Neighbourhood attention's CUDA kernels against the composite layer in float64, forward and every gradient: both ways to
/// divide the work, windows at every border, dilations that do not divide the map, heads that fill lanes or do not.
module LocalAttention.Cuda.Tests.NeighbourhoodTests

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Cuda.Tests.Emulated
open TorchSharp

/// One attention over a projected map.
type private Case =
    { Batch: int
      Height: int
      Width: int
      Heads: int
      Depth: int
      Window: int
      Dilation: int
      Biased: bool
      Element: torch.ScalarType }

let private plain =
    { Batch = 1
      Height = 6
      Width = 7
      Heads = 2
      Depth = 8
      Window = 3
      Dilation = 1
      Biased = true
      Element = torch.ScalarType.Float32 }

/// Numbers between −1 and 1, as the element type holds them.
let private uniform name shape (element: torch.ScalarType) =
    numbers 7 name (Array.ofList shape) |> toTensor element

let private inputsOf case =
    let channels = case.Heads * case.Depth
    let offsets = 2 * case.Window - 1
    let map = [ case.Batch; case.Height; case.Width ]

    let projected = uniform "projected" (map @ [ 3 * channels ]) case.Element
    let slope = uniform "slope" (map @ [ channels ]) case.Element

    let biases =
        if case.Biased then
            Some(uniform "rpb" [ case.Heads; offsets; offsets ] case.Element)
        else
            None

    projected, biases, slope

let private gradientOf (tensor: torch.Tensor) =
    match tensor.grad with
    | null -> failtest "there is no gradient"
    | gradient -> gradient.clone ()

/// The output and the gradients of the inputs, in float64.
let private evaluate attend (projected: torch.Tensor, biases: torch.Tensor option, slope: torch.Tensor) =
    let leaf (tensor: torch.Tensor) =
        tensor.detach().clone().requires_grad_ true

    let projected, biases = leaf projected, Option.map leaf biases
    let output: torch.Tensor = attend projected (Option.toObj biases)
    output.backward [| slope |]

    [ "output", output.detach ()
      "gradient of the projected map", gradientOf projected
      for table in Option.toList biases do
          "gradient of the biases", gradientOf table ]
    |> List.map (fun (name, tensor) -> name, tensor.``to`` torch.ScalarType.Float64)

/// Every term of an output or gradient is rounded to the element type as a weight and again with the result, and δ takes the
/// rounding of the stored output with it: 16 units of the largest element cover them and their cancellation. Sums in float
/// over channels and windows add one unit of float for each term.
let private toleranceOf case =
    16.0 * unitOf case.Element
    + float (case.Depth + 2 * case.Window * case.Window + 32)
      * unitOf torch.ScalarType.Float32

let private largest (tensor: torch.Tensor) =
    tensor.``to``(torch.ScalarType.Float64).abs().max().item<float>()

let private check case =
    use _ = torch.NewDisposeScope()
    let projected, biases, slope = inputsOf case
    let exact (tensor: torch.Tensor) = tensor.``to`` torch.ScalarType.Float64

    let expected =
        evaluate
            (fun projected table ->
                NeighbourhoodAggregation.Attend(projected, case.Heads, case.Window, case.Dilation, table))
            (exact projected, Option.map exact biases, exact slope)

    let actual =
        onDevice (fun () ->
            evaluate
                (fun projected table ->
                    CudaNeighbourhood.Apply(projected, case.Heads, case.Window, case.Dilation, table))
                (projected, biases, slope))

    for (name, wanted), (_, found) in List.zip expected actual do
        let error = largest (wanted - found) / largest wanted

        Expect.isLessThanOrEqual
            error
            (toleranceOf case)
            $"{name} of %A{case}, relative to its largest element"

/// The ways that there are to divide a pass.
let private waysOf case pass =
    use _ = torch.NewDisposeScope()
    let projected, _, _ = inputsOf case

    let map =
        NeighbourhoodMap(projected, case.Heads, case.Window, case.Dilation, case.Biased)

    NeighbourhoodTile.Of(&map, pass, device().Limits.SharedMemory).Count

let private everyWay case =
    let passes =
        [ NeighbourhoodPass.Forward; NeighbourhoodPass.Queries; NeighbourhoodPass.Keys ]

    for way in 0 .. List.max (List.map (waysOf case) passes) - 1 do
        inWay way (fun () -> check case)

/// Maps of any size of one attention: its kernels are compiled once.
let private maps case =
    gen {
        let! batch = Gen.choose (1, 2)
        let! height = Gen.choose (case.Window * case.Dilation, 11)
        let! width = Gen.choose (case.Window * case.Dilation, 13)

        return
            { case with
                Batch = batch
                Height = height
                Width = width }
    }

let private anyMap name ways case =
    testCase name
    <| fun () ->
        for index, drawn in maps case |> Gen.sample 6 |> Seq.indexed do
            inWay (List.item (index % List.length ways) ways) (fun () -> check drawn)

let private layer =
    test "a layer uses them, forward and backward" {
        use _ = torch.NewDisposeScope()

        use layer =
            new NeighbourhoodLayer(NeighbourhoodAttention(3, 2).With(dilation = 2), 16)

        let input = uniform "input" [ 1; 7; 6; 16 ] torch.ScalarType.Float32

        let biases =
            Seq.head (namedParameters layer |> Seq.filter (fst >> (=) "rpb") |> Seq.map snd)

        let run () =
            let leaf = input.clone().requires_grad_ true
            layer.zero_grad ()
            let output = layer.call leaf
            output.backward [| torch.ones_like output |]
            output.detach (), gradientOf leaf, gradientOf biases

        let expected =
            use _ = Backends.Use Backend.Composite
            run ()

        let mutable actual = expected
        let launches = launchesOf (device ()) (fun () -> actual <- onDevice run)

        Expect.equal
            (launches |> List.map _.Kernel.Function)
            [ "neighbourhood_forward"
              "neighbourhood_query_gradients"
              "neighbourhood_key_gradients"
              "neighbourhood_bias_gradients" ]
            "the kernels that ran"

        let (a, b, c), (x, y, z) = expected, actual

        for wanted, found in [ a, x; b, y; c, z ] do
            Expect.isLessThan
                (largest (wanted - found))
                // Both in float: twice the bound of one.
                (2.0 * toleranceOf plain * largest wanted)
                "as the composite"
    }

let private half = torch.ScalarType.Float16

let tests =
    testList
        "neighbourhood"
        [ testCase "every way, single precision" <| fun () -> everyWay plain
          testCase "every way, half precision"
          <| fun () -> everyWay { plain with Element = half }
          anyMap "any map" [ 2 ] plain
          anyMap
              "any map, dilated, no biases"
              [ 1 ]
              { plain with
                  Dilation = 2
                  Biased = false
                  Depth = 24 }
          anyMap
              "any map, on tensor cores"
              [ 0; 3 ]
              { plain with
                  Element = half
                  Depth = 24
                  Window = 5 }
          anyMap
              "any map, bfloat16"
              [ 0 ]
              { plain with
                  Element = torch.ScalarType.BFloat16
                  Dilation = 2 }
          testCase "odd channels"
          <| fun () ->
              check { plain with Depth = 5 }

              check { plain with Depth = 5; Element = half }
          testCase "wide heads and windows"
          <| fun () ->
              check
                  { plain with
                      Depth = 128
                      Heads = 1
                      Window = 5
                      Height = 6
                      Width = 5 }
          layer ]
