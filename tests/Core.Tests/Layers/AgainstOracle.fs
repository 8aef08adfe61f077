/// Every layer against loops written from the papers: outputs, and all gradients, in double precision.
module LocalAttention.Core.Tests.AgainstOracle

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Kernels
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Oracle

/// The rounding error of a sum of n products is at most n·u of the sum of their magnitudes, u = 2⁻⁵³, and a softmax
/// turns the absolute error of its scores into a relative error of its weights. In these layers no sum is longer than
/// 200 terms, three follow one another, no score exceeds 20, and the largest element of an output is at least a
/// hundredth of the magnitudes summed: 3·200·20·100·2⁻⁵³ ≈ 1.3e-10 for the worst that could meet; typical errors are
/// near 1e-15. A wrong index, factor or sign moves the result by more than 1e-3.
let private rounding = 1e-10

/// Backward, each product rule takes one more sum of the same length.
let private gradientRounding = 2.0 * rounding

/// The parameters and the input by name.
let private pointOf layer (case: LayerCase) =
    parametersOf layer |> Map.add "x" (input case)

let private outputs (case: LayerCase) =
    use layer = build case
    let expected = Derivative.evaluate (oracle case) (pointOf layer case)
    // Opposite scales may cancel to nothing; what they are made of is of order one.
    within rounding 1e-2 (run layer (input case)) expected "the output"

let private allGradients (case: LayerCase) =
    use layer = build case
    let output = run layer (input case)
    let cotangent = numbers case.Seed "cotangent" output.Shape
    let _, actual = gradients layer (input case) cotangent

    let expected =
        Derivative.gradient (oracle case) (pointOf layer case) cotangent
        |> Map.filter (fun name _ -> Map.containsKey name actual)

    allWithin gradientRounding actual expected "the gradient by"

/// The derivative along a random direction in all inputs at once: by the engine's gradients, and by dual numbers.
let private alongDirection (case: LayerCase) =
    use layer = build case
    let point = pointOf layer case
    let output = run layer (input case)
    let cotangent = numbers case.Seed "cotangent" output.Shape
    let _, gradient = gradients layer (input case) cotangent

    let direction =
        gradient
        |> Map.map (fun name (slope: NdArray<float>) -> numbers case.Seed $"direction of {name}" slope.Shape)

    let slope =
        gradient
        |> Map.toSeq
        |> Seq.sumBy (fun (name, slopes) -> NdArray.dot slopes direction[name])

    let magnitude =
        gradient
        |> Map.toSeq
        |> Seq.sumBy (fun (name, slopes) ->
            NdArray.dot (NdArray.map abs slopes) (NdArray.map abs direction[name]))

    let _, derivative = Derivative.along (oracle case) point direction
    let expected = NdArray.dot derivative cotangent

    Expect.isLessThanOrEqual
        (abs (slope - expected))
        (gradientRounding * max magnitude 1e-3)
        $"the derivative along a direction: {slope} by the gradients, {expected} by dual numbers"

let private against name generator counts =
    let cases, gradientCases = counts

    let property count what (body: LayerCase -> unit) =
        [ for backend in [ Backend.Composite; Backend.FusedCpu ] ->
              testPropertyWithConfig
                  { FsCheckConfig.defaultConfig with
                      maxTest = count }
                  $"{what}, {backend}"
                  (Prop.forAll (arbitrary generator) (fun case ->
                      use _ = Backends.Use backend
                      body case)) ]

    testList
        name
        [ yield! property cases "outputs equal the oracle's" outputs
          yield! property gradientCases "all gradients equal those of the oracle's tape" allGradients
          yield!
              property
                  gradientCases
                  "the derivative along a direction equals that of dual numbers"
                  alongDirection ]

/// The tests of this file.
let tests =
    testList
        "against the oracle"
        [ against "qna" qna (100, 40)
          against "slide" slide (50, 20)
          against "window" window (80, 30)
          against "global" everywhere (60, 30)
          against "reduction" reduction (60, 25)
          against "pooled" pooled (50, 20)
          against "cross-shaped" crossShaped (80, 30)
          against "neighbourhood" neighbourhood (80, 25)
          testCase "the shifts of every slide layer are the oracle's"
          <| fun () ->
              for window in [ 1; 3; 5 ] do
                  use layer = new SlideLayer(SlideAttention(window, 2), 6)
                  let shifts = (parametersOf layer).["dep_conv.weight"]
                  within 0.0 0.0 shifts (Slide.shiftWeights 3 window) $"the shifts of a window of {window}" ]
