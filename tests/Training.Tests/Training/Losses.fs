/// A step's loss and counts against the definition, from the logits that the model gives.
module LocalAttention.Training.Tests.Losses

open System
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Models
open TorchSharp

let private constant = LearningRateSchedule(1e-3, 1e-3, 0L, 1000L)

/// Log-probabilities of each class, by the definition.
let logProbabilities (logits: NdArray<float>) image =
    let row = [| for k in 0 .. logits.Shape[1] - 1 -> logits[image, k] |]
    let largest = Array.max row
    let logSum = largest + log (row |> Array.sumBy (fun value -> exp (value - largest)))
    row |> Array.map (fun value -> value - logSum)

/// Cross entropy against (1 - smoothing) at the label and smoothing spread over all classes.
let private crossEntropy smoothing logits (labels: int64 array) =
    labels
    |> Array.mapi (fun image label ->
        let logs = logProbabilities logits image

        -Array.sum(
            logs
            |> Array.mapi (fun k value ->
                let target =
                    (if int64 k = label then 1.0 - smoothing else 0.0)
                    + smoothing / float logs.Length

                target * value)
        ))
    |> Array.average

let private near = { absolute = 1e-12; relative = 1e-12 }

let private batch () =
    toTensor torch.ScalarType.Float64 (Counter.array "batch" [| 5; 1; 8; 8 |])

let private labels = [| 3L; 0L; 1L; 1L; 2L |]
let private others = [| 2L; 1L; 1L; 0L; 3L |]

let private build () =
    let model = still.Build(dtype = torch.ScalarType.Float64, seed = 1L)
    enliven 2 model
    model

let private smoothed =
    testList
        "label smoothing"
        [ for smoothing in [ 0.0; 0.1; 0.7 ] do
              testCase $"{smoothing}"
              <| fun () ->
                  use _ = torch.NewDisposeScope()
                  use model = build ()
                  let expected = logits model (batch ())
                  let options = TrainingOptions(LabelSmoothing = smoothing)
                  use optimization = new Optimization(model, options, constant)
                  let result = optimization.Step(batch (), torch.tensor labels, 0L)
                  Expect.floatClose near result.Loss (crossEntropy smoothing expected labels) "the loss"

                  let right =
                      labels
                      |> Array.indexed
                      |> Array.filter (fun (image, label) ->
                          let logs = logProbabilities expected image
                          int64 (Array.findIndex ((=) (Array.max logs)) logs) = label)

                  Expect.equal result.Correct (int64 right.Length) "images that are right"
                  Expect.equal result.Images 5L "images"
                  Expect.equal result.LearningRate 1e-3 "the rate" ]

let private mixtures =
    testCase "a mixed batch's loss is against both labels by their share"
    <| fun () ->
        for share in [ 0.0; 0.3; 1.0 ] do
            use _ = torch.NewDisposeScope()
            use model = build ()
            let expected = logits model (batch ())

            use optimization =
                new Optimization(model, TrainingOptions(LabelSmoothing = 0.1), constant)

            let mixed = Batch(batch (), torch.tensor labels, torch.tensor others, share)
            let result = optimization.Step(mixed, 0L)

            let loss =
                share * crossEntropy 0.1 expected labels
                + (1.0 - share) * crossEntropy 0.1 expected others

            Expect.floatClose near result.Loss loss $"the loss with a share of {share}"

/// AdamW's first step has the size of the rate in every element, whatever the gradient's size: clipping is seen by the
/// optimizer's ε alone. The norm that is reported is the one before it.
let private clipped =
    testCase "gradients are clipped to their norm together, and the norm before is told"
    <| fun () ->
        let step (clipNorm: Nullable<float>) =
            use _ = torch.NewDisposeScope()
            use model = build ()
            let options = TrainingOptions(ClipNorm = clipNorm, Decay = 0.0)
            use optimization = new Optimization(model, options, constant)
            let result = optimization.Step(batch (), torch.tensor labels, 0L)

            let squares =
                namedParameters model
                |> List.sumBy (fun (_, parameter) ->
                    match parameter.grad with
                    | null -> 0.0
                    | gradient -> (toArray gradient).Elements |> Array.sumBy (fun value -> value * value))

            result.GradientNorm, sqrt squares

        let norm, unclipped = step (Nullable())
        Expect.floatClose near norm unclipped "without a limit"
        let reported, kept = step (Nullable(2.0 * norm))
        Expect.floatClose near reported norm "the norm told below the limit"
        Expect.floatClose near kept norm "the norm below the limit"
        let reported, halved = step (Nullable(norm / 2.0))
        Expect.floatClose near reported norm "the norm told above the limit"
        // PyTorch divides by the norm plus 1e-6.
        Expect.floatClose
            { absolute = 0.0
              relative = 1.1e-6 / norm }
            halved
            (norm / 2.0)
            "the norm above the limit"

let private refusals =
    let case name (labels: unit -> torch.Tensor) mistake =
        testCase name
        <| fun () ->
            use _ = torch.NewDisposeScope()
            use model = build ()
            use optimization = new Optimization(model, TrainingOptions(), constant)
            let before = bits model
            refused mistake (fun () -> optimization.Step(batch (), labels (), 0L) |> ignore)
            Expect.isTrue (bits model = before) "no parameter should change"

    [ case
          "a label too large"
          (fun () -> torch.tensor [| 0L; 1L; 2L; 4L; 9L |])
          "label 3 is 4; with 4 classes, labels go from 0 to 3"
      case
          "a negative label"
          (fun () -> torch.tensor [| -100L; 1L; 2L; 3L; 0L |])
          "label 0 is -100; with 4 classes, labels go from 0 to 3"
      case
          "a label too few"
          (fun () -> torch.tensor [| 0L; 1L; 2L; 3L |])
          "the labels are Int64 of shape [4] for images of shape [5, 1, 8, 8]; they must be Int64, one for each image"
      case
          "labels of floats"
          (fun () -> torch.zeros 5L)
          "the labels are Float32 of shape [5] for images of shape [5, 1, 8, 8]; they must be Int64, one for each image"
      case
          "a table of labels"
          (fun () -> torch.zeros (5L, 4L, dtype = torch.ScalarType.Int64))
          "the labels are Int64 of shape [5, 4] for images of shape [5, 1, 8, 8]; they must be Int64, one for each image" ]

let private headless =
    testCase "a model without classes"
    <| fun () ->
        let architecture = still.With(head = AveragePoolHead 0)
        use model = architecture.Build(seed = 1L)

        refused "tiny has no classes; give its head some to train it" (fun () ->
            (new Optimization(model, TrainingOptions(), constant)).Dispose())

/// The tests of this file.
let tests =
    testList "losses" [ smoothed; mixtures; clipped; testList "refusals" refusals; headless ]
