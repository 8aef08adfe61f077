/// Files of the official code, of both families, as they are.
module LocalAttention.Training.Tests.OfficialFiles

open System
open System.IO
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

/// What official files hold beside parameters.
let private isDerived (name: string) =
    name.EndsWith "relative_position_index" || name.EndsWith "attn_mask"

/// The official parameters of a model.
let parametersPath name =
    Data.path $"{name}.parameters.safetensors"

let channelsFirst (images: NdArray<float>) =
    NdArray.init [| images.Shape[0]; images.Shape[3]; images.Shape[1]; images.Shape[2] |] (fun index ->
        images[index[0], index[2], index[3], index[1]])

/// Double precision on both sides: the difference of the sums' orders, carried through some twenty layers, is 1e-13.
let private rounding = 1e-9

let private model (name: string, architecture: Architecture) =
    testCase name
    <| inFolder (fun folder ->
        use _ = torch.NewDisposeScope()

        let official =
            Safetensors.read (parametersPath name)
            |> Map.filter (fun name _ -> not (isDerived name))

        use model = architecture.Build(dtype = torch.ScalarType.Float64, seed = 1L)
        Checkpoint.LoadInto(model, parametersPath name)

        let ours = parametersOf model
        let same = Map.count ours = Map.count official
        Expect.isTrue same "every official tensor should be a parameter"

        for KeyValue(parameter, array) in ours do
            let stored =
                ParameterNames.InFile(architecture, parameter, architecture.Conventions.Naming)

            let inFile = official[stored.Name]

            Expect.equal
                (stored.ShapeOf(ReadOnlySpan(Array.map int64 array.Shape)) |> Array.map int)
                inFile.Shape
                $"the shape of {parameter} in the file"

            Expect.equal
                (Array.sort array.Elements)
                (Array.sort inFile.Elements)
                $"the numbers of {parameter}"

        let reference = Safetensors.read (Data.path $"{name}.safetensors")
        let images = toTensor torch.ScalarType.Float64 (channelsFirst reference["input"])
        within rounding 0.0 (logits model images) reference["output"] "the logits"

        // Written by us, the file is the official one with the architecture added.
        let path = Path.Combine(folder, "ours.safetensors")
        use single = architecture.Build(seed = 1L)
        Checkpoint.LoadInto(single, parametersPath name)
        Checkpoint.Save(single, path)
        let again = Safetensors.read path
        Expect.sequenceEqual (Map.keys again) (Map.keys official) "the names of our file"

        for KeyValue(parameter, array) in official do
            Expect.equal again[parameter].Shape array.Shape $"the shape of {parameter} in our file"
            Expect.equal again[parameter].Elements array.Elements $"the numbers of {parameter} in our file"

        use loaded = Checkpoint.Load(path, dtype = torch.ScalarType.Float64)
        Expect.equal (logits loaded images).Elements (logits model images).Elements "the logits of our file")

/// Official PyTorch files also hold what follows from the architecture.
let private derived =
    testCase "derived tables of official files are passed over"
    <| inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "official.safetensors")
        use model = tiny.Build(seed = 1L)

        let tensors =
            [ for name, parameter in namedParameters model -> name, parameter :> torch.Tensor ]
            @ [ "layers.1.blocks.0.attn.relative_position_index",
                torch.zeros (4L, 4L, dtype = torch.ScalarType.Int64)
                "layers.1.blocks.0.attn_mask", torch.zeros (1L, 4L, 4L) ]

        SafetensorsFile.Write(path, [ for name, tensor in tensors -> struct (name, tensor) ])
        use other = tiny.Build(seed = 2L)
        Checkpoint.LoadInto(other, path)
        Expect.isTrue (bits other = bits model) "the parameters")

/// The tests of this file.
let tests =
    testList "official files" [ yield! List.map model MicroArchitectures.all; derived ]
