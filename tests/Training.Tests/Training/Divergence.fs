/// A loss that is no number: training stops and says where, and the last good checkpoint stays.
module LocalAttention.Training.Tests.Divergence

open System
open System.IO
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.Resumptions
open LocalAttention.Training.Tests.Runs
open TorchSharp

let private advice =
    "Training stopped; a lower learning rate, a longer warm-up or clipping helps."

/// Puts a number into a parameter.
let private poison (model: Module) (name: string) (value: float32) =
    use _ = torch.no_grad ()

    let parameter =
        namedParameters model |> List.find (fun (other, _) -> other = name) |> snd

    parameter.fill_ (Scalar.op_Implicit value) |> ignore

/// A training whose parameter is spoilt when step `step` is reported; what is thrown, and the step that the file holds.
let private case name parameter (value: float32) step (every: Nullable<int>) evaluated (text: string) holds =
    testCase name
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        let whole = uninterrupted tiny torch.ScalarType.Float32 options
        use model = tiny.Build(seed = 1L)
        let options = options.With(checkpointPath = path, checkpointEverySteps = every)

        use trainer =
            if evaluated then
                new Trainer(model, training, evaluation, options)
            else
                new Trainer(model, training, options = options)

        let spoil =
            listening (fun report ->
                if report.StepsTaken = step && isNull (box report.Ended) then
                    poison model parameter value)

        failsWith<TrainingDivergedException> (text.Replace("PATH", path)) (fun () ->
            trainer.Run spoil |> ignore)

        Expect.equal (namesIn folder) [ "training.safetensors" ] "one file"

        if evaluated then
            goesOn whole path holds
        else
            use again = Trainer.Resume(path, training)
            use _ = again.Model
            Expect.equal again.StepsTaken holds "the file's step")

let private cases =
    [ case
          "not a number, between two checkpoints"
          "head.bias"
          nanf
          5L
          (Nullable 2)
          true
          $"epoch 2, step 6: the loss is NaN. {advice} PATH holds the last good state."
          4L
      case
          "not a number, just before a checkpoint"
          "head.bias"
          nanf
          4L
          (Nullable 2)
          true
          $"epoch 2, step 4: the loss is NaN. {advice} PATH holds the last good state."
          3L
      case
          "infinite, just before an epoch ends"
          "norm.weight"
          infinityf
          6L
          (Nullable 100)
          true
          $"epoch 2, step 6: the loss is NaN. {advice} PATH holds the last good state."
          3L
      case
          "finite, but too large for any loss"
          "layers.1.blocks.0.mlp.fc2.weight"
          3e38f
          4L
          (Nullable 2)
          true
          $"epoch 2, step 4: the loss is NaN. {advice} PATH holds the last good state."
          3L
      case
          "just before an epoch ends that is not evaluated"
          "norm.weight"
          infinityf
          6L
          (Nullable 100)
          false
          $"epoch 2, step 6: the loss is NaN. {advice} PATH holds the last good state."
          3L ]

let private firstStep =
    testCase "in the first step, there is no checkpoint to name"
    <| inFolder (fun folder ->
        let training, _ = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        use model = tiny.Build(seed = 1L)
        poison model "patch_embed.proj.bias" nanf
        let before = bits model

        use trainer =
            new Trainer(model, training, options = options.With(checkpointPath = path))

        let thrown = failure<TrainingDivergedException>(fun () -> trainer.Run() |> ignore)
        Expect.equal thrown.Message $"epoch 1, step 1: the loss is NaN. {advice}" "the text"
        Expect.equal thrown.Epoch (Nullable 1) "the epoch"
        Expect.equal thrown.Step 1L "the step"
        Expect.isNaN thrown.Loss "the loss"
        Expect.isNull thrown.CheckpointPath "no file"
        Expect.isTrue (bits model = before) "no parameter should change"
        Expect.isEmpty (namesIn folder) "no file should be written")

/// A rate that throws the parameters away in one step: the file of the epoch before is what is left.
let private realRate =
    testCase "a learning rate that is far too large"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        use model = tiny.Build(seed = 1L)
        let options = options.With(learningRate = 1e30, checkpointPath = path)
        use trainer = new Trainer(model, training, evaluation, options)
        let thrown = failure<TrainingDivergedException>(fun () -> trainer.Run() |> ignore)
        Expect.stringStarts thrown.Message "epoch 1, step " "the text"
        Expect.isEmpty (namesIn folder) "no file should be written")

let private gradient =
    testCase "a gradient that is no number, where the loss is one"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use model = still.Build(seed = 1L)
        let schedule = LearningRateSchedule(1e-3, 1e-3, 0L, 10L)
        use optimization = new Optimization(model, options, schedule)
        // The head's weights are huge, and meet nothing but zeros on the way to the loss.
        let weight =
            namedParameters model
            |> List.find (fun (name, _) -> name = "head.weight")
            |> snd

        poison model "norm.weight" 0.0f
        poison model "norm.bias" 0.0f
        using (torch.no_grad ()) (fun _ -> weight.narrow(0, 0L, 1L).fill_(Scalar.op_Implicit 1e30f) |> ignore)
        let before = bits model
        let labels = torch.tensor [| 0L; 1L |]

        let thrown =
            failure<TrainingDivergedException>(fun () ->
                optimization.Step(input still torch.ScalarType.Float32, labels, 6L) |> ignore)

        Expect.isMatch thrown.Message $"^step 7: the gradient's norm is (NaN|Infinity). {advice}$" "the text"

        Expect.isFalse thrown.Epoch.HasValue "no epoch outside a training"
        Expect.isTrue (Double.IsFinite thrown.Loss) "the loss"
        Expect.isTrue (bits model = before) "no parameter should change"

let private fullDisk =
    testCase "a checkpoint that cannot be written ends the training, and the last one stays"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        let whole = uninterrupted tiny torch.ScalarType.Float32 options
        use model = tiny.Build(seed = 1L)

        use trainer =
            new Trainer(model, training, evaluation, options.With(checkpointPath = path))

        let kept = Path.Combine(folder, "kept")

        // A directory in the file's place is what no user, root or not, can write over.
        let obstruct =
            listening (fun report ->
                if report.StepsTaken = 4L then
                    File.Move(path, kept)
                    Directory.CreateDirectory path |> ignore)

        damaged path "this is a directory; name a file in it" (fun () -> trainer.Run obstruct |> ignore)
        goesOn whole kept 3L)

/// The tests of this file.
let tests =
    testList "divergence" [ testList "spoilt" cases; firstStep; realRate; gradient; fullDisk ]
