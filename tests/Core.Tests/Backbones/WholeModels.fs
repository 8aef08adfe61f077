/// Whole models: gradients against differences of their own outputs, batches, merging, finite numbers.
module LocalAttention.Core.Tests.WholeModels

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Verification
open TorchSharp

let private property count name arbitrary body =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        name
        (Prop.forAll arbitrary body)

let private withSeed =
    Arb.fromGenShrink (
        Gen.zip Generate.architecture Generate.seed,
        fun (architecture, seed) -> Shrink.architecture architecture |> Seq.map (fun smaller -> smaller, seed)
    )

/// The model in evaluation, in double precision, every parameter filled from the seed.
let private build (architecture: Architecture) seed =
    let model = architecture.Build() |> inDoubles seed
    model.eval ()
    model

let private imagesOf (architecture: Architecture) seed batch =
    numbers
        seed
        "x"
        [| batch
           architecture.ImageChannels
           architecture.Resolution.Height
           architecture.Resolution.Width |]

/// The derivative of `sum(logits · cotangent)` along a random direction in all parameters and the image, by gradients
/// and by central differences f(h) − f(−h) over 2h, extrapolated: with D(h) the difference, (4·D(h/2) − D(h)) / 3
/// leaves an error of h⁴·f⁽⁵⁾/480. With h = 2⁻¹³ that is 5e-19·f⁽⁵⁾, and rounding leaves u·|f|/h ≈ 1e-12·|f|. The norm
/// of a token that varies little makes f⁽⁵⁾ as large as the fifth power of one over its deviation, and ReLU and clipped
/// norms have corners. So a case counts where the two differences agree with each other, and there the gradient must.
let private gradient (architecture: Architecture, seed) =
    use model = build architecture seed
    let x = imagesOf architecture seed 1
    let logits = run model x
    let cotangent = numbers seed "cotangent" logits.Shape
    let _, gradient = gradients model x cotangent

    let direction =
        gradient
        |> Map.map (fun name (slope: NdArray<float>) -> numbers seed $"direction of {name}" slope.Shape)

    let slope =
        gradient
        |> Map.toSeq
        |> Seq.sumBy (fun (name, slopes) -> NdArray.dot slopes direction[name])

    let start = parametersOf model |> Map.add "x" x

    let value step =
        let moved =
            direction
            |> Map.map (fun name towards ->
                NdArray.map2 (fun at along -> at + step * along) start[name] towards)

        setParameters moved model
        NdArray.dot (run model moved["x"]) cotangent

    let difference h = (value h - value -h) / (2.0 * h)

    let extrapolated h =
        (4.0 * difference (h / 2.0) - difference h) / 3.0

    let coarse, fine = extrapolated (1.0 / 8192.0), extrapolated (1.0 / 16384.0)
    let disagreement = abs (fine - coarse)
    let scale = max 1.0 (abs slope)
    let smooth = disagreement < 1e-8 * scale

    if smooth then
        Expect.isLessThanOrEqual
            (abs (slope - fine))
            (1e-7 * scale)
            $"the derivative along a direction: {slope} by the gradients, {fine} by differences"

    smooth

/// A gradient that is stopped on purpose is not the derivative.
let private isDifferentiated (architecture: Architecture) =
    let qna =
        [ for stage in architecture.Stages do
              for block in stage.Blocks do
                  block.Attention

              match stage.Transition with
              | :? QnADownsampling as down -> down.Attention
              | :? QnAUpsampling as up -> up.Attention
              | _ -> () ]

    qna
    |> List.forall (fun attention ->
        match attention with
        | :? QnAAttention as qna -> qna.Norm <> UnitNorm(StopGradient = true)
        | _ -> true)

let private differentiated = withSeed |> Arb.filter (fst >> isDifferentiated)

let private mostAreSmooth =
    testCase "most models are smooth enough to be compared"
    <| fun () ->
        let models = Gen.where isDifferentiated Generate.architecture

        let compared =
            Gen.zip models Generate.seed
            |> Gen.sampleWithSeed (Rnd 20UL) 10 20
            |> Array.filter gradient

        Expect.isGreaterThanOrEqual compared.Length 14 "of 20 models"

/// Each layer rounds as in its comparison with the oracle, 1e-15 or so of its output, and up to ten norms follow, each
/// of which may stretch what is left of tokens that vary little: by 300 at most, one over the root of its epsilon, and
/// by 10 hardly ever twice.
let private plainLoops =
    property 60 "logits equal those of plain loops" withSeed (fun (architecture, seed) ->
        use model = build architecture seed
        let images = imagesOf architecture seed 2
        let expected = PlainModel.forward architecture (parametersOf model) images
        within 1e-8 1e-2 (run model images) expected "the logits")

let private batches =
    property
        30
        "an image's logits do not depend on the others in the batch"
        withSeed
        (fun (architecture, seed) ->
            use model = build architecture seed
            let images = imagesOf architecture seed 3
            let together = run model images

            for image in 0..2 do
                let one (array: NdArray<float>) =
                    let size = array.Elements.Length / array.Shape[0]

                    NdArray.ofArray
                        (Array.append [| 1 |] array.Shape[1..])
                        array.Elements[image * size .. (image + 1) * size - 1]

                // As the comparison of layers with the oracle, through up to ten layers whose norms may stretch what is
                // left of tokens that vary little.
                within 1e-8 1e-2 (run model (one images)) (one together) $"image {image} alone")

let private slideModels =
    withSeed
    |> Arb.filter (fun (architecture, _) ->
        architecture.Stages
        |> Seq.exists (fun stage ->
            stage.Blocks |> Seq.exists (fun block -> block.Attention :? SlideAttention)))

let private merging =
    property
        25
        "merging a model's shifts changes no bit of its logits, and going back none of its parameters"
        slideModels
        (fun (architecture, seed) ->
            use model = build architecture seed
            let images = imagesOf architecture seed 2
            let parameters = parametersOf model |> Map.map (fun _ values -> values.Elements)
            let before = (run model images).Elements
            model.merge_shifts ()
            Expect.isTrue ((run model images).Elements = before) "merged logits should be equal bit for bit"
            model.unmerge_shifts ()
            let after = parametersOf model |> Map.map (fun _ values -> values.Elements)
            Expect.isTrue (after = parameters) "parameters should be equal bit for bit"
            Expect.isTrue ((run model images).Elements = before) "logits should be as before")

let private finite =
    property
        40
        "images up to 10⁴ give finite logits and gradients in single precision"
        withSeed
        (fun (architecture, seed) ->
            use model = build architecture seed
            model.``to`` torch.ScalarType.Float32 |> ignore
            let x = imagesOf architecture seed 2 |> NdArray.map (fun u -> 1e4 * u)
            let logits = run model x
            let _, gradient = gradients model x (numbers seed "cotangent" logits.Shape)

            for name, array in ("logits", logits) :: Map.toList gradient do
                Expect.all array.Elements Double.IsFinite $"all elements of {name}")

let private stochasticDepth =
    testCase "stochastic depth drops branches in training alone, and keeps their mean"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let blocks = [ for _ in 1..4 -> Block(GlobalAttention 2) ]

        use model =
            Architecture(
                "deep",
                PatchStem(2, 8),
                ValueList.From [ Stage(ValueList.From blocks) ],
                AveragePoolHead 3
            )
                .With(resolution = ImageSize.Square 8, dropPath = 0.5)
                .Build(seed = 1)

        let images = torch.rand ([| 1L; 3L; 8L; 8L |])

        let logits () =
            (toArray (model.forward images)).Elements

        model.eval ()
        Expect.isTrue (logits () = logits ()) "in evaluation nothing is drawn"
        model.train ()
        torch.manual_seed 7L |> ignore
        let once = logits ()

        Expect.isGreaterThan
            (List.length (List.distinct [ for _ in 1..20 -> logits () ]))
            3
            "several outcomes"

        torch.manual_seed 7L |> ignore
        Expect.isTrue (logits () = once) "the same seed should draw the same"

/// The tests of this file.
let tests =
    testList
        "whole models"
        [ property
              60
              "gradients agree with differences along random directions"
              differentiated
              (gradient >> ignore)
          mostAreSmooth
          plainLoops
          batches
          merging
          finite
          stochasticDepth ]
