/// A training that was ended at any step goes on as if it had not been.
module LocalAttention.Training.Tests.Resumptions

open System
open System.IO
open System.Threading
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.Runs
open TorchSharp

/// The rest of a training is that of the uninterrupted one, bit for bit.
let goesOn (whole: Trace) path from =
    let training, evaluation = data.Value
    use trainer = Trainer.Resume(path, training, evaluation)
    use model = trainer.Model
    Expect.equal trainer.StepsTaken from "the step that it goes on from"
    let rest = trace trainer

    Expect.equal
        rest.steps
        (whole.steps |> Map.filter (fun step _ -> step > from))
        "the losses and norms of the rest"

    Expect.equal rest.epochs whole.epochs "the results of all epochs"
    Expect.isTrue (rest.parameters = whole.parameters) "the parameters at the end, bit for bit"

let private cancelAt step (source: CancellationTokenSource) =
    listening (fun report ->
        if report.StepsTaken = step && isNull (box report.Ended) then
            source.Cancel())

let private everyStep =
    testList
        "cancelled at any step and resumed"
        [ for architecture, dtype in
              [ tiny, torch.ScalarType.Float32
                tiny, torch.ScalarType.Float64
                tiny.With(conventions = Conventions.Flax, name = "flax"), torch.ScalarType.Float32 ] do
              testCase $"{architecture.Name}, {dtype}"
              <| inFolder (fun folder ->
                  let training, evaluation = data.Value
                  let path = Path.Combine(folder, "training.safetensors")
                  let whole = uninterrupted architecture dtype options

                  for step in 1L .. 8L do
                      File.Delete path
                      use model = architecture.Build(dtype = dtype, seed = 1L)

                      use trainer =
                          new Trainer(model, training, evaluation, options.With(checkpointPath = path))

                      use source = new CancellationTokenSource()
                      let result = trainer.Run(cancelAt step source, source.Token)
                      Expect.isTrue result.Cancelled "it should be cancelled"
                      Expect.equal trainer.StepsTaken step "the step under way ends, and no other"
                      Expect.equal result.CheckpointPath path "the file"
                      goesOn whole path step) ]

let private several =
    testCase "cancelled again and again, one step at a time"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        let whole = uninterrupted tiny torch.ScalarType.Float32 options
        use model = tiny.Build(seed = 1L)

        use trainer =
            new Trainer(model, training, evaluation, options.With(checkpointPath = path))

        trainer.Run(cancellation = CancellationToken true) |> ignore

        for step in 1L .. 8L do
            use trainer = Trainer.Resume(path, training, evaluation)
            use _ = trainer.Model
            use source = new CancellationTokenSource()
            trainer.Run(cancelAt step source, source.Token) |> ignore

        goesOn whole path 8L)

let private sameObject =
    testCase "a trainer that was cancelled can itself go on"
    <| fun () ->
        let training, evaluation = data.Value
        let whole = uninterrupted tiny torch.ScalarType.Float32 options
        use model = tiny.Build(seed = 1L)
        use trainer = new Trainer(model, training, evaluation, options)
        use source = new CancellationTokenSource()
        let result = trainer.Run(cancelAt 4L source, source.Token)
        Expect.isTrue result.Cancelled "it should be cancelled"
        Expect.isNull result.CheckpointPath "no file was asked for"
        let rest = trace trainer
        Expect.equal rest.epochs whole.epochs "the results of all epochs"
        Expect.isTrue (rest.parameters = whole.parameters) "the parameters at the end"

let private finished =
    testCase "a training that ended has nothing left; its file is a model too"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")
        use model = tiny.Build(seed = 1L)

        use trainer =
            new Trainer(model, training, evaluation, options.With(checkpointPath = path))

        let result = trainer.Run()
        let bytes = File.ReadAllBytes path
        use again = Trainer.Resume(path, training, evaluation)
        let heard = ResizeArray()
        let nothing = again.Run(listening heard.Add)
        Expect.isEmpty heard "reports"
        Expect.isFalse nothing.Cancelled "it is not cancelled"
        Expect.equal nothing.Epochs result.Epochs "its epochs, with their times"
        Expect.isTrue (bits again.Model = bits model) "its parameters"
        Expect.isTrue (File.ReadAllBytes path = bytes) "its file"
        use loaded = Checkpoint.Load path
        Expect.isTrue (bits loaded = bits model) "the model alone")

let private schedule =
    testCase "checkpoints are written when they should be"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value
        let path = Path.Combine(folder, "training.safetensors")

        let written (options: TrainingOptions) =
            File.Delete path
            use model = tiny.Build(seed = 1L)

            use trainer =
                new Trainer(model, training, evaluation, options.With(checkpointPath = path))

            let mutable last = DateTime.MinValue
            let seen = ResizeArray()

            let look place =
                if File.Exists path && File.GetLastWriteTimeUtc path <> last then
                    last <- File.GetLastWriteTimeUtc path
                    seen.Add place

            // A step's file is written after its report, and an epoch's before its own.
            let hear (report: TrainingProgress) =
                look (
                    if isNull (box report.Ended) then
                        report.StepsTaken - 1L
                    else
                        report.StepsTaken
                )

            trainer.Run(listening hear) |> ignore
            List.ofSeq seen

        Expect.equal (written options) [ 3L; 6L; 9L ] "each epoch"

        Expect.equal
            (written (options.With(checkpointEvery = 2)))
            [ 6L; 9L ]
            "every second epoch, and the last"

        Expect.equal
            (written (options.With(checkpointEvery = 3, checkpointEverySteps = 2))
             |> List.map (fun step -> step))
            [ 2L; 4L; 6L; 8L; 9L ]
            "every second step, and the last epoch")

let private optionsKept =
    testCase "the options travel with the training"
    <| inFolder (fun folder ->
        let training, evaluation = data.Value

        let path, moved =
            Path.Combine(folder, "training.safetensors"), Path.Combine(folder, "moved.safetensors")

        let options =
            options.With(
                checkpointPath = path,
                clipNorm = 3.0,
                beta1 = 0.8,
                checkpointEverySteps = 5,
                decay = 0.01
            )

        use model = tiny.Build(seed = 1L)
        use trainer = new Trainer(model, training, evaluation, options)
        trainer.Save moved
        use again = Trainer.Resume(moved, training, evaluation)

        Expect.equal
            again.Options
            (options.With(checkpointPath = moved))
            "the options, but for the file's place"

        Expect.equal again.StepsTaken 0L "nothing was done yet"

        use model = tiny.Build(seed = 1L)
        Checkpoint.Save(model, path)

        damaged
            path
            ("the metadata holds no training (key 'local_attention.training'); this is a model alone: "
             + "load it and start a new training")
            (fun () -> Trainer.Resume(path, training).Dispose()))

/// The tests of this file.
let tests =
    testList "resumptions" [ everyStep; several; sameObject; finished; schedule; optionsKept ]
