/// <c>train</c>: configurations with mistakes, whole runs, runs that go on.
module LocalAttention.Cli.Tests.Training

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Runtime.InteropServices
open System.Text.Json.Nodes
open System.Threading
open System.Xml.Linq
open Expecto
open LocalAttention.Cli
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Dsl

/// The first argument that makes this program a child that trains.
[<Literal>]
let Mode = "--training-child"

[<DllImport("libc", EntryPoint = "kill")>]
extern int private signal(int pid, int number)

/// In the child.
let main (arguments: string array) : int =
    use _ = Interruption.watch ()
    CommandLine.run (List.ofArray arguments) Console.Out Console.Error

/// Bright and dark images of 20×12 pixels in folders, eight of each to learn from, two of each to be tested on.
let imageFolder (folder: string) =
    let random = Random 4

    for part, count in [ "train", 8; "test", 2 ] do
        for name, shade in [ "bright", 180; "dark", 20 ] do
            let place = Path.Combine(folder, "images", part, name)
            Directory.CreateDirectory place |> ignore

            for index in 1..count do
                let pixels = Array.init (20 * 12 * 3) (fun _ -> byte (shade + random.Next 60))
                PngFile.Write(Path.Combine(place, $"{index}.png"), PixelImage(ImageSize(20, 12), 3, pixels))

/// A configuration that trains for three epochs of four steps.
let private configure (folder: string) =
    imageFolder folder
    File.WriteAllText(file folder "small.json", toJson small)

    let config =
        """{
          "model": "small.json", // beside this file
          "data": { "kind": "folder", "path": "images" },
          "training": { "epochs": 3, "batchSize": 4, "learningRate": 3e-3, "seed": 7, "checkpointEverySteps": 1 },
          "output": "run",
        }"""

    let path = file folder "config.json"
    File.WriteAllText(path, config)
    path

let private written =
    [ "checkpoint.safetensors"; "curves.svg"; "history.json"; "model.safetensors" ]

let private losses (history: JsonNode) =
    [ for epoch in (at [ "epochs" ] history).AsArray() -> (at [ "loss" ] (nonNull epoch)).GetValue<float>() ]

let private whole =
    testCase "a whole run"
    <| inFolder (fun folder ->
        let config = configure folder
        let ended = fine [ "train"; config ]
        Expect.equal ended.Error "" "no progress where nobody looks"

        Expect.equal
            (Environment.GetEnvironmentVariable "LOCALATTENTION_LINEAR")
            "product"
            "linear layers go one way, so that another process can go on with the same bits"

        Expect.stringContains ended.Output "model.safetensors" "where the model is"
        let output = Path.Combine(folder, "run")
        Expect.equal (namesIn output) written "the files"
        let history = nonNull (JsonNode.Parse(File.ReadAllText(file output "history.json")))
        Expect.equal (number [ "steps" ] history) 12L "the steps"
        Expect.hasLength (losses history) 3 "the epochs"
        let drawn = XDocument.Load(file output "curves.svg")

        Expect.hasLength
            (drawn.Descendants(XName.Get("circle", "http://www.w3.org/2000/svg"))
             |> List.ofSeq)
            12
            "a point for each of three epochs on each of four curves"

        use weights = WeightsFile.Open(file output "model.safetensors")

        let description = nonNull (DatasetDescription.TryRead("model", weights.Metadata))

        Expect.equal
            description.Classes
            (ValueList.From [ "bright"; "dark" ])
            "the classes travel with the model"

        Expect.equal
            (architectureIn (file output "model.safetensors")).Head.Classes
            2
            "the head is the data's"

        // The training is at its end: the same command has nothing left to do, and says where it stands.
        let again = fine [ "train"; config; "--json" ]
        Expect.equal (number [ "resumedAt" ] again.Json) 12L "where it goes on"
        Expect.equal (losses (at [ "history" ] again.Json)) (losses history) "the same history")

/// The training of the configuration, ended after some steps, as an interruption leaves it.
let private interruptedAfter (steps: int64) (folder: string) =
    let output = Path.Combine(folder, "run")
    Directory.CreateDirectory output |> ignore
    let path = file output "checkpoint.safetensors"

    let struct (training, test) =
        ImageFolder.Load(Path.Combine(folder, "images"), ImageSize.Square 16)

    use model = (small |> classes 2).Build(seed = 7L)

    let options =
        TrainingOptions(
            Epochs = 3,
            BatchSize = 4,
            LearningRate = 3e-3,
            Seed = 7L,
            CheckpointEverySteps = 1,
            CheckpointPath = path
        )

    use trainer = new Trainer(model, training, test, options)
    use source = new CancellationTokenSource()

    trainer.Run(
        { new IProgress<TrainingProgress> with
            member _.Report step =
                if step.StepsTaken = steps then
                    source.Cancel() },
        source.Token
    )
    |> ignore

let private resuming =
    testCase "a run that was interrupted goes on with the losses that it would have had"
    <| inFolder (fun folder ->
        let config = configure folder
        let uninterrupted = fine [ "train"; config; "--json" ]
        Directory.Delete(Path.Combine(folder, "run"), recursive = true)
        interruptedAfter 6L folder
        let resumed = fine [ "train"; config; "--json" ]
        Expect.equal (number [ "resumedAt" ] resumed.Json) 6L "where it goes on"

        Expect.equal
            (losses (at [ "history" ] resumed.Json))
            (losses (at [ "history" ] uninterrupted.Json))
            "the losses"

        File.WriteAllText(config, (File.ReadAllText config).Replace("3e-3", "1e-3"))

        Expect.stringContains
            (refused [ "train"; config ])
            "is of another configuration: the training's options are others. Use another output, or --restart."
            "other options"

        let restarted = fine [ "train"; config; "--restart"; "--json" ]
        Expect.equal (at [] restarted.Json).["resumedAt"] null "from the beginning")

/// A process that trains.
let private child (config: string) =
    ProcessStartInfo(
        "dotnet",
        [ Assembly.GetExecutingAssembly().Location; Mode; "train"; config ],
        RedirectStandardOutput = true,
        RedirectStandardError = true
    )
    |> Process.Start
    |> nonNull

/// A process that trains until it is asked to terminate, after the first epoch: its exit code, and what it says.
let private terminated (folder: string) (config: string) =
    use child = child config
    let history = Path.Combine(folder, "run", "history.json")
    let patience = Stopwatch.StartNew()

    while not (File.Exists history)
          && not child.HasExited
          && patience.Elapsed.TotalSeconds < 60.0 do
        Thread.Sleep 20

    signal (child.Id, 15) |> ignore
    let output = child.StandardOutput.ReadToEnd()

    if not (child.WaitForExit(TimeSpan.FromSeconds 30L)) then
        child.Kill()

    child.ExitCode, output, child.StandardError.ReadToEnd()

let private interruption =
    testCase "a request to terminate leaves a checkpoint that the same command goes on from"
    <| inFolder (fun folder ->
        let config = configure folder
        File.WriteAllText(config, (File.ReadAllText config).Replace("\"epochs\": 3", "\"epochs\": 2000"))
        let code, output, error = terminated folder config
        Expect.equal code ExitCode.Interrupted $"the exit code; {error}"
        Expect.stringStarts output "interrupted at step " "what it says"

        Expect.equal
            (namesIn (Path.Combine(folder, "run")))
            (written |> List.except [ "model.safetensors" ])
            "no half-written file")

let private acrossProcesses =
    testCase "a run that two processes share ends with the bits of one process's run"
    <| inFolder (fun folder ->
        let config = configure folder
        // Four images of 64 tokens, from 64 channels to 256: 4,194,304 multiply-adds, enough for the library to measure which
        // operator is the faster here and now.
        let wide =
            backbone "wide" (patchify 2 64)
            |> stages [ stage (slide 3 |> heads 2) ]
            |> imageSize 16

        File.WriteAllText(file folder "small.json", toJson wide)
        File.WriteAllText(config, (File.ReadAllText config).Replace("\"epochs\": 3", "\"epochs\": 20"))

        let ended () =
            use child = child config
            child.StandardOutput.ReadToEnd() |> ignore
            let error = child.StandardError.ReadToEnd()
            child.WaitForExit()
            Expect.equal child.ExitCode 0 error
            File.ReadAllBytes(Path.Combine(folder, "run", "model.safetensors"))

        let alone = ended ()
        Directory.Delete(Path.Combine(folder, "run"), recursive = true)
        let code, _, error = terminated folder config
        Expect.equal code ExitCode.Interrupted $"the exit code; {error}"
        Expect.isTrue (alone.AsSpan().SequenceEqual(ended ())) "the same file")

/// A configuration that starts from a file and moves by next to nothing: one epoch of four steps.
let private fineTuning (folder: string) (weights: string) =
    let config = configure folder

    File.WriteAllText(
        config,
        (File.ReadAllText config)
            .Replace("\"data\":", $"\"weights\": \"{weights}\", \"data\":")
            .Replace("\"epochs\": 3", "\"epochs\": 1, \"decay\": 0, \"minimumLearningRate\": 0")
            .Replace("3e-3", "1e-12")
    )

    config

/// What four steps of Adam may change at this rate: each at most the rate times 1 / √(1 − 0.999), the first beta left out.
let private moved = 4.0 * 1e-12 / sqrt (1.0 - 0.999)

/// The parameters of two files that differ by more than that, or in their shapes.
let private differing (one: string) (other: string) =
    use one = WeightsFile.Open one
    use other = WeightsFile.Open other

    [ for entry in one.Entries do
          use before = one.Read entry.Name
          use after = other.Read entry.Name

          if before.shape <> after.shape || not (before.allclose (after, 0.0, moved)) then
              entry.Name ]
    |> List.sort

let private pretrained =
    testList
        "from the parameters of a file"
        [ testCase "all of them, where the classes are the same"
          <| inFolder (fun folder ->
              let before = file folder "before.safetensors"
              use model = small |> classes 2 |> buildSeeded 11L
              model |> save before
              let ended = fine [ "train"; fineTuning folder "before.safetensors" ]
              Expect.equal (ended.Error.Trim()) $"starts from {before}" "what is said"

              Expect.isEmpty
                  (differing before (Path.Combine(folder, "run", "model.safetensors")))
                  "what is another"

              // The seed's own parameters are others: the test would see them.
              use random = small |> classes 2 |> buildSeeded 7L
              random |> save (file folder "random.safetensors")
              Expect.isNonEmpty (differing before (file folder "random.safetensors")) "random ones")

          testCase "all but the head's, where the classes are others"
          <| inFolder (fun folder ->
              let before = smallIn folder
              let ended = fine [ "train"; fineTuning folder "small.safetensors"; "--json" ]

              Expect.stringContains
                  ended.Error
                  "its head is for 3 classes, so that the one for 2 starts at random"
                  "what is said"

              let after = Path.Combine(folder, "run", "model.safetensors")
              Expect.equal (differing before after) [ "head.bias"; "head.weight" ] "what is another"

              use random = (small |> classes 2).Build(seed = 7L)
              random |> save (file folder "random.safetensors")

              Expect.isTrue
                  ((tensorOf after "head.weight")
                      .allclose(tensorOf (file folder "random.safetensors") "head.weight", 0.0, moved))
                  "the head is the one that the seed gives")

          testCase "what does not fit is said, and nothing is trained"
          <| inFolder (fun folder ->
              let config = fineTuning folder "other.safetensors"
              let said = refused [ "train"; config ]
              Expect.stringContains said "other.safetensors" "a file that is not there"
              use other = small |> imageChannels 1 |> buildSeeded 5L
              other |> save (file folder "other.safetensors")
              let said = refused [ "train"; config ]
              Expect.stringContains said "the tensors are not those of small" "another model's"
              Expect.stringContains said "1 misshapen: " "what is wrong"

              Expect.stringContains
                  said
                  " [8, 1, 4, 4] instead of [8, 3, 4, 4]"
                  "its shape, and the right one"

              Expect.isEmpty (namesIn (Path.Combine(folder, "run"))) "what is written") ]

let private mistake name (change: string -> string) (expected: string) =
    testCase name
    <| inFolder (fun folder ->
        let config = configure folder
        File.WriteAllText(config, change (File.ReadAllText config))
        Expect.stringContains (refused [ "train"; config ]) expected "what is said")

let private replace (old: string) (it: string) (text: string) = text.Replace(old, it)

let private mistakes =
    [ mistake "no JSON" (replace "{" "") "this is no JSON: "
      mistake "a name given twice" (replace "\"output\"" "\"data\"") "this is no JSON: "
      mistake
          "a name that is nearly right"
          (replace "\"epochs\"" "\"epoch\"")
          "training.epoch is not known; did you mean 'epochs'? The names here are recipe, epochs"
      mistake
          "no output"
          (replace "\"output\": \"run\"," "")
          "output is missing or null; it must be the path of a folder"
      mistake
          "a word for a number"
          (replace "\"batchSize\": 4" "\"batchSize\": \"four\"")
          "training.batchSize is \"four\"; it must be a whole number."
      mistake
          "a broken number"
          (replace "\"batchSize\": 4" "\"batchSize\": 4.5")
          "training.batchSize is 4.5; it must be a whole number."
      mistake "an impossible number" (replace "3e-3" "-1") "training.learningRate is -1; it must be above 0"
      mistake
          "an unknown kind of data"
          (replace "\"folder\"" "\"files\"")
          "data.kind is \"files\"; it must be one of \"fashion-mnist\", \"mnist\", \"folder\"."
      mistake
          "a folder without a path"
          (replace ", \"path\": \"images\"" "")
          "data.path is missing; 'folder' needs the folder that holds the images."
      mistake
          "a limit of nothing"
          (replace "\"path\"" "\"test\": 0, \"path\"")
          "data.test is 0; it must be a whole number of images, 1 or more."
      mistake
          "parameters that are no file"
          (replace "\"data\":" "\"weights\": true, \"data\":")
          "weights is true; it must be the path of a file of parameters; leave it out for random ones."
      mistake "no such model" (replace "small.json" "swin-tinny") "There is no model 'swin-tinny' in the zoo"
      mistake "no such folder" (replace "images" "pictures") "pictures: there is no such directory"
      mistake
          "several mistakes at once"
          (replace "\"epochs\": 3" "\"epochs\": 0" >> replace "\"run\"" "3")
          $"there are 2 mistakes:{Environment.NewLine}  training.epochs is 0; it must be 1 or more{Environment.NewLine}  output is 3; it must be the path of a folder"
      testCase "no file"
      <| fun () ->
          Expect.stringContains
              (refused [ "train"; "none.json" ])
              "There is no file 'none.json'"
              "what is said" ]

/// The tests of this file.
let tests =
    testList
        "train"
        [ whole
          resuming
          interruption
          acrossProcesses
          pretrained
          testList "mistakes" mistakes ]
