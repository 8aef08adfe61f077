/// The kernel of neighbourhood attention by itself, on a projected map: windows of every size at every border, dilations that
/// do not divide the map, heads and rows that fill vectors or do not.
module LocalAttention.Kernels.Tests.NeighbourhoodKernel

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels.Neighbourhood
open LocalAttention.Core.Layers
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

/// One attention over a projected map.
type NeighbourhoodCase =
    { Batch: int
      Height: int
      Width: int
      Heads: int
      Depth: int
      Window: int
      Dilation: int
      Biased: bool }

    member case.Channels = case.Heads * case.Depth

let private plain =
    { Batch = 1
      Height = 6
      Width = 7
      Heads = 2
      Depth = 8
      Window = 3
      Dilation = 1
      Biased = true }

/// Numbers between −1 and 1 that single precision holds exactly.
let private inputsOf (case: NeighbourhoodCase) =
    let offsets = 2 * case.Window - 1
    let rounded = NdArray.map (fun (x: float) -> float (float32 x))

    [ numbers 5 "projected" [| case.Batch; case.Height; case.Width; 3 * case.Channels |]
      if case.Biased then
          numbers 6 "rpb" [| case.Heads; offsets; offsets |] ]
    |> List.map rounded

let private attend by (case: NeighbourhoodCase) (inputs: torch.Tensor list) : torch.Tensor =
    by (inputs.Head, case.Heads, case.Window, case.Dilation, List.tryItem 1 inputs |> Option.toObj)

let private fused case = attend FusedNeighbourhood.Apply case

let private composite case =
    attend NeighbourhoodAggregation.Attend case

/// The definition in loops.
let private loops (case: NeighbourhoodCase) (inputs: NdArray<float> list) : NdArray<float> =
    let projected = inputs.Head
    let factor = 1.0 / sqrt (float case.Depth)

    let sides length =
        Array.init length (fun place -> Neighbourhood.neighbours length case.Window case.Dilation place)

    let rows, columns = sides case.Height, sides case.Width

    let attended =
        [| for image in 0 .. case.Batch - 1 do
               for y in 0 .. case.Height - 1 do
                   for x in 0 .. case.Width - 1 do
                       for head in 0 .. case.Heads - 1 do
                           let at part row column channel =
                               projected.At
                                   [| image
                                      row
                                      column
                                      part * case.Channels + head * case.Depth + channel |]

                           let window =
                               [| for row, down in rows[y] do
                                      for column, right in columns[x] -> row, column, down, right |]

                           let scores =
                               window
                               |> Array.map (fun (row, column, down, right) ->
                                   let bias =
                                       match inputs with
                                       | [ _; table ] ->
                                           table.At
                                               [| head; down + case.Window - 1; right + case.Window - 1 |]
                                       | _ -> 0.0

                                   let product =
                                       Seq.sumBy
                                           (fun channel -> at 0 y x channel * at 1 row column channel)
                                           (seq { 0 .. case.Depth - 1 })

                                   bias + factor * product)

                           let largest = Array.max scores
                           let weights = scores |> Array.map (fun score -> exp (score - largest))
                           let sum = Array.sum weights

                           for channel in 0 .. case.Depth - 1 ->
                               Array.map2
                                   (fun weight (row, column, _, _) -> weight * at 2 row column channel)
                                   weights
                                   window
                               |> Array.sum
                               |> fun mixture -> mixture / sum |]

    NdArray.ofArray [| case.Batch; case.Height; case.Width; case.Channels |] attended

let private names (case: NeighbourhoodCase) =
    if case.Biased then
        [ "projected"; "rpb" ]
    else
        [ "projected" ]

/// The output and the gradients of the inputs that are wanted.
let private results (elementType: torch.ScalarType) wanted by (case: NeighbourhoodCase) =
    use _ = torch.NewDisposeScope()

    let inputs =
        List.zip (names case) (inputsOf case)
        |> List.map (fun (name, array) ->
            (toTensor elementType array).requires_grad_(List.contains name wanted))

    let output: torch.Tensor = by case inputs

    let cotangent =
        toTensor elementType (numbers 5 "cotangent" (Array.map int output.shape))

    if not (List.isEmpty wanted) then
        output.mul(cotangent).sum().backward()

    Map.ofList
        [ "output", toArray output
          for name, input in List.zip (names case) inputs do
              match Option.ofObj input.grad with
              | Some gradient -> name, toArray gradient
              | None -> () ]

/// A sum of n products is off by some √n·u of its magnitude. The longest chain adds, for one bias, a slope from every token
/// after the 2·d + k² terms of its own sums. A softmax turns the absolute error of its scores, which are at most √d + 1 ≤ 7,
/// into a relative one of its weights; the largest element of a result is at least a tenth of the magnitudes summed.
let private tolerance unit (case: NeighbourhoodCase) =
    let terms =
        2 * case.Depth
        + case.Window * case.Window
        + case.Batch * case.Height * case.Width

    unit * sqrt (float terms) * 7.0 * 10.0

let private doubles, singles = Math.Pow(2.0, -53.0), Math.Pow(2.0, -24.0)

/// Slopes of biases add up to zero over a window, and those of queries and keys of a window of one token are zero: where
/// terms cancel, what is left is the rounding of terms of order one.
let private agree
    tolerance
    (actual: Map<string, NdArray<float>>)
    (expected: Map<string, NdArray<float>>)
    what
    =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"

    for KeyValue(name, array) in expected do
        within tolerance 0.1 actual[name] array $"{what} {name}"

let private compare case =
    let expected = results torch.ScalarType.Float64 (names case) composite case
    // The composite is the reference of the gradients, and itself held to the loops.
    within
        (tolerance doubles case)
        0.0
        expected["output"]
        (loops case (inputsOf case))
        $"the composite of {case}"

    for width in widths do
        atWidth width (fun () ->
            let inDoubles = results torch.ScalarType.Float64 (names case) fused case
            agree (tolerance doubles case) inDoubles expected $"{case} in doubles at {width}:"
            let inSingles = results torch.ScalarType.Float32 (names case) fused case
            agree (tolerance singles case) inSingles expected $"{case} in singles at {width}:")

let private grid =
    [ for window in [ 1; 3; 5; 7; 9 ] do
          for more in [ 0; 1; 4 ] ->
              { plain with
                  Window = window
                  Height = window + more
                  Width = window + 5 - more
                  Depth = 3 }
      // Residues of equal and of unequal length, more of them than lanes.
      for dilation, height, width in [ 2, 6, 7; 2, 9, 10; 3, 11, 9; 5, 15, 17; 9, 27, 28 ] ->
          { plain with
              Dilation = dilation
              Height = height
              Width = width
              Depth = 2 }
      // Channels of less than a vector, of one, of one and some, of two, of two and some.
      for depth in [ 1; 5; 8; 16; 20; 32; 33; 50 ] -> { plain with Depth = depth }
      // Sequences that do not fill the lanes, or do, or need several groups.
      for heads in [ 1; 3; 5; 9; 17 ] -> { plain with Heads = heads; Depth = 2 }
      // Rows of one block and of several, whole and not, and longer than a vector has lanes.
      for width in [ 15; 16; 17; 33; 64; 70 ] ->
          { plain with
              Width = width
              Height = 3
              Heads = 1
              Depth = 2 }
      // Several sequences in a group, several blocks of queries in a lane.
      yield
          { plain with
              Width = 56
              Height = 5
              Heads = 3
              Depth = 3 }
      // Bands of rows.
      for height in [ 12; 13; 31 ] ->
          { plain with
              Height = height
              Width = 3
              Heads = 1 }
      yield { plain with Batch = 3 }
      yield { plain with Biased = false } ]

let private random =
    gen {
        let! window = Gen.elements [ 1; 3; 5; 7 ]
        let! dilation = Gen.elements [ 1; 1; 2; 3 ]
        let! taller = Gen.choose (0, 6)
        let! wider = Gen.choose (0, 6)
        let! depth = Gen.choose (1, 18)
        let! batch = Gen.choose (1, 2)
        let! heads = Gen.choose (1, 3)
        let! biased = Gen.elements [ true; true; false ]

        return
            { Batch = batch
              Height = window * dilation + taller
              Width = window * dilation + wider
              Heads = heads
              Depth = depth
              Window = window
              Dilation = dilation
              Biased = biased }
    }

let private bits (results: Map<string, NdArray<float>>) =
    results
    |> Map.map (fun _ array -> array.Elements |> Array.map BitConverter.DoubleToInt64Bits)

let private large =
    [ { plain with
          Batch = 3
          Height = 29
          Width = 40
          Window = 7
          Depth = 32 }
      { plain with
          Height = 31
          Width = 30
          Dilation = 4
          Depth = 20 } ]

let private threads =
    testCase "every number of threads gives the same bits"
    <| fun () ->
        for case in large do
            for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
                let results count =
                    onThreads count (fun () -> results elementType (names case) fused case |> bits)

                let expected = results 1

                for count in [ 2; 3 ] do
                    Expect.equal (results count) expected $"{case} on {count} threads"

let private parts =
    testCase "gradients of some inputs are those of all"
    <| fun () ->
        let everything = results torch.ScalarType.Float32 (names plain) fused plain |> bits

        for wanted in [ []; [ "projected" ]; [ "rpb" ] ] do
            let some = results torch.ScalarType.Float32 wanted fused plain |> bits
            Expect.sequenceEqual (Map.keys some |> Seq.sort) (List.sort ("output" :: wanted)) "names"

            for KeyValue(name, array) in some do
                Expect.equal array everything[name] $"{name} of {wanted}"

let private strided =
    testCase "maps that are not contiguous give the same"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let inputs = inputsOf plain |> List.map (toTensor torch.ScalarType.Float32)
        let x, rpb = inputs[0], inputs[1]
        let expected = toArray (fused plain [ x; rpb ])

        for other in
            [ x.transpose(1, 2).contiguous().transpose(1, 2)
              torch.cat([| x; x |], 3L).narrow(3L, 0L, x.size 3) ] do
            Expect.isFalse (other.is_contiguous ()) "the map is not contiguous"
            within 0.0 0.0 (toArray (fused plain [ other; rpb ])) expected "the output"

let private empty =
    testCase "a batch of no images gives one, forward and backward"
    <| fun () ->
        let results =
            results torch.ScalarType.Float32 (names plain) fused { plain with Batch = 0 }

        Expect.equal results["output"].Shape [| 0; 6; 7; 16 |] "shape"
        Expect.equal results["projected"].Shape [| 0; 6; 7; 48 |] "shape of the gradient"
        Expect.equal (Array.forall ((=) 0.0) results["rpb"].Elements) true "the gradient of the biases"

/// Queries and keys of 1e4 make scores of 1e8, among which each window picks one token.
let private extremes =
    testCase "finite numbers of any size give finite outputs and gradients"
    <| fun () ->
        for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
            for magnitude in [ 1e4; 1e-30; 1e-40; 0.0 ] do
                use _ = torch.NewDisposeScope()

                let inputs =
                    inputsOf plain
                    |> List.map (fun array ->
                        ((toTensor torch.ScalarType.Float64 array).sign() * magnitude)
                            .``to``(elementType)
                            .requires_grad_())

                let output = fused plain inputs
                Expect.isTrue (torch.isfinite(output).all().ToBoolean()) $"outputs for ±{magnitude}"
                Expect.isTrue (output.abs().max().ToDouble() <= magnitude * 1.001) "a mean of the values"
                output.mean().backward()

                for input in inputs do
                    Expect.isTrue
                        (torch.isfinite(nonNull input.grad).all().ToBoolean())
                        $"gradients for ±{magnitude} in {elementType}"

let private notANumber =
    testCase "what is not finite in a token reaches the windows that hold it and no other token"
    <| fun () ->
        for case in
            [ { plain with
                  Height = 9
                  Width = 11
                  Window = 5 }
              { plain with
                  Height = 9
                  Width = 11
                  Dilation = 2 } ] do
            for width in widths do
                for row, column in [ 4, 10; 0, 0; 8, 5 ] do
                    for part in 0..2 do
                        for wrong in [ nan; infinity ] do
                            use _ = torch.NewDisposeScope()
                            use _ = torch.no_grad ()
                            let inputs = inputsOf case |> List.map (toTensor torch.ScalarType.Float32)
                            // A key of one infinite channel has the weight zero where the query's is negative.
                            inputs[0].narrow(3L, 0L, int64 case.Channels).abs_() |> ignore
                            let first = int64 (part * case.Channels + case.Depth)

                            inputs[0]
                                .[0, row, column].narrow(0L, first, int64 case.Depth)
                                .fill_(wrong.ToScalar())
                            |> ignore

                            let output = atWidth width (fun () -> toArray (fused case inputs))

                            let sees length query place =
                                Neighbourhood.neighbours length case.Window case.Dilation query
                                |> List.exists (fst >> (=) place)

                            for y in 0 .. case.Height - 1 do
                                for x in 0 .. case.Width - 1 do
                                    for head in 0 .. case.Heads - 1 do
                                        let isReached =
                                            head = 1
                                            && if part = 0 then
                                                   (y, x) = (row, column)
                                               else
                                                   sees case.Height y row && sees case.Width x column

                                        let isFinite =
                                            Seq.forall
                                                (fun channel ->
                                                    Double.IsFinite(
                                                        output.At [| 0; y; x; head * case.Depth + channel |]
                                                    ))
                                                (seq { 0 .. case.Depth - 1 })

                                        Expect.equal
                                            isFinite
                                            (not isReached)
                                            $"{wrong} in part {part} of {row}, {column}, at {y}, {x}, head {head}, {case}, {width}"

/// A NaN among the slopes of one token's output reaches the slopes of its own window.
let private notANumberBackward =
    testCase "what is not finite in a token's slope reaches its window's gradients and no other"
    <| fun () ->
        let case = { plain with Height = 9; Width = 11 }

        for row, column in [ 4, 6; 0, 0; 8, 10 ] do
            use _ = torch.NewDisposeScope()
            let inputs = inputsOf case |> List.map (toTensor torch.ScalarType.Float32)
            let projected = inputs[0].requires_grad_()
            let output = fused case inputs
            let cotangent = torch.ones_like output
            cotangent[0, row, column].fill_(nan.ToScalar()) |> ignore
            output.backward ([| cotangent |])
            let gradient = toArray (nonNull projected.grad)

            for y in 0 .. case.Height - 1 do
                for x in 0 .. case.Width - 1 do
                    for part in 0..2 do
                        let holds length query place =
                            Neighbourhood.neighbours length case.Window 1 query
                            |> List.exists (fst >> (=) place)

                        let isReached =
                            if part = 0 then
                                (y, x) = (row, column)
                            else
                                holds case.Height row y && holds case.Width column x

                        for channel in 0 .. case.Channels - 1 do
                            Expect.equal
                                (Double.IsFinite(gradient.At [| 0; y; x; part * case.Channels + channel |]))
                                (not isReached)
                                $"part {part} at {y}, {x}, slope at {row}, {column}"

/// bfloat16 has 8 significant bits: rounding the output to nearest is off by 2⁻⁸ of a number at most.
let private halfPrecision =
    testCase "bfloat16 in memory is float32 in the kernel"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let rounded = inputsOf plain |> List.map (toTensor torch.ScalarType.BFloat16)

        let expected =
            rounded
            |> List.map (fun tensor -> tensor.``to`` torch.ScalarType.Float64)
            |> composite plain
            |> toArray

        let actual = fused plain rounded
        Expect.equal actual.dtype torch.ScalarType.BFloat16 "element type"
        within (Math.Pow(2.0, -8.0) + tolerance singles plain) 0.0 (toArray actual) expected "the output"

let private mistakes =
    testCase "sizes that do not fit are named"
    <| fun () ->
        use x = torch.zeros (1L, 6L, 7L, 48L)
        use rpb = torch.zeros (2L, 5L, 4L)

        let message (body: unit -> torch.Tensor) =
            try
                body () |> ignore
                failtest "nothing was thrown"
            with :? ArgumentException as problem ->
                problem.Message

        let check body (parts: string list) =
            let text = message body

            for part in parts do
                Expect.stringContains text part "the message"

        check (fun () -> FusedNeighbourhood.Apply(x, 5, 3, 1, null)) [ "5 heads"; "48" ]
        check (fun () -> FusedNeighbourhood.Apply(x, 2, 4, 1, null)) [ "odd"; "4" ]
        check (fun () -> FusedNeighbourhood.Apply(x, 2, 3, 3, null)) [ "needs 9 tokens"; "6×7" ]
        check (fun () -> FusedNeighbourhood.Apply(x, 2, 3, 1, rpb)) [ "[2, 5, 5]"; "2, 5, 4" ]

/// Every case of the grid at every width, without a comparison: for a process whose tensors end at pages that no one may
/// touch.
let everything () =
    for case in grid do
        for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
            for width in widths do
                atWidth width (fun () -> results elementType (names case) fused case |> ignore)

/// The tests of this file.
let tests =
    testList
        "neighbourhood kernel"
        [ testCase "equals the loops and the composite over the grid, with all gradients"
          <| fun () -> List.iter compare grid
          testPropertyWithConfig
              { FsCheckConfig.defaultConfig with
                  maxTest = 40 }
              "equals the loops and the composite, with all gradients"
              (Prop.forAll (Arb.fromGen random) compare)
          threads
          parts
          strided
          empty
          extremes
          notANumber
          notANumberBackward
          halfPrecision
          mistakes ]
