/// Files of another model: everything that is missing, unexpected or misshapen is said at once.
module LocalAttention.Training.Tests.Mismatches

open System.IO
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Tests
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.OfficialFiles
open TorchSharp

/// The model's tensors with changes, in a file; what loading it into the model says.
let private case name (change: Map<string, torch.Tensor> -> Map<string, torch.Tensor>) mistake =
    testCase name
    <| inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "file.safetensors")
        use model = tiny.Build(seed = 1L)

        let tensors =
            Map.ofList [ for name, parameter in namedParameters model -> name, parameter :> torch.Tensor ]

        SafetensorsFile.Write(
            path,
            [ for KeyValue(name, tensor) in change tensors -> struct (name, tensor) ]
        )

        use target = tiny.Build(seed = 2L)
        let before = bits target
        damaged path mistake (fun () -> Checkpoint.LoadInto(target, path))
        Expect.isTrue (bits target = before) "the model should be as it was")

let private shaped (shape: int64 list) = torch.zeros (Array.ofList shape)

let private cases =
    [ case
          "one missing"
          (Map.remove "head.bias")
          "the tensors are not those of tiny (79 parameters): 1 missing: head.bias [4]"

      case
          "one unexpected, near to the one missing"
          (fun tensors -> tensors |> Map.remove "head.bias" |> Map.add "head.bia" (shaped [ 4 ]))
          "the tensors are not those of tiny (79 parameters): 1 missing: head.bias [4]; 1 unexpected: head.bia (for head.bias?)"

      case
          "one misshapen"
          (Map.add "head.weight" (shaped [ 10; 16 ]))
          "the tensors are not those of tiny (79 parameters): 1 misshapen: head.weight [10, 16] instead of [4, 16]"

      case
          "transposed is misshapen"
          (Map.add "head.weight" (shaped [ 16; 4 ]))
          "the tensors are not those of tiny (79 parameters): 1 misshapen: head.weight [16, 4] instead of [4, 16]"

      case
          "all three"
          (Map.remove "norm.bias"
           >> Map.add "something.else" (shaped [])
           >> Map.add "head.bias" (shaped [ 1; 4 ]))
          ("the tensors are not those of tiny (79 parameters): 1 missing: norm.bias [16]; 1 unexpected: something.else; "
           + "1 misshapen: head.bias [1, 4] instead of [4]")

      case
          "many: five are named"
          (Map.filter (fun name _ -> not (name.StartsWith "layers.0.blocks.0.")))
          ("the tensors are not those of tiny (79 parameters): 14 missing: layers.0.blocks.0.norm1.weight [8], "
           + "layers.0.blocks.0.norm1.bias [8], layers.0.blocks.0.attn.query [2, 8], layers.0.blocks.0.attn.Wk [8, 8], "
           + "layers.0.blocks.0.attn.attn_scale_weights [1, 1, 9, 4], and 9 more") ]

let private another =
    [ for name, architecture in MicroArchitectures.all ->
          testCase $"the file of {name}"
          <| fun () ->
              let path = parametersPath name
              use model = tiny.Build(seed = 1L)
              let before = bits model

              let message =
                  (failure<CheckpointException>(fun () -> Checkpoint.LoadInto(model, path))).Mistake

              Expect.stringStarts
                  message
                  "the tensors are not those of tiny (79 parameters): "
                  "whose it is not"

              Expect.stringContains message " missing: " "what is missing"
              Expect.stringContains message " unexpected: " "what is unexpected"
              Expect.stringContains message " misshapen: " "what is misshapen"
              Expect.isTrue (bits model = before) "the model should be as it was" ]

/// What `Checkpoint.Load` says of metadata that does not fit.
let private metadata =
    let json = SpecificationJson.Write tiny

    let case name (texts: (string * string) list) (mistake: string) =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file.safetensors")
            use model = tiny.Build(seed = 1L)

            let tensors =
                [ for name, parameter in namedParameters model -> struct (name, parameter :> torch.Tensor) ]

            SafetensorsFile.Write(path, tensors, Map.ofList texts)
            damaged path mistake (fun () -> Checkpoint.Load(path).Dispose())
            damaged path mistake (fun () -> Checkpoint.ReadArchitecture path |> ignore))

    [ case
          "no architecture"
          []
          "the metadata holds no architecture (key 'local_attention.architecture'); build the model first and load the file into it"
      case
          "another version"
          [ Checkpoint.ArchitectureKey, json; Checkpoint.VersionKey, "2" ]
          "the file has version 2; this library reads version 1"
      case
          "an architecture that cannot be built"
          [ Checkpoint.ArchitectureKey, json.Replace("\"window\": 3", "\"window\": 4") ]
          ("the architecture in the metadata cannot be built: 'tiny' has 3 mistakes:\n"
           + "  stage 1, block 1: qna window: 4 is even, so it has no centre; use 3 or 5.\n"
           + "  stage 1, block 2: slide window: 4 is even, so it has no centre; use 3 or 5.\n"
           + "  stage 1, transition: qna window: 4 is even, so it has no centre; use 3 or 5.")
      case
          "no JSON"
          [ Checkpoint.ArchitectureKey, "tiny" ]
          ("the architecture in the metadata cannot be built: the JSON specification: whole text: "
           + "'tiny' is an invalid JSON literal. Expected the literal 'true'; "
           + "compare it with what Write makes of a valid architecture.")
      case
          "null"
          [ Checkpoint.ArchitectureKey, "null" ]
          ("the architecture in the metadata cannot be built: the JSON specification: whole text: The text is null; "
           + "compare it with what Write makes of a valid architecture.") ]

/// An architecture beside tensors that are not its own.
let private foreign =
    let case name (architecture: Architecture) (mistake: string) =
        testCase name
        <| inFolder (fun folder ->
            let path = Path.Combine(folder, "file.safetensors")
            use model = tiny.Build(seed = 1L)

            let tensors =
                [ for name, parameter in namedParameters model -> struct (name, parameter :> torch.Tensor) ]

            let texts =
                Map.ofList [ Checkpoint.ArchitectureKey, SpecificationJson.Write architecture ]

            SafetensorsFile.Write(path, tensors, texts)
            Expect.equal (Checkpoint.ReadArchitecture path) architecture "the architecture is readable"
            damaged path mistake (fun () -> Checkpoint.Load(path).Dispose()))

    [ case
          "a far larger model is refused by its size"
          QnAViT.Base
          "the tensors have 9,490 elements together; qna-vit-base has 55,670,008 parameters"
      case
          "a smaller model is refused by its names"
          (tiny.With(
              name = "smaller",
              stages =
                  ValueList.From [ tiny.Stages[0].With(blocks = ValueList.From [ tiny.Stages[0].Blocks[0] ]) ]
          ))
          ("the tensors are not those of smaller (37 parameters): 42 unexpected: layers.0.blocks.1.attn.dep_conv.bias, "
           + "layers.0.blocks.1.attn.dep_conv.weight, layers.0.blocks.1.attn.dep_conv1.bias, "
           + "layers.0.blocks.1.attn.dep_conv1.weight, layers.0.blocks.1.attn.proj.bias, and 37 more") ]

/// The tests of this file.
let tests =
    testList
        "mismatches"
        [ testList "tensors" cases
          testList "other models" another
          testList "metadata" metadata
          testList "foreign tensors" foreign ]
