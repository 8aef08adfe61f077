/// Windows that the grid has not: whole blocks of keys and more, odd head widths, cuts by shift and edge at once; and
/// storage in bfloat16.
module LocalAttention.Kernels.Tests.WindowKernel

open System
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Window
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open TorchSharp

let private case (attention: Attention) channels batch (height: int, width: int) : LayerCase =
    { Attention = attention
      Inputs = channels
      Outputs = channels
      Stride = 1
      Upsampling = 1
      Pools = false
      Map = ImageSize(height, width)
      Batch = batch
      Seed = 11 }

/// Head widths that are no vector's; windows of 1 to 400 tokens, the larger in several blocks of keys, with biases
/// gathered from the middle of a row of them; maps that shift, edge and both cut.
let private cases =
    [ for width in [ 3; 5; 20; 33 ] -> case (WindowAttention(5, 2, Shifted = true)) (2 * width) 2 (13, 11)
      for side in [ 1; 2; 7; 12; 14 ] -> case (WindowAttention(side, 2, Shifted = (side > 2))) 8 1 (17, 15)
      yield case (WindowAttention(20, 2)) 6 2 (19, 18)
      yield case (WindowAttention(20, 1, Shifted = true)) 16 1 (24, 27)
      yield
          case
              (WindowAttention(17, 2, Shifted = true, PositionBias = false, Order = QkvOrder.HeadMajor))
              10
              1
              (34, 18)
      yield case (GlobalAttention(2, Order = QkvOrder.HeadMajor)) 12 1 (16, 17)
      yield case (GlobalAttention 1) 20 1 (24, 23) ]

let private against (elementType: torch.ScalarType) unit width (case: LayerCase) =
    use layer = build case
    layer.``to`` torch.ScalarType.Float32 |> ignore
    layer.``to`` torch.ScalarType.Float64 |> ignore
    let expected = Agreement.results Backend.Composite layer case
    layer.``to`` elementType |> ignore

    let actual = atWidth width (fun () -> Agreement.results Backend.FusedCpu layer case)

    allWithin (Agreement.tolerance unit case) actual expected $"{case} in {elementType} at {width}:"

let private agreement =
    testList
        "equals the composite, with all gradients"
        [ for width in widths do
              for case in cases do
                  testCase $"{case.Attention}, {case.Inputs} channels, {case.Map}, {width}"
                  <| fun () ->
                      against torch.ScalarType.Float64 (Math.Pow(2.0, -53.0)) width case
                      against torch.ScalarType.Float32 (Math.Pow(2.0, -24.0)) width case ]

let private segmentsAreTheMask =
    testCase "the segments of a side are what shift, mask and padding leave of its windows"
    <| fun () ->
        for length in 1..20 do
            for window in 1..9 do
                for shift in 0 .. window - 1 do
                    let axis = WindowAxis(length, window, shift)

                    let actual =
                        [ for index in 0 .. axis.Count - 1 -> axis.Start index, axis.End index ]

                    let expected =
                        segments window shift length
                        |> List.map (fun (start, count) -> start, start + count)

                    Expect.equal actual expected $"{axis}"

let private threads =
    testCase "every number of threads gives the same bits where blocks are shared"
    <| fun () ->
        for case in
            [ case (GlobalAttention 2) 16 1 (20, 21)
              case (WindowAttention(7, 3, Shifted = true)) 24 3 (20, 16) ] do
            use layer = build case
            layer.``to`` torch.ScalarType.Float32 |> ignore

            let results count =
                onThreads count (fun () ->
                    Agreement.results Backend.FusedCpu layer case
                    |> Map.map (fun _ array -> array.Elements))

            let expected = results 1

            for count in [ 2; 3 ] do
                for KeyValue(name, elements) in results count do
                    Expect.isTrue (elements = expected[name]) $"{name} of {case.Attention} on {count} threads"

/// bfloat16 keeps 8 bits: each stored result is off by 2⁻⁹ of itself, and what is computed between is single precision.
/// The projected map is rounded once before attention and once after it, so that scores, up to 3 here, are off by 2⁻⁸ of
/// that and weights by as much relatively: in all below 2⁻⁹·(2·3 + 3) of the largest.
let private halves =
    testCase "storage in bfloat16 is as near as its eight bits"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()

        for heads, channels, window in [ 2, 32, 7; 3, 15, 4 ] do
            let map =
                AttentionMap(
                    2,
                    WindowAxis(9, window, window / 2),
                    WindowAxis(10, window, 0),
                    heads,
                    channels / heads,
                    QkvOrder.QkvMajor
                )

            let projected =
                toTensor torch.ScalarType.BFloat16 (numbers 5 "projected" [| 2; 9; 10; 3 * channels |])

            let table =
                toTensor
                    torch.ScalarType.BFloat16
                    (numbers 6 "table" [| (2 * window - 1) * (2 * window - 1); heads |])

            // The same stored numbers, computed in double precision.
            let exact: torch.Tensor =
                FusedAttention.Apply(
                    projected.``to`` torch.ScalarType.Float64,
                    map,
                    table.``to`` torch.ScalarType.Float64,
                    window
                )

            for width in widths do
                let stored =
                    atWidth width (fun () -> FusedAttention.Apply(projected, map, table, window))

                Expect.equal stored.dtype torch.ScalarType.BFloat16 "element type"
                within (Math.Pow(2.0, -9.0) * 9.0) 0.0 (toArray stored) (toArray exact) $"{width}"

/// The tests of this file.
let tests =
    testList "window kernel" [ segmentsAreTheMask; agreement; threads; halves ]
