/// The official models in all formats, and one door for all of them.
module LocalAttention.Training.Tests.Formats

open System.IO
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.OfficialFiles
open TorchSharp

let private formats =
    [ "qna-vit-micro", "msgpack", WeightsFormat.Flax
      "slide-swin-micro", "pth", WeightsFormat.PyTorch
      "swin-micro", "pth", WeightsFormat.PyTorch ]

let private official name =
    Map.find name (Map.ofList MicroArchitectures.all)

/// Double precision on both sides: the difference of the sums' orders, carried through some twenty layers, is 1e-13.
let private rounding = 1e-9

let private bytesOfFile path =
    use _ = torch.NewDisposeScope()
    use file = WeightsFile.Open path

    Map.ofList
        [ for entry in file.Entries ->
              entry.Name, (entry.Type, List.ofSeq entry.Shape, bytesOf (file.Read entry.Name)) ]

let private golden (name, ending, format) =
    testCase $"{name}.{ending}"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let path = Data.path $"{name}.{ending}"
        using (WeightsFile.Open path) (fun file -> Expect.equal file.Format format "the format")

        // Names, types, shapes and bits are those of the same model's safetensors file.
        let same = bytesOfFile path = bytesOfFile (parametersPath name)
        Expect.isTrue same "the tensors are not the safetensors file's"

        use model = (official name).Build(dtype = torch.ScalarType.Float64, seed = 1L)
        Checkpoint.LoadInto(model, path)
        let reference = Safetensors.read (Data.path $"{name}.safetensors")
        let images = toTensor torch.ScalarType.Float64 (channelsFirst reference["input"])
        within rounding 0.0 (logits model images) reference["output"] "the logits"

        use other = (official name).Build(dtype = torch.ScalarType.Float64, seed = 2L)
        Checkpoint.LoadInto(other, parametersPath name)
        Expect.equal (logits model images).Elements (logits other images).Elements "the logits of both files"

/// What Flax wrote, read and written by us, is the same file.
let private written =
    testCase "Flax's own file is written again byte by byte"
    <| inFolder (fun folder ->
        let source = Data.path "qna-vit-micro.msgpack"
        let path = Path.Combine(folder, "again.msgpack")
        use model = (official "qna-vit-micro").Build(seed = 1L)
        Checkpoint.LoadInto(model, source)
        Checkpoint.Save(model, path)
        let same = File.ReadAllBytes path = File.ReadAllBytes source
        Expect.isTrue same "the bytes differ"
        Expect.equal (namesIn folder) [ "again.msgpack" ] "the files")

let private convertible =
    [ for name, ending, _ in formats do
          for target in [ "safetensors"; "msgpack" ] ->
              testCase $"{name}.{ending} to {target} and back"
              <| inFolder (fun folder ->
                  let source = Data.path $"{name}.{ending}"
                  let path = Path.Combine(folder, $"converted.{target}")
                  let tensors = Checkpoint.ReadTensors source

                  WeightsFile.Write(path, [ for pair in tensors -> struct (pair.Key, pair.Value) ])

                  for pair in tensors do
                      pair.Value.Dispose()

                  let same = bytesOfFile path = bytesOfFile source
                  Expect.isTrue same "the tensors differ") ]

/// The first bytes decide, whatever the name ends in.
let private content =
    testCase "a file is known by its content"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "weights.safetensors")

        for name, ending, format in formats do
            File.Copy(Data.path $"{name}.{ending}", path, overwrite = true)
            use file = WeightsFile.Open path
            Expect.equal file.Format format name

        File.Copy(parametersPath "swin-micro", path, overwrite = true)
        use file = WeightsFile.Open path
        Expect.equal file.Format WeightsFormat.Safetensors "safetensors")

let private texts =
    let says name action mistake =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, name)
            damaged path mistake (fun () -> action path)
            Expect.equal (namesIn folder) [] "the files")

    [ says
          "model.pth"
          (fun path ->
              use model = flax.Build(seed = 1L)
              Checkpoint.Save(model, path))
          "PyTorch files are read and not written; write .safetensors, which PyTorch reads with the package of that name"
      says
          "model.msgpack"
          (fun path ->
              use model = flax.Build(seed = 1L)

              Checkpoint.Save(
                  model,
                  path,
                  metadata = System.Collections.Generic.Dictionary(dict [ "note", "1" ])
              ))
          "a Flax file has no place for the text 'note'; write .safetensors, or leave texts out"
      testCase "a Flax file holds no architecture"
      <| fun () ->
          let path = Data.path "qna-vit-micro.msgpack"

          damaged
              path
              ("the metadata holds no architecture (key 'local_attention.architecture'); "
               + "build the model first and load the file into it")
              (fun () -> Checkpoint.Load(path).Dispose())
      testCase "a model without Flax names is not written as Flax's"
      <| inFolder (fun folder ->
          use model = tiny.Build(seed = 1L)

          let message =
              (failure<SpecificationException>(fun () ->
                  Checkpoint.Save(model, Path.Combine(folder, "tiny.msgpack"))))
                  .Message

          Expect.stringContains message "Slide Attention has no Flax name" "the message")
      testCase "a safetensors file has no parts"
      <| fun () ->
          let path = parametersPath "swin-micro"

          damaged
              path
              "a safetensors file has one set of tensors and no part 'model'; leave it out"
              (fun () -> WeightsFile.Open(path, "model").Dispose())
      testCase "another model's file"
      <| fun () ->
          use model = tiny.Build(seed = 1L)
          let path = Data.path "swin-micro.pth"

          let mistake =
              (failure<CheckpointException>(fun () -> Checkpoint.LoadInto(model, path))).Mistake

          Expect.stringStarts mistake "the tensors are not those of tiny" "the mistake" ]

/// The tests of this file.
let tests =
    testList
        "formats"
        [ yield! List.map golden formats
          written
          yield! convertible
          content
          yield! texts ]
