/// <c>train</c>: trains a model as a configuration says, or goes on where an earlier call was interrupted.
module LocalAttention.Cli.Commands.Train

open System
open System.CommandLine
open System.IO
open System.Text
open System.Threading
open LocalAttention.Cli
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Dsl

let private config =
    Argument<string>("CONFIG", Description = "A JSON file: model, data, training, output. See docs/cli.md.")

let private restart =
    Option<bool>("--restart", Description = "Begin anew, even if the output folder has a checkpoint.")

/// What is written, all in the output's folder.
type private Files(folder: string) =
    member _.Checkpoint = Path.Combine(folder, "checkpoint.safetensors")
    member _.Model = Path.Combine(folder, "model.safetensors")
    member _.History = Path.Combine(folder, "history.json")
    member _.Curves = Path.Combine(folder, "curves.svg")

// ------------------------------------------------------------------------------------------ model and data

let private declared (invocation: Invocation) (config: TrainingConfig) =
    match config.Model with
    | ConfiguredModel.Given architecture -> architecture
    | ConfiguredModel.Named name -> (Models.resolve invocation name).Architecture

let private ofMnist (config: TrainingConfig) (struct (training: ImageDataset, test: ImageDataset)) =
    match config.ImageSize with
    | Some size when size <> training.Size ->
        Refusal.wrong $"imageSize is {size}; the images of this data set are {training.Size}. Leave it out."
    | _ ->
        let take (limit: int64 option) (data: ImageDataset) =
            match limit with
            | Some count -> data.Take count
            | None -> data

        { Training = take config.TrainingImages training
          Test = take config.TestImages test }

let private examples (config: TrainingConfig) (architecture: Architecture) =
    match config.Data with
    | DataSource.FashionMnist folder -> FashionMnist.Load(Option.toObj folder) |> ofMnist config
    | DataSource.Mnist folder -> Mnist.Load folder |> ofMnist config
    | DataSource.Folder folder ->
        if architecture.ImageChannels <> 1 && architecture.ImageChannels <> 3 then
            Refusal.wrong
                $"'{architecture.Name}' takes images of {architecture.ImageChannels} channels; those of a folder have 1 or 3."

        let struct (training, test) =
            ImageFolder.Load(
                folder,
                defaultArg config.ImageSize architecture.Resolution,
                architecture.ImageChannels,
                Option.toNullable config.TrainingImages,
                Option.toNullable config.TestImages
            )

        { Training = training; Test = test }

/// The model with the data's classes, channels and size.
let private fitted (data: ImageDataset) (architecture: Architecture) =
    let fitted =
        architecture.With(
            head = architecture.Head.WithClasses data.Classes.Count,
            imageChannels = data.Channels,
            resolution = data.Size
        )

    match problems fitted with
    | [] -> fitted
    | mistakes ->
        Refusal.wrong
            $"'{architecture.Name}' cannot be built for images of {data.Size} with {data.Channels} channels. {Printing.problems mistakes}"

// ------------------------------------------------------------------------------------------ running

/// Goes on from a checkpoint, if it is one of this very training.
let private resumed (files: Files) (config: TrainingConfig) (data: Examples) (architecture: Architecture) =
    let trainer = Trainer.Resume(files.Checkpoint, data.Training, data.Test)

    let differences =
        [ if trainer.Model.Architecture <> architecture then
              "the model is another"
          if trainer.Options <> config.Options.With(checkpointPath = files.Checkpoint) then
              "the training's options are others" ]

    if not differences.IsEmpty then
        trainer.Model.Dispose()
        trainer.Dispose()

        Refusal.wrong
            $"""{files.Checkpoint} is of another configuration: {String.concat ", and " differences}. Use another output, or --restart."""

    trainer

/// The parameters of an earlier training; what belongs to its classes stays behind where they are others.
let private pretrained (invocation: Invocation) (path: string) (model: Backbone) =
    use file = WeightsFile.Open path
    let classes = PretrainedParameters.LoadInto(model, file)
    let own = model.Architecture.Head.Classes

    invocation.Note(
        if classes = own then
            $"starts from {path}"
        else
            $"starts from {path}; its head is for {classes} classes, so that the one for {own} starts at random"
    )

let private started
    (invocation: Invocation)
    (files: Files)
    (config: TrainingConfig)
    (data: Examples)
    (architecture: Architecture)
    =
    let model = architecture.Build(seed = config.Options.Seed)

    try
        config.Weights |> Option.iter (fun path -> pretrained invocation path model)
    with _ ->
        model.Dispose()
        reraise ()

    new Trainer(model, data.Training, data.Test, config.Options.With(checkpointPath = files.Checkpoint))

let private history (architecture: Architecture) (steps: int64) (epochs: EpochResult seq) =
    {| model = architecture.Name
       parameters = parameters architecture
       steps = steps
       epochs =
        [ for epoch in epochs ->
              {| epoch = epoch.Epoch
                 loss = epoch.Loss
                 accuracy = epoch.Accuracy
                 testLoss =
                  if epoch.Evaluation.HasValue then
                      Nullable epoch.Evaluation.Value.Loss
                  else
                      Nullable()
                 testAccuracy =
                  if epoch.Evaluation.HasValue then
                      Nullable epoch.Evaluation.Value.Accuracy
                  else
                      Nullable()
                 seconds = epoch.Duration.TotalSeconds |} ] |}

let private record (files: Files) (trainer: Trainer) =
    let json =
        Json.text (history trainer.Model.Architecture trainer.StepsTaken trainer.Epochs)
        + "\n"

    let bytes = UTF8Encoding(false).GetBytes json
    AtomicFile.Write(files.History, bytes.LongLength, fun stream -> stream.Write(ReadOnlySpan bytes))

    trainer.Epochs
    |> Curves.save $"{trainer.Model.Architecture.Name}, training" files.Curves

/// Trains, recording each epoch; on a terminal, with a bar.
let private trained (invocation: Invocation) (files: Files) (trainer: Trainer) =
    Interruption.listening (fun token ->
        let recording (shown: IProgress<TrainingProgress> option) =
            { new IProgress<TrainingProgress> with
                member _.Report step =
                    if not (isNull (box step.Ended)) then
                        record files trainer

                    match shown with
                    | Some progress -> progress.Report step
                    | None -> () }

        if invocation.ErrorIsTerminal then
            ConsoleProgress.Show(
                (fun progress -> trainer.Run(recording (Some progress), token)),
                invocation.Progress
            )
        else
            trainer.Run(recording None, token))

/// Which of two operators a linear layer is computed with is measured in each process, and they add in different orders. A
/// training that goes on in another process has to go the same way, so that it is fixed where nobody has said another.
let private fixRoute () =
    let variable = "LOCALATTENTION_LINEAR"

    if String.IsNullOrEmpty(Environment.GetEnvironmentVariable variable) then
        Environment.SetEnvironmentVariable(variable, "product")

let private run (invocation: Invocation) =
    fixRoute ()
    let path = invocation.Value config
    let config = TrainingConfig.read path
    let files = Files config.Output
    Directory.CreateDirectory config.Output |> ignore
    let declared = declared invocation config

    let data =
        invocation.While("reading the images", (fun () -> examples config declared))

    use training = data.Training
    use _ = data.Test
    let architecture = fitted training declared
    let isResumed = File.Exists files.Checkpoint && not (invocation.Value restart)

    use trainer =
        if isResumed then
            resumed files config data architecture
        else
            started invocation files config data architecture

    use model = trainer.Model
    let before = trainer.StepsTaken

    if isResumed then
        invocation.Note $"goes on from step {before} of {trainer.Steps}, {files.Checkpoint}"

    let result = trained invocation files trainer
    record files trainer

    if not result.Cancelled then
        Checkpoint.Save(model, files.Model, DatasetDescription.Of(training).ToMetadata())

    invocation.Answer(
        (fun () ->
            {| history = history architecture trainer.StepsTaken result.Epochs
               resumedAt = (if isResumed then Nullable before else Nullable())
               cancelled = result.Cancelled
               totalSteps = trainer.Steps
               model = (if result.Cancelled then null else files.Model)
               checkpoint = files.Checkpoint
               historyFile = files.History
               curves = files.Curves |}),
        (fun () ->
            if result.Cancelled then
                $"interrupted at step {trainer.StepsTaken} of {trainer.Steps}; the same command goes on from {files.Checkpoint}"
            else
                Printing.training result
                + Environment.NewLine
                + $"model: {files.Model}{Environment.NewLine}curves: {files.Curves}")
    )

    if result.Cancelled then
        ExitCode.Interrupted
    else
        ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "train",
            "Trains a model as a JSON file says: on Fashion-MNIST, MNIST or a folder of images. Interrupted, the same command goes on.",
            [ "train first.json", "train, or go on; writes checkpoint, model, history and curves"
              "train first.json --restart", "from the beginning again" ]
        )

    command.Arguments.Add config
    command.Options.Add restart
    command.Runs run
    command
