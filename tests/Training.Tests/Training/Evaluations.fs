/// Evaluation against a count by hand.
module LocalAttention.Training.Tests.Evaluations

open System
open System.Threading
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Losses
open LocalAttention.Training.Tests.Models
open TorchSharp

let private byHand =
    testCase "accuracy and loss are those of a count by hand, whatever the batches"
    <| fun () ->
        use data = images 50
        use model = tiny.Build(dtype = torch.ScalarType.Float64, seed = 1L)
        enliven 5 model
        use normalized = data.Normalization.Apply(data.Images, torch.ScalarType.Float64)
        let logits = logits model normalized
        let labels = data.Labels.data<int64>().ToArray()
        let logs = [| for image in 0..49 -> logProbabilities logits image |]

        let right =
            Array.zip logs labels
            |> Array.filter (fun (logs, label) -> Array.forall (fun other -> logs[int label] >= other) logs)

        let loss =
            Array.zip logs labels |> Array.averageBy (fun (logs, label) -> -logs[int label])

        Expect.isTrue (right.Length > 0 && right.Length < 50) "some should be right and some wrong"

        for training in [ true; false ] do
            model.train training

            for batchSize in [ 1; 7; 50; 500 ] do
                let result = Evaluation.Of(model, data, batchSize)

                Expect.equal
                    result.Accuracy
                    (float right.Length / 50.0)
                    $"the accuracy in batches of {batchSize}"

                Expect.floatClose Accuracy.veryHigh result.Loss loss $"the loss in batches of {batchSize}"
                Expect.equal result.Images 50L "images"
                use all = Evaluation.Logits(model, data, batchSize)
                within 1e-12 0.0 (toArray all) logits $"the logits in batches of {batchSize}"
                Expect.equal model.training training "the model's mode afterwards"

let private refusals =
    testCase "images that do not suit the model"
    <| fun () ->
        use data = images 4
        use model = tiny.Build(seed = 1L)
        use none = data.Take 0L
        use pixels = torch.zeros ([| 2L; 3L; 8L; 8L |], dtype = torch.ScalarType.Byte)
        use labels = torch.tensor [| 0L; 1L |]
        use colours = ImageDataset.FromTensors(pixels, labels, classes)
        use many = ImageDataset.FromTensors(data.Images, data.Labels, classes @ [ "fifth" ])
        use large = torch.zeros ([| 2L; 10L; 9L |], dtype = torch.ScalarType.Byte)
        use large = ImageDataset.FromTensors(large, labels, classes)
        use strict = tiny.With(sizePolicy = SizePolicy.Exact).Build(seed = 1L)

        let ways =
            [ fun (model: Backbone) data -> Evaluation.Of(model, data) |> ignore
              fun model data -> (new Trainer(model, data)).Dispose()
              fun model data -> (new Trainer(model, images 4, data)).Dispose() ]

        for way in ways do
            refused "the data set has no images; it must have at least one" (fun () -> way model none)
            refused "the images have 3 channels; tiny takes 1" (fun () -> way model colours)
            refused "the data set has 5 classes; tiny has logits for 4" (fun () -> way model many)

            refused
                ("tiny does not take images of 10×9: stem: the image of 10×9 is not a multiple of patches of 2×2, and the "
                 + "size policy is exact; use 10×8 or 10×10, or let the size policy pad. stage 2, block 1: the map of 3×3 is not "
                 + "a multiple of windows of 2×2, and the size policy is exact; use 2×2 or 4×4, or let the size policy pad.")
                (fun () -> way strict large)

        failure<ArgumentOutOfRangeException>(fun () -> Evaluation.Of(model, data, 0) |> ignore)
        |> ignore

let private cancelled =
    testCase "a cancelled evaluation leaves the model in its mode"
    <| fun () ->
        use data = images 4
        use model = tiny.Build(seed = 1L)
        model.train ()

        failure<OperationCanceledException>(fun () ->
            Evaluation.Of(model, data, 1, CancellationToken true) |> ignore)
        |> ignore

        Expect.isTrue model.training "the mode"

/// The tests of this file.
let tests = testList "evaluations" [ byHand; refusals; cancelled ]
