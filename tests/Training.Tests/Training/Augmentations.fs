/// Crops, flips and mixtures: what they make of images whose every pixel is known.
module LocalAttention.Training.Tests.Augmentations

open System
open Expecto
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Models
open TorchSharp

/// Numbers of pixels as they are: a pixel of value v becomes v.
let private plain channels =
    Normalization(
        ValueList.From(Array.zeroCreate channels),
        ValueList.From(Array.create channels (1.0 / 255.0))
    )

let private height, private width, private channels, private count = 4, 5, 2, 40

/// All pixels of an image differ, none is zero, and images differ.
let private values =
    [| for image in 0 .. count - 1 do
           for channel in 0 .. channels - 1 do
               for y in 0 .. height - 1 do
                   for x in 0 .. width - 1 do
                       byte (1 + image + 40 * channel + 41 * y % 120 + 9 * x + 3 * y) |]

let private original image channel y x =
    float values[((image * channels + channel) * height + y) * width + x]

let private batch () =
    torch.tensor (values, ReadOnlySpan [| int64 count; int64 channels; int64 height; int64 width |]),
    torch.tensor (Array.init count (fun image -> int64 (image % 4)))

let private augment (options: TrainingOptions) step =
    use _ = torch.NewDisposeScope()
    let images, labels = batch ()

    let result =
        Augmentation(options, plain channels).Apply(images, labels, torch.ScalarType.Float64, int64 step)

    let mixed =
        match result.MixedLabels with
        | null -> None
        | labels -> Some(labels.data<int64>().ToArray())

    toArray result.Images, result.Labels.data<int64>().ToArray(), mixed, result.Share

let private near = { absolute = 1e-9; relative = 0.0 }

let private untouched =
    testCase "without augmentation, pixels are normalised and nothing else"
    <| fun () ->
        let images, labels, mixed, share = augment (TrainingOptions()) 3
        Expect.equal images.Shape [| count; channels; height; width |] "the shape"

        for actual, expected in Array.zip images.Elements values do
            Expect.floatClose near actual (float expected) "a pixel"

        Expect.equal labels (Array.init count (fun image -> int64 (image % 4))) "the labels"
        Expect.isNone mixed "mixed labels"
        Expect.equal share 1.0 "the share"

/// The shifts and flips that explain an image: every pixel is the original's that far away, or zero beside it.
let private explanations padding flips (images: LocalAttention.Oracle.NdArray<float>) image =
    [ for down in -padding .. padding do
          for right in -padding .. padding do
              for flip in flips do
                  let explains =
                      seq {
                          for channel in 0 .. channels - 1 do
                              for y in 0 .. height - 1 do
                                  for x in 0 .. width - 1 do
                                      let fromX = (if flip then width - 1 - x else x) + right
                                      let fromY = y + down
                                      let inside = fromX >= 0 && fromX < width && fromY >= 0 && fromY < height

                                      let expected =
                                          if inside then original image channel fromY fromX else 0.0

                                      abs (images[image, channel, y, x] - expected) < 1e-9
                      }
                      |> Seq.forall id

                  if explains then
                      down, right, flip ]

let private moved =
    testCase "crops shift and flips mirror whole images, all channels alike; every shift comes up"
    <| fun () ->
        let options = TrainingOptions(CropPadding = 1, HorizontalFlip = true, Seed = 5L)

        let seen =
            [ for step in 0..19 do
                  let images, _, _, _ = augment options step

                  for image in 0 .. count - 1 do
                      match explanations 1 [ true; false ] images image with
                      | [ one ] -> one
                      | several -> failtest $"image {image} of step {step} has %A{several} as explanations" ]

        let counts = List.countBy id seen
        Expect.hasLength counts 18 "nine shifts, each with and without a flip"

        // 800 images, 18 ways: 44 ± 5·√44 of each.
        for way, times in counts do
            Expect.isLessThan (abs (times - 44)) 34 $"times of %A{way}"

let private oneOnly =
    testCase "crops alone do not mirror, and flips alone do not shift"
    <| fun () ->
        let cropped, _, _, _ = augment (TrainingOptions(CropPadding = 2)) 0
        let flipped, _, _, _ = augment (TrainingOptions(HorizontalFlip = true)) 0

        for image in 0 .. count - 1 do
            Expect.hasLength (explanations 2 [ false ] cropped image) 1 $"shifts that explain image {image}"

            Expect.hasLength
                (explanations 0 [ true; false ] flipped image)
                1
                $"flips that explain image {image}"

let private determined =
    testCase "seed and step decide"
    <| fun () ->
        let pixels seed step =
            let options =
                TrainingOptions(CropPadding = 1, HorizontalFlip = true, MixupAlpha = 0.8, Seed = seed)

            let images, _, _, share = augment options step
            images.Elements, share

        Expect.equal (pixels 1L 7) (pixels 1L 7) "the same again"
        Expect.notEqual (pixels 1L 8) (pixels 1L 7) "another step"
        Expect.notEqual (pixels 2L 7) (pixels 1L 7) "another seed"

let private mixed =
    testCase "mixup mixes each image and its label with its mirror in the batch, by one share"
    <| fun () ->
        for step in 0..9 do
            let images, labels, mixed, share = augment (TrainingOptions(MixupAlpha = 0.8)) step
            Expect.equal mixed (Some(Array.rev labels)) "the other labels"
            Expect.isTrue (share > 0.0 && share < 1.0) "the share is one"

            for image in 0 .. count - 1 do
                for y in 0 .. height - 1 do
                    let expected =
                        share * original image 1 y 2
                        + (1.0 - share) * original (count - 1 - image) 1 y 2

                    Expect.floatClose near images[image, 1, y, 2] expected "a mixed pixel"

/// The symmetric beta distribution has mean 1/2, variance 1 / 4(2α + 1), and fourth central moment 3σ⁴(2α+1)/(2α+3):
/// of 20,000 numbers, both are within five of their own deviations.
let private shares =
    testList
        "shares are of the beta distribution"
        [ for alpha in [ 0.2; 0.8; 1.0; 3.0 ] do
              testCase $"{alpha}"
              <| fun () ->
                  let count = 20_000
                  let random = SeededRandom(1L, SeededRandom.Use.Augmentation)
                  let shares = Array.init count (fun _ -> random.NextBeta alpha)
                  Expect.all shares (fun share -> share >= 0.0 && share <= 1.0) "the range"
                  let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0))
                  let fourth = 3.0 * variance ** 2.0 * (2.0 * alpha + 1.0) / (2.0 * alpha + 3.0)
                  let mean = Array.average shares
                  let spread = shares |> Array.averageBy (fun share -> (share - 0.5) ** 2.0)
                  Expect.isLessThan (abs (mean - 0.5)) (5.0 * sqrt (variance / float count)) "the mean"

                  Expect.isLessThan
                      (abs (spread - variance))
                      (5.0 * sqrt ((fourth - variance ** 2.0) / float count))
                      "the variance" ]

/// The tests of this file.
let tests =
    testList "augmentations" [ untouched; moved; oneOnly; determined; mixed; shares ]
