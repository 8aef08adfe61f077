/// QnA's kernel by itself, on given scores, values and tables: scores that spread from nothing to ±1e4, windows by spectra and
/// by sums, strides, sets and queries at once, and gradients of some inputs without the others.
module LocalAttention.Kernels.Tests.QnAKernel

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels.QnA
open LocalAttention.Core.Layers
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

/// Which positions of a window have a scale of their own.
type Scales =
    | One
    | OfColumns
    | OfPositions

/// One aggregation.
type QnACase =
    {
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
        /// How many times larger each channel of a head is than the one before.
        Growth: float
    }

    member case.Columns = case.Upsampling * case.Upsampling * case.Queries * case.Heads
    member case.Area = case.Side * case.Side

let private plain =
    { Batch = 2
      Height = 7
      Width = 9
      Side = 3
      Stride = 1
      Padding = 1
      Upsampling = 1
      Queries = 2
      Heads = 8
      Depth = 8
      HasPosition = true
      Scales = OfPositions
      Spread = 1.0
      Growth = 1.0 }

let private ofSide side case =
    { case with
        Side = side
        Padding = side / 2 }

/// Numbers that single precision holds exactly: scores, values, position biases and scales.
let private inputsOf (case: QnACase) =
    let make name factor shape =
        numbers 7 name shape |> NdArray.map (fun u -> float (float32 (factor * u)))

    let values =
        make "values" 1.0 [| case.Batch; case.Height; case.Width; case.Heads; case.Depth |]
        |> fun array ->
            NdArray.init array.Shape (fun index ->
                float (float32 (array.At index * Math.Pow(case.Growth, float index[4]))))
        |> NdArray.reshape [| case.Batch; case.Height; case.Width; case.Heads * case.Depth |]

    [ "scores", make "scores" case.Spread [| case.Batch; case.Height; case.Width; case.Columns |]
      "values", values
      if case.HasPosition then
          "position", make "position" (min 1.0 case.Spread) [| case.Area; case.Columns |]
      match case.Scales with
      | One -> ()
      | OfColumns -> "scale", make "scale" 1.0 [| 1; case.Columns |]
      | OfPositions -> "scale", make "scale" 1.0 [| case.Area; case.Columns |] ]

/// Sets of a window's outputs to tokens of a finer map: pixel shuffle.
let private arrange (case: QnACase) (aggregated: torch.Tensor) =
    let factor = int64 case.Upsampling
    let height, width = aggregated.size 1, aggregated.size 2

    aggregated
        .view(int64 case.Batch, height, width, factor, factor, -1L)
        .permute(0L, 1L, 3L, 2L, 4L, 5L)
        .reshape(int64 case.Batch, height * factor, width * factor, -1L)

let private composite (case: QnACase) (inputs: Map<string, torch.Tensor>) =
    let sets = case.Upsampling * case.Upsampling
    let windows = WindowGrid(case.Side, case.Stride, case.Padding)

    let aggregated: torch.Tensor =
        QnAAggregation.Attend(
            inputs["scores"],
            inputs["values"],
            Option.toObj (Map.tryFind "position" inputs),
            Option.toObj (Map.tryFind "scale" inputs),
            sets,
            case.Heads,
            windows
        )

    arrange case aggregated

/// The kernel takes and gives its own order of columns and channels.
let private fused (case: QnACase) (inputs: Map<string, torch.Tensor>) =
    let values = inputs["values"]
    let sets = case.Upsampling * case.Upsampling
    let layout = QnALayout.For(sets, case.Queries, case.Heads, case.Depth, values.dtype)

    let projected =
        torch.cat ([| layout.PickColumns(inputs["scores"], 3); layout.PickValues(values, 3) |], 3L)

    let position =
        match Map.tryFind "position" inputs with
        | Some table -> layout.PickColumns(table, 1)
        | None -> Unchecked.defaultof<torch.Tensor>

    let scale =
        match Map.tryFind "scale" inputs with
        | Some table -> table
        | None -> torch.ones (1L, int64 case.Columns, dtype = values.dtype)

    let windows = QnAWindows(case.Side, case.Stride, case.Padding, case.Upsampling)

    let attended: torch.Tensor =
        FusedQnA.Attend(projected, position, layout.PickColumns(scale, 1), layout, windows)

    // Each channel from where it stands.
    let identity = torch.eye(int64 (case.Heads * case.Depth)).``to`` values.dtype
    attended.matmul (layout.PickValues(identity, 1).t())

/// Each channel over its own magnitude.
let private levelled (case: QnACase) (output: NdArray<float>) =
    NdArray.init output.Shape (fun index ->
        output.At index / Math.Pow(case.Growth, float (index[3] % case.Depth)))

let private results (elementType: torch.ScalarType) wanted attend (case: QnACase) =
    use _ = torch.NewDisposeScope()

    let inputs =
        inputsOf case
        |> List.map (fun (name, array) ->
            name, (toTensor elementType array).requires_grad_(List.contains name wanted))
        |> Map.ofList

    let output: torch.Tensor = attend case inputs

    let cotangent =
        toTensor elementType (numbers 7 "cotangent" (Array.map int output.shape))

    if not (List.isEmpty wanted) then
        output.mul(cotangent).sum().backward()

    Map.ofList
        [ "output", levelled case (toArray output)
          for KeyValue(name, input) in inputs do
              match Option.ofObj input.grad with
              | Some gradient -> name, toArray gradient
              | None -> () ]

let private all = [ "scores"; "values"; "position"; "scale" ]

let private doubles, singles = Math.Pow(2.0, -53.0), Math.Pow(2.0, -24.0)

/// A score with its bias, and each difference from a largest one, is rounded to u of its magnitude: twice on either side,
/// so that a weight is off by 8·spread·u of itself. The sums behind a gradient have a term for each position, channel and
/// query; a table's have one for each window, of which about one in `area` weighs. A transform's error is that of its tile,
/// 12 units of 64 times a window's magnitude at the very most, and by random signs a hundredth of it: 8 units.
let private tolerance unit (case: QnACase) =
    let windows = float (case.Batch * case.Height * case.Width) / float case.Area

    unit
    * (8.0 * (case.Spread + 1.0)
       + float (2 * case.Area + 4 * case.Depth * case.Queries)
       + sqrt (windows * float case.Depth)
       + 32.0)

/// What terms may add up to where they do not cancel: scales and slopes are at most 1, weights of a window sum to 1, and a
/// score's slope is a difference of two products over a head's channels.
let private magnitude (case: QnACase) name =
    let largest = Math.Pow(case.Growth, float (case.Depth - 1)) |> max 1.0

    match name with
    | "output"
    | "values" -> float case.Queries
    | _ -> float case.Depth * largest

let private agree unit (case: QnACase) (actual: Map<string, NdArray<float>>) expected what =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"

    for KeyValue(name, array) in expected do
        within (tolerance unit case) (magnitude case name) actual[name] array $"{what} {name}"

let private compare case =
    let expected = results torch.ScalarType.Float64 all composite case

    for width in widths do
        atWidth width (fun () ->
            let inDoubles = results torch.ScalarType.Float64 all fused case
            agree doubles case inDoubles expected $"{case} in doubles at {width}:"
            let inSingles = results torch.ScalarType.Float32 all fused case
            agree singles case inSingles expected $"{case} in singles at {width}:")

let private cases =
    [ for position in [ true; false ] do
          for scales in [ One; OfColumns; OfPositions ] do
              for side in [ 1; 3; 5; 15 ] ->
                  { ofSide side plain with
                      HasPosition = position
                      Scales = scales }
      for heads, depth in [ 1, 1; 3, 3; 2, 20; 5, 8; 16, 4; 20, 3 ] do
          for queries in [ 1; 2; 3 ] ->
              { plain with
                  Heads = heads
                  Depth = depth
                  Queries = queries }
      for stride in [ 1; 2; 3 ] do
          for side in [ 1; 2; 4; 5 ] ->
              { plain with
                  Side = side
                  Stride = stride
                  Padding = 0
                  Heads = 2 }
      for upsampling in [ 2; 3 ] ->
          { plain with
              Upsampling = upsampling
              Heads = 2
              Depth = 3 }
      for height, width in [ 1, 1; 1, 4; 3, 1 ] ->
          { ofSide 7 plain with
              Height = height
              Width = width } ]

/// From scores that are all but equal to scores of which one of each window takes all; between them, on either side of where
/// exponentials are shared.
let private spreads =
    [ for spread in [ 1e-6; 15.0; 25.0; 100.0; 200.0; 1e3; 1e4 ] do
          for side in [ 3; 7 ] ->
              { ofSide side plain with
                  Spread = spread
                  Heads = 3
                  Depth = 5 } ]

/// Windows by spectra: a tile, a tile whose edge wraps, tiles that overlap, an odd channel, several vectors of scores; and
/// numbers that spectra do not suit.
let private large =
    let map height width case =
        { case with
            Batch = 1
            Heads = 2
            Depth = 3
            Height = height
            Width = width }

    [ for side in [ 9; 15; 31 ] do
          for height, width in [ 33, 40; 56, 56; 60, 33; 70, 90 ] -> plain |> ofSide side |> map height width
      yield
          { (plain |> ofSide 11 |> map 36 35) with
              Heads = 24
              Depth = 1 }
      for growth in [ 0.01; 30.0; 1e3 ] ->
          { (plain |> ofSide 11 |> map 40 36) with
              Growth = growth }
      for spread in [ 5.0; 12.0; 19.0; 50.0 ] ->
          { (plain |> ofSide 11 |> map 40 36) with
              Spread = spread } ]

let private grid name cases =
    testList name [ for case in cases -> testCase $"%A{case}" <| fun () -> compare case ]

let private random =
    let generator =
        gen {
            let! height, width = Gen.two (Gen.choose (1, 20))
            let! side = Gen.elements [ 1; 2; 3; 4; 5; 7; 9 ]
            let! padding = Gen.elements [ 0; side / 2 ]
            let! stride = Gen.choose (1, 3)
            let! queries = Gen.choose (1, 3)
            let! heads = Gen.elements [ 1; 2; 3; 8; 9 ]
            let! depth = Gen.elements [ 1; 2; 3; 8; 20 ]
            let! position = Gen.elements [ true; false ]
            let! scales = Gen.elements [ One; OfColumns; OfPositions ]
            let! spread = Gen.elements [ 1e-3; 1.0; 10.0; 40.0; 1e4 ]
            let! upsampling = Gen.elements [ 1; 1; 2 ]

            return
                { Batch = 1
                  // No pooling window is larger than its map.
                  Height = max height (side - 2 * padding)
                  Width = max width (side - 2 * padding)
                  Side = side
                  Stride = stride
                  Padding = padding
                  Upsampling = upsampling
                  Queries = queries
                  Heads = heads
                  Depth = depth
                  HasPosition = position
                  Scales = scales
                  Spread = spread
                  Growth = 1.0 }
        }

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 60 }
        "any case equals the composite"
        (Prop.forAll (Arb.fromGen generator) compare)

/// Each gradient is what it is with all others.
let private some =
    testCase "gradients of some inputs without the others"
    <| fun () ->
        let complete = results torch.ScalarType.Float64 all fused plain

        for wanted in
            [ [ "scores" ]
              [ "values" ]
              [ "position" ]
              [ "scale" ]
              [ "scores"; "scale" ] ] do
            let actual = results torch.ScalarType.Float64 wanted fused plain
            Expect.sequenceEqual (Map.keys actual) (List.sort ("output" :: wanted)) "names"

            for KeyValue(name, array) in actual do
                Expect.equal array.Elements complete[name].Elements name

/// With a stride of 2 and windows of 1, no window sees the last of four rows: whatever its scores are, they change nothing
/// but what sums are shared, hence roundings, and their own gradients are 0.
let private unseen =
    testCase "what no window sees changes nothing"
    <| fun () ->
        let case =
            { ofSide 1 plain with
                Height = 4
                Stride = 2 }

        let gradients elementType lastRow =
            use _ = torch.NewDisposeScope()

            let inputs =
                inputsOf case
                |> List.map (fun (name, array) ->
                    let array =
                        NdArray.init array.Shape (fun index ->
                            match name, lastRow with
                            | "scores", Some(score: float) when index[1] = 3 -> score
                            | _ -> array.At index)

                    name, (toTensor elementType array).requires_grad_ true)
                |> Map.ofList

            let output = fused case inputs
            output.sum().backward()

            Map.ofList
                [ "output", toArray output
                  for KeyValue(name, input) in inputs do
                      match Option.ofObj input.grad with
                      | Some gradient -> name, toArray gradient
                      | None -> () ]

        for elementType, unit in [ torch.ScalarType.Float32, singles; torch.ScalarType.Float64, doubles ] do
            for width in widths do
                atWidth width (fun () ->
                    let expected = gradients elementType None

                    for score in [ 1e4; -1e4; Double.PositiveInfinity; Double.NaN ] do
                        let actual = gradients elementType (Some score)

                        agree
                            unit
                            case
                            actual
                            expected
                            $"beside scores of {score}, {elementType} at {width}:"

                        for column in 0 .. case.Width - 1 do
                            Expect.equal
                                (actual["scores"][0, 3, column, 0])
                                0.0
                                "gradient of a score that no window sees")

let private threads =
    testCase "every number of threads gives the same bits"
    <| fun () ->
        for case in
            [ { plain with Height = 33 }
              ofSide 9 { plain with Height = 40; Width = 36 }
              { plain with Spread = 1e3 } ] do
            let bits count =
                onThreads count (fun () ->
                    results torch.ScalarType.Float32 all fused case
                    |> Map.map (fun _ array -> Array.map BitConverter.DoubleToInt64Bits array.Elements))

            let expected = bits 1

            for count in [ 2; 3 ] do
                for KeyValue(name, elements) in bits count do
                    Expect.isTrue (elements = expected[name]) $"{name} on {count} threads, {case}"

/// What is stored in bfloat16 is read exactly and the sums are single precision's: only the result is rounded, to 2⁻⁹ of
/// itself, and the picking of channels, a sum of one term, keeps it.
let private halves =
    testCase "storage in bfloat16 is as near as its eight bits"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()

        for case in [ plain; ofSide 9 { plain with Height = 30; Width = 20 } ] do
            let stored =
                inputsOf case
                |> List.map (fun (name, array) -> name, toTensor torch.ScalarType.BFloat16 array)
                |> Map.ofList

            let expected =
                stored
                |> Map.map (fun _ tensor -> tensor.``to`` torch.ScalarType.Float64)
                |> composite case
                |> toArray

            for width in widths do
                let actual = atWidth width (fun () -> toArray (fused case stored))

                within
                    (Math.Pow(2.0, -9.0) + tolerance singles case)
                    (magnitude case "output")
                    actual
                    expected
                    $"{case} at {width}"

/// The tests of this file.
let tests =
    testList
        "qna kernel"
        [ grid "equals the composite, with all gradients" cases
          grid "scores of every spread" spreads
          grid "large windows" large
          random
          some
          unseen
          threads
          halves ]
