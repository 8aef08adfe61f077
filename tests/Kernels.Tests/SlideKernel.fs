/// The kernel of Slide Attention by itself, on a projected map: rows longer than what is kept at a time, bands of rows, seams,
/// windows of any size, weights that are exactly shifts, and gradients of some inputs without the others.
module LocalAttention.Kernels.Tests.SlideKernel

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels.Slide
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

/// One attention over a projected map.
type SlideCase =
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
      Scale = 0.4 }

/// The projected map, the weight, the bias and the position bias: numbers between −1 and 1, the weight by its fan-in, that
/// single precision holds exactly.
let private inputsOf (case: SlideCase) =
    let make name shape = numbers 5 name shape
    let rounded = NdArray.map (fun (x: float) -> float (float32 x))

    let weight =
        if case.Deformed then
            make "weight" [| case.Depth; case.Area; case.Area |]
            |> NdArray.map (fun w -> w * sqrt (3.0 / float case.Area))
        else
            NdArray.init [| case.Depth; case.Area; case.Area |] (fun index ->
                if index[1] = index[2] then 1.0 else 0.0)

    [ make "projected" [| case.Batch; case.Height; case.Width; case.Heads; 3; case.Depth |]
      weight
      make "bias" [| case.Depth; case.Area |]
      make "rpb" [| case.Heads; case.Area |] ]
    |> List.map rounded

let private fused (case: SlideCase) (inputs: torch.Tensor list) =
    match inputs with
    | [ projected; weight; bias; positionBias ] ->
        FusedSlide.Attend(projected, weight, bias, positionBias, case.Scale, case.Window, case.Padding)
    | _ -> failwith "four inputs"

/// The same by the composite definition, on a map that is extended by gathering rows and columns.
let private composite (case: SlideCase) (inputs: torch.Tensor list) =
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

    match inputs with
    | [ projected; weight; bias; positionBias ] ->
        let part index = projected.select (4L, index)
        let queries = (part 0L).mul(torch.tensor (case.Scale, dtype = projected.dtype))

        SlideAggregation.Attend(
            queries,
            extend (part 1L),
            extend (part 2L),
            weight,
            bias,
            positionBias,
            WindowGrid(case.Window, 1, radius)
        )
    | _ -> failwith "four inputs"

let private names = [ "projected"; "weight"; "bias"; "rpb" ]

/// The output and the gradients of the inputs that are wanted.
let private results
    (elementType: torch.ScalarType)
    (wanted: string list)
    (attend: SlideCase -> torch.Tensor list -> torch.Tensor)
    (case: SlideCase)
    =
    use _ = torch.NewDisposeScope()

    let inputs =
        List.zip names (inputsOf case)
        |> List.map (fun (name, array) ->
            (toTensor elementType array).requires_grad_(List.contains name wanted))

    let output = attend case inputs

    let cotangent =
        toTensor elementType (numbers 5 "cotangent" (Array.map int output.shape))

    if not (List.isEmpty wanted) then
        output.mul(cotangent).sum().backward()

    Map.ofList
        [ "output", toArray output
          for name, input in List.zip names inputs do
              match Option.ofObj input.grad with
              | Some gradient -> name, toArray gradient
              | None -> () ]

/// A sum of n products is off by some √n·u of its magnitude, and the longest chain here adds, for one element of dW, both
/// products of every token after the k²·(k² + d) terms of a token's own sums. A softmax turns the absolute error of its
/// logits, at most 20, into a relative one of its weights; the largest element of a result is at least a tenth of the
/// magnitudes summed.
let private tolerance unit (case: SlideCase) =
    let terms =
        case.Area * (case.Area + case.Depth) + 2 * case.Batch * case.Height * case.Width

    unit * sqrt (float terms) * 20.0 * 10.0

let private doubles, singles = Math.Pow(2.0, -53.0), Math.Pow(2.0, -24.0)

/// bfloat16 has 8 significant bits: rounding to nearest is off by 2⁻⁸ of a number at most.
let private halves = Math.Pow(2.0, -8.0)

let private agree
    tolerance
    (actual: Map<string, NdArray<float>>)
    (expected: Map<string, NdArray<float>>)
    what
    =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"
    let largest = expected |> Map.values |> Seq.map NdArray.largest |> Seq.max

    for KeyValue(name, array) in expected do
        within tolerance (1e-2 * largest) actual[name] array $"{what} {name}"

let private compare case =
    let expected = results torch.ScalarType.Float64 names composite case

    for width in widths do
        atWidth width (fun () ->
            let inDoubles = results torch.ScalarType.Float64 names fused case
            agree (tolerance doubles case) inDoubles expected $"{case} in doubles at {width}:"
            let inSingles = results torch.ScalarType.Float32 names fused case
            agree (tolerance singles case) inSingles expected $"{case} in singles at {width}:")

let private fits (case: SlideCase) =
    let shorter = min case.Height case.Width

    match case.Padding with
    | EdgePadding.Reflect -> case.Window / 2 < shorter
    | EdgePadding.Circular -> case.Window / 2 <= shorter
    | _ -> true

let private grid =
    [ for padding in Enum.GetValues<EdgePadding>() do
          for window in [ 1; 3; 5; 7; 9 ] do
              for height, width in [ 1, 1; 2, 3; 4, 9; 9, 4 ] do
                  for deformed in [ true; false ] ->
                      { plain with
                          Padding = padding
                          Window = window
                          Height = height
                          Width = width
                          Deformed = deformed }

          for depth in [ 1; 3; 5; 16; 20; 32; 33 ] do
              yield
                  { plain with
                      Padding = padding
                      Depth = depth }
          // Rows of one segment and of several, whole and not.
          for width in [ 63; 64; 65; 130 ] do
              for window in [ 3; 5 ] ->
                  { plain with
                      Padding = padding
                      Window = window
                      Heads = 1
                      Width = width }
          // Bands with whole rows, bands that are all seam, one band.
          for height in [ 12; 13; 40 ] do
              for window in [ 1; 3; 5 ] ->
                  { plain with
                      Padding = padding
                      Window = window
                      Height = height
                      Width = 3 }

          yield
              { plain with
                  Padding = padding
                  Batch = 20
                  Height = 14 } ]
    |> List.filter fits

let private random =
    gen {
        let! window = Gen.elements [ 1; 3; 5; 7 ]
        let! height = Gen.choose (1, 20)
        let! width = Gen.choose (1, 20)
        let! depth = Gen.choose (1, 36)
        let! batch = Gen.choose (1, 3)
        let! heads = Gen.choose (1, 3)
        let! padding = Gen.elements (Enum.GetValues<EdgePadding>())
        let! deformed = Gen.elements [ true; true; false ]

        return
            { Batch = batch
              Height = height
              Width = width
              Heads = heads
              Depth = depth
              Window = window
              Padding = padding
              Deformed = deformed
              Scale = 0.3 }
    }
    |> Gen.where fits

let private large =
    { plain with
        Height = 40
        Width = 70
        Depth = 20 }

let private bits (results: Map<string, NdArray<float>>) =
    results
    |> Map.map (fun _ array -> array.Elements |> Array.map BitConverter.DoubleToInt64Bits)

let private threads deformed =
    testCase $"every number of threads gives the same bits, deformed: {deformed}"
    <| fun () ->
        for window in [ 3; 5 ] do
            let case =
                { large with
                    Window = window
                    Deformed = deformed }

            let results count =
                onThreads count (fun () -> results torch.ScalarType.Float32 names fused case |> bits)

            let expected = results 1

            for count in [ 2; 3 ] do
                Expect.equal (results count) expected $"on {count} threads, window {window}"

/// Each input alone, each left out, and none.
let private subsets =
    [ []
      for name in names do
          [ name ]
          List.except [ name ] names ]

let private parts =
    testCase "gradients of some inputs are those of all"
    <| fun () ->
        for deformed in [ true; false ] do
            for window in [ 3; 5 ] do
                let case =
                    { plain with
                        Window = window
                        Deformed = deformed }

                let everything = results torch.ScalarType.Float32 names fused case |> bits

                for wanted in subsets do
                    let some = results torch.ScalarType.Float32 wanted fused case |> bits

                    Expect.sequenceEqual (Map.keys some |> Seq.sort) (List.sort ("output" :: wanted)) "names"

                    for KeyValue(name, array) in some do
                        Expect.equal array everything[name] $"{name} of {wanted}, {case}"

let private halfPrecision =
    testCase "bfloat16 in memory is float32 in the kernel"
    <| fun () ->
        for window in [ 1; 3; 5 ] do
            for depth in [ 5; 32 ] do
                let case =
                    { plain with
                        Window = window
                        Depth = depth
                        Width = 20 }

                use _ = torch.NewDisposeScope()
                use _ = torch.no_grad ()

                // The reference has the same rounded inputs; what is left is the rounding of the output.
                let rounded = inputsOf case |> List.map (toTensor torch.ScalarType.BFloat16)

                let expected =
                    rounded
                    |> List.map (fun tensor -> tensor.``to`` torch.ScalarType.Float64)
                    |> composite case
                    |> toArray

                for width in widths do
                    let actual = atWidth width (fun () -> toArray (fused case rounded))
                    within (halves + tolerance singles case) 0.0 actual expected $"{case} at {width}"

let private notANumber =
    testCase "what is not finite in a token reaches its windows and no other token"
    <| fun () ->
        for wrong in [ nan; infinity ] do
            for part in 0..2 do
                // Without deformation an infinite key may give a sample the weight zero, rightly.
                for deformed in
                    true
                    :: [ if not (part = 1 && wrong = infinity) then
                             false ] do
                    for window in [ 3; 5 ] do
                        let case =
                            { plain with
                                Height = 9
                                Width = 11
                                Window = window
                                Deformed = deformed }

                        use _ = torch.NewDisposeScope()
                        use _ = torch.no_grad ()
                        let inputs = inputsOf case |> List.map (toTensor torch.ScalarType.Float32)
                        let row, column = 4, 10
                        let place = inputs[0].[0, row, column, 1, part]
                        place.fill_ (Scalar.op_Implicit (wrong: float)) |> ignore
                        let output = toArray (fused case inputs)
                        let reach = if part = 0 then 0 else window / 2

                        for y in 0 .. case.Height - 1 do
                            for x in 0 .. case.Width - 1 do
                                for head in 0 .. case.Heads - 1 do
                                    let isReached =
                                        head = 1 && abs (y - row) <= reach && abs (x - column) <= reach

                                    let isFinite =
                                        Seq.forall
                                            (fun channel ->
                                                Double.IsFinite(output.At [| 0; y; x; head; channel |]))
                                            (seq { 0 .. case.Depth - 1 })

                                    Expect.equal
                                        isFinite
                                        (not isReached)
                                        $"{wrong} in part {part}, at {y}, {x}, head {head}"

/// The tests of this file.
let tests =
    testList
        "slide kernel"
        [ testCase "equals the composite over the grid, with all gradients"
          <| fun () -> List.iter compare grid
          testPropertyWithConfig
              { FsCheckConfig.defaultConfig with
                  maxTest = 60 }
              "equals the composite, with all gradients"
              (Prop.forAll (Arb.fromGen random) compare)
          threads true
          threads false
          parts
          halfPrecision
          notANumber ]
