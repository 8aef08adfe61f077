/// QnA's kernels for CUDA, run on the host: by themselves on given scores, values and tables, and in layers; forward and every
/// gradient, against the composite in double precision on the same rounded numbers, and against the oracle's loops.
module LocalAttention.Cuda.Tests.QnATests

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.QnA
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Cuda.Emulation
open LocalAttention.Cuda.Tests.Emulated
open LocalAttention.Oracle
open TorchSharp

/// Which places of a window have a scale of their own.
type private Scales =
    | One
    | OfColumns
    | OfPlaces

/// One aggregation.
type private Aggregation =
    {
        Elements: torch.ScalarType
        Batch: int
        Height: int
        Width: int
        Side: int
        Stride: int
        Padding: int
        Upsampling: int
        Queries: int
        Heads: int
        Depth: int
        HasPosition: bool
        Scales: Scales
        /// The largest score, either sign.
        Spread: float
    }

    member case.Sets = case.Upsampling * case.Upsampling
    member case.Columns = case.Sets * case.Queries * case.Heads
    member case.Area = case.Side * case.Side

let private plain =
    { Elements = torch.ScalarType.Float32
      Batch = 1
      Height = 7
      Width = 9
      Side = 3
      Stride = 1
      Padding = 1
      Upsampling = 1
      Queries = 2
      Heads = 2
      Depth = 8
      HasPosition = true
      Scales = OfPlaces
      Spread = 1.0 }

let private ofSide side case =
    { case with
        Side = side
        Padding = side / 2 }

/// Scores, values, position biases and scales, as the element type holds them.
let private inputsOf (case: Aggregation) =
    let make name factor shape =
        use _ = torch.NewDisposeScope()

        numbers 7 name shape
        |> NdArray.map (fun u -> factor * u)
        |> toTensor case.Elements
        |> toArray

    [ "scores", make "scores" case.Spread [| case.Batch; case.Height; case.Width; case.Columns |]
      "values", make "values" 1.0 [| case.Batch; case.Height; case.Width; case.Heads * case.Depth |]
      if case.HasPosition then
          "position", make "position" (min 1.0 case.Spread) [| case.Area; case.Columns |]
      match case.Scales with
      | One -> ()
      | OfColumns -> "scale", make "scale" 1.0 [| 1; case.Columns |]
      | OfPlaces -> "scale", make "scale" 1.0 [| case.Area; case.Columns |] ]

/// Sets of a window's outputs to tokens of a finer map: pixel shuffle.
let private arrange (case: Aggregation) (aggregated: torch.Tensor) =
    let factor = int64 case.Upsampling
    let height, width = aggregated.size 1, aggregated.size 2

    aggregated
        .view(int64 case.Batch, height, width, factor, factor, -1L)
        .permute(0L, 1L, 3L, 2L, 4L, 5L)
        .reshape(int64 case.Batch, height * factor, width * factor, -1L)

let private tableOf name (inputs: Map<string, torch.Tensor>) =
    inputs
    |> Map.tryFind name
    |> Option.defaultValue Unchecked.defaultof<torch.Tensor>

let private composite (case: Aggregation) (inputs: Map<string, torch.Tensor>) =
    let windows = WindowGrid(case.Side, case.Stride, case.Padding)

    let aggregated: torch.Tensor =
        QnAAggregation.Attend(
            inputs["scores"],
            inputs["values"],
            tableOf "position" inputs,
            tableOf "scale" inputs,
            case.Sets,
            case.Heads,
            windows
        )

    arrange case aggregated

let private fused (case: Aggregation) (inputs: Map<string, torch.Tensor>) =
    let token = CudaQnAToken(case.Sets, case.Queries, case.Heads, case.Depth)
    let windows = QnAWindows(case.Side, case.Stride, case.Padding, case.Upsampling)
    let projected = token.Join(inputs["scores"], inputs["values"], 3)

    let attended: torch.Tensor =
        CudaQnA.Attend(projected, tableOf "position" inputs, tableOf "scale" inputs, token, windows)

    attended

/// The output, and the gradients of `sum(output · cotangent)` by those inputs that are wanted.
let private resultsOf elementType wanted attend (case: Aggregation) inputs =
    use _ = torch.NewDisposeScope()

    let tensors =
        inputs
        |> List.map (fun (name, array) ->
            name, (toTensor elementType array).requires_grad_(List.contains name wanted))
        |> Map.ofList

    let output: torch.Tensor = attend case tensors

    // Eighths, which every element type holds.
    let cotangent =
        numbers 7 "cotangent" (Array.map int output.shape)
        |> NdArray.map (fun u -> round (8.0 * u) / 8.0)
        |> toTensor elementType

    if not (List.isEmpty wanted) then
        output.backward [| cotangent |]

    Map.ofList
        [ "output", toArray output
          for KeyValue(name, input) in tensors do
              match Option.ofObj input.grad with
              | Some gradient -> name, toArray gradient
              | None -> () ]

let private fusedResults device wanted (case: Aggregation) inputs =
    onDeviceOf device (fun () -> resultsOf case.Elements wanted fused case inputs)

let private all = [ "scores"; "values"; "position"; "scale" ]

let private singles = unitOf torch.ScalarType.Float32

/// A score with its bias, and each difference from a largest one, is rounded to u of its magnitude: twice on either side, so
/// that a weight is off by 8·spread·u of itself. The sums behind a gradient have a term for each place, channel and query; a
/// table's have one for each window. Then the result is rounded to what is stored; and for tensor cores weights are, whose
/// magnitudes add up to the number of queries.
let private tolerance (case: Aggregation) =
    let windows = float (case.Batch * case.Height * case.Width)

    let stored =
        if case.Elements = torch.ScalarType.Float32 then
            0.0
        else
            float (1 + case.Queries) * unitOf case.Elements

    stored
    + singles
      * (8.0 * (case.Spread + 1.0)
         + float (2 * case.Area + 4 * case.Depth * case.Queries)
         + sqrt (windows * float case.Depth)
         + 32.0)

/// What terms may add up to where they do not cancel: scales and slopes are at most 1, weights of a window sum to 1, and a
/// score's slope is a difference of two products over a head's channels.
let private magnitude (case: Aggregation) name =
    match name with
    | "output"
    | "values" -> 1.0
    | _ -> sqrt (float case.Depth)

let private agree (case: Aggregation) (actual: Map<string, NdArray<float>>) expected what =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"

    for KeyValue(name, array) in expected do
        within (tolerance case) (magnitude case name) actual[name] array $"{what} {name}"

let private compareOn device case =
    let inputs = inputsOf case
    let expected = resultsOf torch.ScalarType.Float64 all composite case inputs
    let actual = fusedResults device all case inputs
    agree case actual expected $"%A{case}:"

let private compare case = compareOn (device ()) case

let private grid name cases =
    testList name [ for case in cases -> testCase $"%A{case}" <| fun () -> compare case ]

/// Tables that are there or not are one compiled kernel, and so are sets of queries, padding and sizes.
let private tables =
    [ for position in [ true; false ] do
          for scales in [ One; OfColumns; OfPlaces ] do
              for upsampling in [ 1; 2 ] ->
                  { plain with
                      HasPosition = position
                      Scales = scales
                      Upsampling = upsampling
                      Batch = 3 - upsampling } ]

/// From scores that are all but equal to scores of which one of each window takes all; between them, on either side of where
/// exponentials are shared.
let private spreads =
    [ for spread in [ 1e-6; 15.0; 25.0; 200.0; 1e4 ] -> { plain with Spread = spread } ]

let private shapes =
    let float32, float16, bfloat16 =
        torch.ScalarType.Float32, torch.ScalarType.Float16, torch.ScalarType.BFloat16

    [ // A window that reaches over every edge, and heads of many channels.
      { ofSide 7 plain with
          Elements = float16
          Queries = 1
          Depth = 32 }
      { ofSide 5 plain with
          Elements = bfloat16
          Queries = 4
          Heads = 8
          Spread = 1e4
          Scales = OfColumns }
      { plain with
          Elements = bfloat16
          Heads = 1
          Depth = 128
          Spread = 30.0 }
      // Steps, and windows that leave tokens out.
      { plain with
          Stride = 2
          Queries = 1
          Heads = 1
          Depth = 24
          Height = 8 }
      { ofSide 1 plain with
          Elements = float16
          Stride = 2
          Upsampling = 1 }
      { ofSide 2 plain with
          Elements = bfloat16
          Padding = 0
          Stride = 3
          Heads = 3
          Depth = 5 }
      // A window over the whole map.
      { plain with
          Side = 7
          Padding = 0
          Height = 7
          Width = 7
          Batch = 2
          Depth = 12
          Elements = float32 }
      // Maps smaller than a tile, and a token alone.
      { plain with Height = 2; Width = 3 }
      { plain with Height = 1; Width = 1 } ]

/// Where shared memory is small, windows are taken in bands of rows, and a window over a whole map is read where it is.
let private little =
    let device = new EmulatedDevice(12 * 1024)

    testList
        "little shared memory"
        [ testCase "windows in bands"
          <| fun () ->
              compareOn
                  (smallDevice ())
                  { ofSide 15 plain with
                      Queries = 1
                      Height = 9 }

          testCase "scores of one window that do not fit"
          <| fun () ->
              let case =
                  { plain with
                      Side = 17
                      Padding = 0
                      Height = 17
                      Width = 18
                      Queries = 4
                      Heads = 1 }

              let launches = launchesOf device (fun () -> compareOn device case)

              Expect.exists
                  launches
                  (fun launch -> launch.Kernel.Constants.Contains "STAGED=0")
                  "scores are read where they are" ]

let private random =
    let generator =
        gen {
            let! height, width = Gen.two (Gen.choose (6, 12))
            let! batch = Gen.choose (1, 2)
            let! padding = Gen.elements [ 0; 1 ]
            let! position = Gen.elements [ true; false ]
            let! scales = Gen.elements [ One; OfColumns; OfPlaces ]
            let! spread = Gen.elements [ 1e-3; 1.0; 10.0; 40.0; 1e4 ]
            let! upsampling = Gen.elements [ 1; 1; 2 ]

            return
                { plain with
                    Batch = batch
                    Height = height
                    Width = width
                    Padding = padding
                    Upsampling = upsampling
                    HasPosition = position
                    Scales = scales
                    Spread = spread }
        }

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 10 }
        "any map equals the composite"
        (Prop.forAll (Arb.fromGen generator) compare)

/// Each gradient is what it is with all others.
let private some =
    testCase "gradients of some inputs without the others"
    <| fun () ->
        let inputs = inputsOf plain
        let complete = fusedResults (device ()) all plain inputs

        for wanted in
            [ []
              [ "scores" ]
              [ "values" ]
              [ "position" ]
              [ "scale" ]
              [ "scores"; "scale" ] ] do
            let actual = fusedResults (device ()) wanted plain inputs
            Expect.sequenceEqual (Map.keys actual) (List.sort ("output" :: wanted)) "names"

            for KeyValue(name, array) in actual do
                Expect.equal array.Elements complete[name].Elements name

/// With a stride of 2 and windows of 1, no window sees the last of four rows: whatever its scores are, they change nothing
/// but what exponentials are shared, hence roundings, and their own gradients are 0.
let private unseen =
    testCase "what no window sees changes nothing"
    <| fun () ->
        let case =
            { ofSide 1 plain with
                Elements = torch.ScalarType.Float16
                Height = 4
                Stride = 2 }

        let inputs = inputsOf case
        let expected = fusedResults (device ()) all case inputs

        for score in [ 1e4; -1e4; Double.PositiveInfinity; Double.NaN ] do
            let changed =
                inputs
                |> List.map (fun (name, array) ->
                    name,
                    NdArray.init array.Shape (fun index ->
                        if name = "scores" && index[1] = 3 then
                            score
                        else
                            array.At index))

            let actual = fusedResults (device ()) all case changed
            agree case actual expected $"beside scores of {score}:"

            for column in 0 .. case.Width - 1 do
                Expect.equal (actual["scores"][0, 3, column, 0]) 0.0 "gradient of a score that no window sees"

/// Whichever tiles a device finds fastest, with tensor cores or without.
let private ways =
    let everyWay case =
        let before = device().Questions.Count
        compare case
        let count = device().Questions |> Seq.skip before |> Seq.map _.Count |> Seq.max
        Expect.isGreaterThan count 1 "ways"

        for way in 1 .. count - 1 do
            inWay way (fun () -> compare case)

    testList
        "every way to divide the work gives the same"
        [ testCase "in single precision"
          <| fun () -> everyWay { plain with Height = 9; Width = 10 }

          for case in
              [ { ofSide 7 plain with
                    Elements = torch.ScalarType.BFloat16
                    Depth = 32
                    Upsampling = 2
                    Queries = 1
                    Heads = 1
                    Height = 6 }
                { plain with
                    Elements = torch.ScalarType.Float16
                    Spread = 1e4
                    Depth = 24
                    Height = 9
                    Width = 10 } ] do
              testCase $"on tensor cores, %A{case.Elements}"
              <| fun () ->
                  let launches = launchesOf (device ()) (fun () -> everyWay case)

                  Expect.exists
                      launches
                      (fun launch -> launch.Kernel.File = "QnAForwardTensor.cu")
                      "a way of tensor cores" ]

let private gradientOf (tensor: torch.Tensor) =
    match tensor.grad with
    | null -> failtest "there is no gradient"
    | gradient -> gradient

let private nothing =
    testCase "a batch without images"
    <| fun () ->
        use _ = torch.NewDisposeScope()

        let token = CudaQnAToken(1, 2, 2, 8)
        let projected = torch.zeros(0L, 5L, 6L, int64 token.Width).requires_grad_ true
        let scale = torch.ones(1L, int64 token.Columns).requires_grad_ true

        let output =
            onDevice (fun () ->
                CudaQnA.Attend(
                    projected,
                    Unchecked.defaultof<torch.Tensor>,
                    scale,
                    token,
                    QnAWindows(3, 1, 1, 1)
                ))

        Expect.sequenceEqual output.shape [ 0L; 5L; 6L; 16L ] "shape"
        output.sum().backward()

        Expect.equal
            (toArray (gradientOf projected)).Shape
            (Array.map int projected.shape)
            "gradient of the map"

        Expect.sequenceEqual
            (toArray (gradientOf scale)).Elements
            (Array.zeroCreate token.Columns)
            "gradient of the scales"

let private refusals =
    testCase "elements of another type are refused by name"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let token = CudaQnAToken(1, 2, 2, 8)

        let projected =
            torch.zeros (1L, 5L, 6L, int64 token.Width, dtype = torch.ScalarType.Float64)

        let attend () =
            CudaQnA.Attend(
                projected,
                Unchecked.defaultof<torch.Tensor>,
                Unchecked.defaultof<torch.Tensor>,
                token,
                QnAWindows(3, 1, 1, 1)
            )
            |> ignore

        Expect.throwsC (fun () -> onDevice attend) (fun error ->
            Expect.isTrue (error :? ArgumentException) "kind of error"
            Expect.stringContains error.Message "Float64" "message")

/// Layers of every mode; modes alone do not make another kernel.
let private layerCases =
    let qna scale position norm =
        QnAAttention(3, 2, Queries = 2, Scale = scale, Position = position, Norm = norm, Bias = true)

    let case attention =
        { Attention = attention
          Inputs = 6
          Outputs = 16
          Stride = 1
          Upsampling = 1
          Pools = false
          Map = ImageSize(7, 6)
          Batch = 1
          Seed = 3 }

    let usual = qna AttentionScale.Normal PositionBias.Relative QueryNorm.Free

    [ for scale in Enum.GetValues<AttentionScale>() do
          for position in Enum.GetValues<PositionBias>() do
              case (qna scale position QueryNorm.Unit)
      { case (usual.With(bias = false)) with
          Upsampling = 2 }
      { case usual with
          Stride = 2
          Map = ImageSize(13, 12) }
      { case ((qna AttentionScale.Ones PositionBias.Relative QueryNorm.Free).With(window = 6)) with
          Pools = true
          Map = ImageSize.Square 6
          Batch = 2 } ]

/// A sum of n products is off by some √n·u of its magnitude, a softmax turns the absolute error of its scores, at most 20 here,
/// into a relative error of its weights, and the largest element of a result is at least a tenth of the magnitudes summed.
let private layerTolerance (case: LayerCase) =
    let area =
        match case.Attention with
        | :? QnAAttention as qna -> qna.Queries * qna.Window * qna.Window
        | other -> invalidArg (nameof case) $"{other} is no QnA"

    singles * sqrt (float (3 * max case.Inputs case.Outputs + area)) * 20.0 * 10.0

let private compareLayer (case: LayerCase) =
    use layer = build case
    // The reference in double precision, of parameters that single precision holds exactly.
    layer.``to`` torch.ScalarType.Float32 |> ignore
    layer.``to`` torch.ScalarType.Float64 |> ignore

    let x =
        use single = toTensor torch.ScalarType.Float32 (input case)
        toArray single

    let evaluate () =
        use _ = torch.NewDisposeScope()
        let elementType = (namedParameters layer |> List.head |> snd).dtype
        let shape = layer.forward(toTensor elementType x).shape |> Array.map int
        let output, slopes = gradients layer x (numbers case.Seed "cotangent" shape)
        Map.add "output" output slopes

    let expected =
        use _ = Backends.Use Backend.Composite
        evaluate ()

    let loops = Derivative.evaluate (oracle case) (parametersOf layer |> Map.add "x" x)

    layer.``to`` torch.ScalarType.Float32 |> ignore
    let launches = device().Launches.Count
    let actual = onDevice evaluate
    Expect.equal (device().Launches.Count - launches) 4 "kernels of a pass forward, and of one both ways"

    let largest = expected |> Map.values |> Seq.map NdArray.largest |> Seq.max
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) "names"

    for KeyValue(name, array) in expected do
        // What is small beside the largest is what is left of terms of that size.
        within (layerTolerance case) (max 0.1 (1e-2 * largest)) actual[name] array $"{name} of {case}"

    within (layerTolerance case) 0.1 actual["output"] loops $"the output of {case} beside the loops"

let private layers =
    testList "layers" [ for case in layerCases -> testCase $"%A{case}" <| fun () -> compareLayer case ]

/// The tests of this file.
let tests =
    testList
        "qna"
        [ grid "tables and sets" tables
          grid "spreads" spreads
          grid "shapes" shapes
          little
          random
          some
          unseen
          ways
          nothing
          refusals
          layers ]
