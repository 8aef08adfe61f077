/// Whole trainings: what they report, and that a seed decides them to the last bit.
module LocalAttention.Training.Tests.Runs

open System
open System.IO
open System.Threading
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

/// Hears every report, and does something with it.
let listening (hear: TrainingProgress -> unit) =
    { new IProgress<TrainingProgress> with
        member _.Report report = hear report }

/// All randomness there is: order, crops, flips, mixtures, stochastic depth; three steps an epoch, the last one smaller.
let options =
    TrainingOptions(
        Epochs = 3,
        BatchSize = 8,
        LearningRate = 3e-3,
        WarmupSteps = 2,
        LabelSmoothing = 0.1,
        MixupAlpha = 0.8,
        CropPadding = 1,
        HorizontalFlip = true,
        Seed = 11L
    )

/// Twenty images to learn from, and ten others.
let data =
    lazy
        (let all = images 30
         all.Subset [ 0L .. 19L ], all.Subset [ 20L .. 29L ])

/// What a training leaves: each step's loss and gradient norm, each epoch's results, and the parameters' bits.
type Trace =
    { steps: Map<int64, float * float>
      epochs: (float * float * Nullable<EvaluationResult>) list
      parameters: Map<string, byte array> }

/// The results of epochs without the time that they took.
let results (epochs: EpochResult seq) =
    [ for epoch in epochs -> epoch.Loss, epoch.Accuracy, epoch.Evaluation ]

/// Runs a trainer to its end.
let trace (trainer: Trainer) =
    let steps = Collections.Generic.Dictionary()

    let hear (report: TrainingProgress) =
        if isNull (box report.Ended) then
            steps[report.StepsTaken] <- (report.StepLoss, report.GradientNorm)

    let result = trainer.Run(listening hear)
    Expect.isFalse result.Cancelled "it should end"

    { steps = Map.ofSeq (steps |> Seq.map (fun pair -> pair.Key, pair.Value))
      epochs = results result.Epochs
      parameters = bits trainer.Model }

/// The whole training, uninterrupted.
let uninterrupted (architecture: Architecture) (dtype: torch.ScalarType) (options: TrainingOptions) =
    let training, evaluation = data.Value
    use model = architecture.Build(dtype = dtype, seed = 1L)
    use trainer = new Trainer(model, training, evaluation, options)
    trace trainer

let private seeded =
    testList
        "a seed decides the training, to the last bit"
        [ for dtype in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
              testCase $"{dtype}"
              <| fun () ->
                  let one = uninterrupted tiny dtype options
                  // What others draw from the library's generator does not matter.
                  torch.manual_seed 99L |> ignore
                  torch.rand(5L).Dispose()
                  Expect.isTrue (uninterrupted tiny dtype options = one) "the same seed"
                  let other = uninterrupted tiny dtype (options.With(seed = 12L))
                  Expect.isFalse (other.steps = one.steps) "another seed" ]

let private drops =
    testCase "stochastic depth follows from the seed and the step"
    <| fun () ->
        let plain = TrainingOptions(Epochs = 1, BatchSize = 20)
        let one = uninterrupted tiny torch.ScalarType.Float32 plain
        let dropless = uninterrupted still torch.ScalarType.Float32 plain
        Expect.isTrue (uninterrupted tiny torch.ScalarType.Float32 plain = one) "the same again"
        Expect.notEqual one.steps dropless.steps "it should have an effect"

let private reports =
    testCase "each step and each epoch is reported with what it did"
    <| fun () ->
        let training, evaluation = data.Value
        use model = tiny.Build(seed = 1L)
        let options = options.With(mixupAlpha = 0.0)
        use trainer = new Trainer(model, training, evaluation, options)
        let heard = ResizeArray<TrainingProgress>()
        let thread = Environment.CurrentManagedThreadId

        let hear report =
            Expect.equal Environment.CurrentManagedThreadId thread "on the caller's thread"
            heard.Add report

        Expect.equal (trainer.StepsPerEpoch, trainer.Steps) (3L, 9L) "steps"
        let result = trainer.Run(listening hear)
        Expect.isFalse result.Cancelled "it should end"
        Expect.isNull result.CheckpointPath "no file was asked for"
        Expect.equal trainer.StepsTaken 9L "steps taken"
        let schedule = LearningRateSchedule.For(options, 9L, 3L)

        let places =
            [ for report in heard ->
                  report.Epoch, report.Step, report.StepsTaken, not (isNull (box report.Ended)) ]

        let expected =
            [ for epoch in 1..3 do
                  for step in 1..3 do
                      epoch, int64 step, int64 (3 * (epoch - 1) + step), false

                  epoch, 3L, int64 (3 * epoch), true ]

        Expect.equal places expected "places"

        for epoch in 1..3 do
            let ofEpoch = heard |> Seq.filter (fun report -> report.Epoch = epoch) |> List.ofSeq
            let steps = ofEpoch |> List.take 3
            let mutable sum, seen = 0.0, 0

            for step, size in List.zip steps [ 8; 8; 4 ] do
                Expect.equal
                    (step.Model, step.Epochs, step.StepsPerEpoch, step.Steps)
                    ("tiny", 3, 3L, 9L)
                    "the training"

                Expect.equal step.LearningRate (schedule.At(step.StepsTaken - 1L)) "the rate"
                Expect.isGreaterThan step.GradientNorm 0.0 "the norm"
                Expect.isGreaterThan step.ImagesPerSecond 0.0 "the speed"
                Expect.isTrue (step.TimeLeft >= TimeSpan.Zero) "the time left"
                sum <- sum + float size * step.StepLoss
                seen <- seen + size
                Expect.floatClose Accuracy.veryHigh step.Loss (sum / float seen) "the mean loss so far"
                Expect.isTrue (step.Accuracy >= 0.0 && step.Accuracy <= 1.0) "the accuracy"

            let ended = (List.last ofEpoch).Ended |> Option.ofObj |> Option.get
            Expect.equal ended.Epoch epoch "the epoch that ended"
            Expect.equal ended.Loss (List.last steps).Loss "its loss"
            Expect.equal ended.Accuracy (List.last steps).Accuracy "its accuracy"
            Expect.equal ended.Evaluation.Value.Images 10L "images that it was evaluated on"
            Expect.isTrue (ended.Duration > TimeSpan.Zero) "its duration"
            Expect.equal result.Epochs[epoch - 1] ended "the epoch in the result"

        Expect.equal (heard[heard.Count - 1]).TimeLeft TimeSpan.Zero "nothing is left at the end"
        Expect.equal result.Epochs trainer.Epochs "the trainer's epochs"
        Expect.equal result.Evaluation result.Epochs[2].Evaluation "the last evaluation"
        Expect.equal result.Evaluation (Nullable(Evaluation.Of(model, evaluation))) "evaluated again"

/// The accuracy of an epoch is counted by hand: with a learning rate of nothing much, the model stays what it was.
let private counted =
    testCase "the accuracy of an epoch is that of its images"
    <| fun () ->
        let training, _ = data.Value
        use model = still.Build(dtype = torch.ScalarType.Float64, seed = 1L)
        enliven 5 model
        let expected = Evaluation.Of(model, training)

        let options =
            TrainingOptions(Epochs = 1, BatchSize = 7, LearningRate = 1e-12, Decay = 0.0)

        use trainer = new Trainer(model, training, options = options)
        let result = trainer.Run()
        Expect.equal result.Epochs[0].Accuracy expected.Accuracy "the accuracy"
        // Every image is seen once: the mean is the same.
        Expect.floatClose Accuracy.high result.Epochs[0].Loss expected.Loss "the loss"
        Expect.isFalse result.Epochs[0].Evaluation.HasValue "no evaluation was asked for"

let private learns =
    testCase "a model learns what can be learnt: guessing is right in a quarter"
    <| fun () ->
        let all = images 200
        let training, test = all.Subset [ 0L .. 159L ], all.Subset [ 160L .. 199L ]
        use model = tiny.With(dropPath = 0.0).Build(seed = 1L)

        let options =
            TrainingOptions(Epochs = 6, BatchSize = 16, LearningRate = 1e-2, WarmupEpochs = 1.0)

        use trainer = new Trainer(model, training, test, options)
        let result = trainer.Run()

        Expect.isGreaterThan
            result.Evaluation.Value.Accuracy
            0.7
            "the accuracy on images that it has not seen"

let private lines =
    testCase "without a terminal, each epoch is one line"
    <| fun () ->
        let training, evaluation = data.Value
        use model = tiny.Build(seed = 1L)
        use trainer = new Trainer(model, training, evaluation, options)
        use text = new StringWriter()

        let settings =
            Spectre.Console.AnsiConsoleSettings(Out = Spectre.Console.AnsiConsoleOutput text)

        let console = Spectre.Console.AnsiConsole.Create settings
        let result = ConsoleProgress.Show((fun progress -> trainer.Run progress), console)
        let lines = text.ToString().TrimEnd().Split('\n')
        Expect.hasLength lines 3 "lines"

        for epoch in 1..3 do
            let ended = result.Epochs[epoch - 1]
            let loss, accuracy = ended.Loss.ToString "0.000", ended.Accuracy.ToString "0.0%"
            let testLoss = ended.Evaluation.Value.Loss.ToString "0.000"

            Expect.stringStarts
                lines[epoch - 1]
                ($"tiny  epoch {epoch}/3  loss {loss}  accuracy {accuracy}  "
                 + $"test loss {testLoss}  test accuracy ")
                "the line"

/// The tests of this file.
let tests = testList "runs" [ seeded; drops; reports; counted; learns; lines ]
