/// One meaning, several backends: the fused kernels against the composite operators and the oracle's loops, at every
/// vector width, forward and backward.
module LocalAttention.Kernels.Tests.Agreement

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

/// The terms of the sums that follow one another in a layer: two projections, and what a window adds up. Slide's windows
/// weigh k² samples, each a sum over the k² positions, of every channel of a head.
let private terms (case: LayerCase) =
    let channels = max case.Inputs case.Outputs

    let area (side: int) =
        min (side * side) (case.Map.Height * case.Map.Width)

    match case.Attention with
    | :? SlideAttention as slide ->
        let area = slide.Window * slide.Window
        3 * channels + area * area + area * channels
    | :? QnAAttention as qna -> 3 * channels + qna.Queries * area qna.Window
    | :? WindowAttention as window -> 4 * channels + area window.Window
    | :? NeighbourhoodAttention as neighbourhood -> 4 * channels + neighbourhood.Window * neighbourhood.Window
    | _ -> 4 * channels + case.Map.Height * case.Map.Width

/// A sum of n products is off by some √n·u of its magnitude, for roundings are as often up as down; a softmax turns the
/// absolute error of its scores, at most 20 here, into a relative error of its weights; and the largest element of a
/// result is at least a tenth of the magnitudes summed. `u` is 2⁻⁵³ or 2⁻²⁴. A wrong index, sign or factor moves a result
/// by more than 1e-2.
let tolerance (unit: float) case =
    unit * sqrt (float (terms case)) * 20.0 * 10.0

let private doubleUnit = Math.Pow(2.0, -53.0)
let private singleUnit = Math.Pow(2.0, -24.0)

/// The output and all gradients under a backend.
let results backend layer (case: LayerCase) =
    on backend (fun () ->
        let shape = (run layer (input case)).Shape

        let output, slopes =
            gradients layer (input case) (numbers case.Seed "cotangent" shape)

        Map.add "output" output slopes)

/// How much the rounding of a parameter's gradient is magnified: a query that is divided by its norm has a gradient that
/// is divided by that norm, and so are the roundings of the terms that cancelled in it.
let private magnified (case: LayerCase) layer name =
    match case.Attention with
    | :? QnAAttention as qna when name = "query" && (qna.Norm :? UnitNorm) ->
        let query = (parametersOf layer)["query"]
        let width = query.Shape[1] / qna.Heads

        query.Elements
        |> Array.chunkBySize width
        |> Array.map (Array.sumBy (fun q -> q * q) >> sqrt)
        |> Array.min
        |> fun shortest -> 1.0 / min 1.0 shortest
    | _ -> 1.0

/// Compares results of the same names. Where an array is small beside the largest, as the gradient of a normalised query
/// is, which is what is left of terms that cancel, its rounding is that of those terms: a hundredth of the largest, or a
/// tenth where opposite scales cancel all of them, for the terms are of order one.
let private agree
    tolerance
    (magnified: string -> float)
    (actual: Map<string, NdArray<float>>)
    (expected: Map<string, NdArray<float>>)
    what
    =
    Expect.sequenceEqual (Map.keys actual) (Map.keys expected) $"names of {what}"
    let largest = expected |> Map.values |> Seq.map NdArray.largest |> Seq.max

    for KeyValue(name, array) in expected do
        within tolerance (magnified name * max 0.1 (1e-2 * largest)) actual[name] array $"{what} {name}"

let private inDoubles width (case: LayerCase) =
    use layer = build case
    let expected = results Backend.Composite layer case

    let actual = atWidth width (fun () -> results Backend.FusedCpu layer case)

    agree (tolerance doubleUnit case) (magnified case layer) actual expected $"{case} in doubles at {width}:"

let private againstOracle width (case: LayerCase) =
    use layer = build case

    let expected =
        Derivative.evaluate (oracle case) (parametersOf layer |> Map.add "x" (input case))

    let actual =
        atWidth width (fun () -> on Backend.FusedCpu (fun () -> run layer (input case)))

    // Opposite scales may cancel to nothing; what they are made of is of order one.
    within (tolerance doubleUnit case) 1e-2 actual expected $"the output of {case}"

let private inSingles width (case: LayerCase) =
    use layer = build case
    // The reference in double precision, of parameters that single precision holds exactly.
    layer.``to`` torch.ScalarType.Float32 |> ignore
    layer.``to`` torch.ScalarType.Float64 |> ignore
    let expected = results Backend.Composite layer case
    layer.``to`` torch.ScalarType.Float32 |> ignore

    let actual = atWidth width (fun () -> results Backend.FusedCpu layer case)

    agree (tolerance singleUnit case) (magnified case layer) actual expected $"{case} in singles at {width}:"

let private search name generator (count: int) =
    testList
        name
        [ for width in widths do
              let property what (body: LayerCase -> unit) =
                  testPropertyWithConfig
                      { FsCheckConfig.defaultConfig with
                          maxTest = count }
                      $"{what}, {width}"
                      (Prop.forAll (arbitrary generator) body)

              property "equals the composite in doubles, with all gradients" (inDoubles width)
              property "is as near in singles" (inSingles width)
              property "equals the oracle's loops" (againstOracle width) ]

let private grid =
    testList
        "the grid"
        [ for width in widths do
              testCase $"in doubles, {width}"
              <| fun () -> List.iter (inDoubles width) Grid.all

              testCase $"in singles, {width}"
              <| fun () -> List.iter (inSingles width) Grid.all ]

/// The tests of this file.
let tests =
    testList
        "agreement"
        [ grid
          search "qna" qna 60
          search "slide" slide 40
          search "window" window 40
          search "global" everywhere 30
          search "cross-shaped" crossShaped 30
          search "neighbourhood" neighbourhood 30 ]
