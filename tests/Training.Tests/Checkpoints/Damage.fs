/// Damaged checkpoints: cut at any length, with any byte changed. Whatever they are, reading them ends, with a
/// `CheckpointException` or with a model.
module LocalAttention.Training.Tests.Damage

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models

let private data = lazy (images 8)

/// A checkpoint of a training after two steps: model, optimizer, position.
let private checkpoint =
    lazy
        (let mutable bytes = [||]

         inFolder
             (fun folder ->
                 let path = Path.Combine(folder, "file.safetensors")
                 use model = tiny.Build(seed = 1L)

                 use trainer =
                     new Trainer(model, data.Value, options = TrainingOptions(Epochs = 2, BatchSize = 4))

                 use source = new Threading.CancellationTokenSource()

                 let stop =
                     { new IProgress<TrainingProgress> with
                         member _.Report report =
                             if report.StepsTaken = 2 then
                                 source.Cancel() }

                 trainer.Run(stop, source.Token) |> ignore
                 trainer.Save path
                 bytes <- File.ReadAllBytes path)
             ()

         bytes)

/// Reads a file in every way there is; what is wrong with how that ended.
let private outcome path =
    let attempt (read: unit -> unit) =
        try
            read ()
            None
        with
        | :? CheckpointException as refused when refused.Message.Length < 10_000 -> None
        // The training's number of images may be what was changed.
        | :? ArgumentException as refused when
            refused.Message.StartsWith "the training set has 8 images; the training in"
            ->
            None
        | other -> Some $"{other.GetType().Name}: {other.Message}"

    List.choose
        attempt
        [ fun () -> Checkpoint.Load(path).Dispose()
          fun () ->
              use trainer = Trainer.Resume(path, data.Value)
              trainer.Model.Dispose()
          fun () ->
              use file = SafetensorsFile.Open path

              for entry in file.Entries do
                  file.Read(entry.Name).Dispose() ]

let private truncations =
    testCase "cut at every length of the header and around every tensor's ends"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        let bytes = checkpoint.Value
        let start = dataStart bytes
        File.WriteAllBytes(path, bytes)

        let ends =
            use file = SafetensorsFile.Open path
            [ for entry in file.Entries -> start + int entry.End ]

        let lengths =
            [ for position in ends do
                  position - 1
                  position
                  position + 1
              yield! [ 0..40 ]
              yield! [ 41..37..start ]
              start - 1
              start
              start + 1 ]
            |> List.filter (fun length -> length < bytes.Length)
            |> List.distinct
            |> List.sortDescending

        for length in lengths do
            using (File.OpenWrite path) _.SetLength(int64 length)

            let mistake =
                (failure<CheckpointException>(fun () -> Checkpoint.Load(path).Dispose())).Mistake

            let expected =
                if length < 8 then
                    $"the file has {length} bytes; a safetensors file begins with 8 that hold its header's length"
                elif length < start then
                    $"the header's length is given as {start - 8:N0} bytes, but only {length - 8:N0} follow; "
                    + "the file is truncated or not a safetensors file"
                else
                    $"of the data, which has {length - start}; the file is truncated or its header wrong"

            Expect.stringContains mistake expected $"cut to {length} bytes")

/// A file whose tensors begin in the middle of the header's promise: cut while it is open.
let private cutWhileOpen =
    testCase "cut while it is read"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        let bytes = checkpoint.Value
        File.WriteAllBytes(path, bytes)
        use file = SafetensorsFile.Open path
        let last = file.Entries |> Seq.maxBy _.End
        let length = int64 (dataStart bytes) + last.Begin

        using
            (new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            _.SetLength(length)

        damaged
            path
            $"the file ended at byte {length}, {last.Length} bytes too early; it was cut while it was read"
            (fun () -> file.Read(last.Name).Dispose()))

type private Change =
    | Replace of position: int * value: byte
    | Insert of position: int * value: byte
    | Remove of position: int * count: int
    | Repeat of position: int * count: int
    | Number of position: int * value: string

let private apply (bytes: byte array) change =
    let at position = position % bytes.Length

    match change with
    | Replace(position, value) -> Array.updateAt (at position) value bytes
    | Insert(position, value) -> Array.insertAt (at position) value bytes
    | Remove(position, count) ->
        let position = at position
        Array.removeManyAt position (min count (bytes.Length - position)) bytes
    | Repeat(position, count) ->
        let position = at position
        let part = Array.sub bytes position (min count (bytes.Length - position))
        Array.insertManyAt position part bytes
    | Number(position, value) ->
        // The number that stands next behind the position.
        let isDigit (item: byte) = Char.IsAsciiDigit(char item)
        let position = at position

        match Array.tryFindIndex isDigit bytes[position..] with
        | None -> bytes
        | Some distance ->
            let first = position + distance
            let count = bytes[first..] |> Seq.takeWhile isDigit |> Seq.length
            let number = Text.Encoding.UTF8.GetBytes value
            Array.concat [ bytes[.. first - 1]; number; bytes[first + count ..] ]

let private change =
    gen {
        let! position = Gen.choose (0, 1_000_000)

        let! value =
            Gen.frequency
                [ 2, Gen.elements (List.ofSeq "{}[]\",:0123456789-.eE \\/\000"B)
                  1, Gen.choose (0, 255) |> Gen.map byte ]

        let! count = Gen.choose (1, 60)

        let! number =
            Gen.elements
                [ "0"
                  "-1"
                  "1"
                  "2"
                  "7"
                  "2147483648"
                  "9223372036854775807"
                  "1e400"
                  "0.5"
                  "1e308"
                  "null"
                  "\"x\""
                  "[]"
                  "{}" ]

        return!
            Gen.elements
                [ Replace(position, value)
                  Insert(position, value)
                  Remove(position, count)
                  Repeat(position, count)
                  Number(position, number) ]
    }

let private changes =
    Gen.choose (1, 3) |> Gen.bind (fun count -> Gen.listOfLength count change)

let private shrink changes =
    [ for index in 0 .. List.length changes - 1 -> List.removeAt index changes ]
    |> Seq.filter (not << List.isEmpty)

let private mutated count name (mutate: byte array -> Change list -> byte array) =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        name
        (Prop.forAll (Arb.fromGenShrink (changes, shrink)) (fun changes ->
            inFolder
                (fun folder ->
                    let path = Path.Combine(folder, "file.safetensors")
                    File.WriteAllBytes(path, mutate checkpoint.Value changes)
                    Expect.equal (outcome path) [] "what is neither a refusal nor a model")
                ()))

let private anywhere =
    mutated 100 "any bytes changed" (fun bytes changes -> List.fold apply bytes changes)

/// The header changed and its length right, so that what is behind the length is reached.
let private inHeader =
    mutated 250 "the header's bytes changed" (fun bytes changes ->
        let start = dataStart bytes
        let changed = List.fold apply bytes[8 .. start - 1] changes
        Array.concat [ BitConverter.GetBytes(uint64 changed.Length); changed; bytes[start..] ])

let private node (found: Text.Json.Nodes.JsonNode | null) =
    match found with
    | null -> failwith "the header has no such entry"
    | node -> node

/// The metadata's texts changed, so that the header is right and what it says is not.
let private inMetadata =
    mutated 250 "the metadata's bytes changed" (fun bytes changes ->
        let json = node (Text.Json.Nodes.JsonNode.Parse(header bytes))
        let metadata = node json["__metadata__"]

        let key =
            match List.head changes with
            | Replace _
            | Number _ -> Checkpoint.ArchitectureKey
            | _ -> "local_attention.training"

        let text = (node metadata[key]).GetValue<string>()
        let changed = List.fold apply (Text.Encoding.UTF8.GetBytes text) changes
        metadata[key] <- Text.Json.Nodes.JsonValue.Create(Text.Encoding.UTF8.GetString changed)
        safetensors (json.ToJsonString()) bytes[dataStart bytes ..])

let private inData =
    mutated 60 "the data's bytes changed: the file is another model's, and loads" (fun bytes changes ->
        let start = dataStart bytes

        let replaced =
            changes
            |> List.map (function
                | Insert(position, value) -> Replace(position, value)
                | Remove(position, count)
                | Repeat(position, count) -> Replace(position, byte count)
                | Number(position, _) -> Replace(position, 0xFFuy)
                | replace -> replace)

        Array.append bytes[.. start - 1] (List.fold apply bytes[start..] replaced))

/// What `Trainer.Resume` says of a checkpoint whose training does not fit.
let private trainings =
    let case name (change: string -> string) (mistake: string) =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file.safetensors")
            File.WriteAllBytes(path, checkpoint.Value |> withHeader change)
            damaged path mistake (fun () -> Trainer.Resume(path, data.Value).Dispose()))

    /// A change of the JSON within the header's JSON: its quotation marks are escaped there.
    let replace (before: string) (after: string) (header: string) =
        let before, after = before.Replace("\"", "\\u0022"), after.Replace("\"", "\\u0022")
        let plain (text: string) = text.Replace("\\u0022", "\\\"")

        if header.Contains before then
            header.Replace(before, after)
        elif header.Contains(plain before) then
            header.Replace(plain before, plain after)
        else
            failtest $"the header has no {before}: {header}"

    [ case
          "no training"
          (fun header -> header.Replace("local_attention.training", "something.else"))
          ("the metadata holds no training (key 'local_attention.training'); this is a model alone: "
           + "load it and start a new training")
      case
          "wrong options"
          (replace "\"batchSize\":4" "\"batchSize\":0"
           >> replace "\"beta1\":0.9" "\"beta1\":1")
          "the options of the training in the metadata are wrong: BatchSize is 0; it must be 1 or more; Beta1 is 1; it must be at least 0 and below 1"
      case
          "a negative position"
          (replace "\"stepsTaken\":2" "\"stepsTaken\":-2")
          "the training in the metadata has -2 steps and 8 images; both must be numbers of something"
      case
          "a position beyond the end"
          (replace "\"stepsTaken\":2" "\"stepsTaken\":5")
          "the training in the metadata took 5 steps of 4 and ended 0 epochs of 2 steps; these do not fit together"
      case
          "an epoch too few"
          (replace "\"stepsTaken\":2" "\"stepsTaken\":3")
          "the training in the metadata took 3 steps of 4 and ended 0 epochs of 2 steps; these do not fit together"
      case
          "a tensor of the optimizer missing"
          (fun header -> header.Replace("optimizer.exp_avg.head.bias", "optimizer.exp_avg.foot"))
          "there is no tensor 'optimizer.exp_avg.head.bias'; did you mean 'optimizer.exp_avg_sq.head.bias'?"
      case
          "a tensor of the optimizer of another shape"
          (fun header ->
              let name = "\"optimizer.exp_avg.head.bias\":{\"dtype\":\"F32\",\"shape\":[4]"
              Expect.stringContains header name "the header"
              header.Replace(name, name.Replace("[4]", "[2,2]")))
          "tensor 'optimizer.exp_avg.head.bias' has shape [2, 2]; [4] is wanted"
      case
          "another version"
          (fun header ->
              header.Replace("\"local_attention.version\":\"1\"", "\"local_attention.version\":\"0\""))
          "the file has version 0; this library reads version 1" ]

let private trainingText =
    testCase "a training that is no JSON"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")

        for text in [ ""; "null"; "{}"; "[]"; "{\\\"options\\\":null}" ] do
            let change (header: string) =
                let start = header.IndexOf "\"local_attention.training\":"
                let finish = header.IndexOf("\"local_attention.version\"", start)

                header[.. start - 1]
                + $"\"local_attention.training\":\"{text}\","
                + header[finish..]

            File.WriteAllBytes(path, checkpoint.Value |> withHeader change)

            let mistake =
                (failure<CheckpointException>(fun () -> Trainer.Resume(path, data.Value).Dispose())).Mistake

            Expect.stringStarts
                mistake
                "the training in the metadata cannot be read: "
                $"the text for '{text}'")

let private otherImages =
    testCase "other images than those that the training began with"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "file.safetensors")
        File.WriteAllBytes(path, checkpoint.Value)
        use fewer = images 7

        refused $"the training set has 7 images; the training in {path} has 8" (fun () ->
            Trainer.Resume(path, fewer).Dispose()))

/// The tests of this file.
let tests =
    testList
        "damage"
        [ truncations
          cutWhileOpen
          anywhere
          inHeader
          inMetadata
          inData
          testList "trainings" trainings
          trainingText
          otherImages ]
