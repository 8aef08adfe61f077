/// Models to files and back: the file alone rebuilds the model, bit for bit.
module LocalAttention.Training.Tests.RoundTrips

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Verification
open TorchSharp

let private floating =
    [ torch.ScalarType.Float32
      torch.ScalarType.Float64
      torch.ScalarType.Float16
      torch.ScalarType.BFloat16 ]

let private case =
    Arb.fromGenShrink (
        Gen.zip3 Generate.architecture (Gen.elements floating) Generate.seed,
        fun (architecture, dtype, seed) ->
            Shrink.architecture architecture
            |> Seq.map (fun smaller -> smaller, dtype, seed)
    )

let private rebuilt =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 60 }
        "the file alone rebuilds any model, bit for bit"
        (Prop.forAll case (fun (architecture, dtype, seed) ->
            inFolder
                (fun folder ->
                    let path = Path.Combine(folder, "model.safetensors")
                    use model = architecture.Build(dtype = dtype, seed = int64 seed)
                    enliven seed model
                    Checkpoint.Save(model, path)
                    Expect.equal (namesIn folder) [ "model.safetensors" ] "one file"
                    Expect.equal (Checkpoint.ReadArchitecture path) architecture "the architecture"
                    use again = Checkpoint.Load path
                    Expect.equal again.Architecture architecture "the architecture of the model"
                    Expect.isTrue (bits again = bits model) "every parameter, bit for bit"
                    use other = architecture.Build(dtype = dtype, seed = int64 seed + 1L)
                    Checkpoint.LoadInto(other, path)

                    Expect.isTrue
                        (bits other = bits model)
                        "every parameter of a model that was there before"

                    for KeyValue(name, trained) in
                        Map.ofList [ for name, each in namedParameters model -> name, each.requires_grad ] do
                        let parameter =
                            namedParameters again |> List.find (fun (other, _) -> other = name) |> snd

                        Expect.equal parameter.requires_grad trained $"whether {name} is trained")
                ()))

let private elsewhere =
    testCase "another reader finds the model's names and numbers"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "model.safetensors")
        use model = tiny.Build(dtype = torch.ScalarType.Float64, seed = 1L)
        Checkpoint.Save(model, path)
        let arrays = Safetensors.read path
        let parameters = parametersOf model
        Expect.sequenceEqual (Map.keys arrays) (Map.keys parameters) "the names"

        for KeyValue(name, array) in arrays do
            Expect.equal array.Shape parameters[name].Shape $"the shape of {name}"
            Expect.equal array.Elements parameters[name].Elements $"the numbers of {name}")

let private types =
    testList
        "the type of the parameters"
        [ for stored in floating do
              for asked in floating do
                  testCase $"{stored} read as {asked}"
                  <| inFolder (fun folder ->
                      let path = Path.Combine(folder, "model.safetensors")
                      use model = still.Build(dtype = stored, seed = 1L)
                      Checkpoint.Save(model, path)
                      use kept = Checkpoint.Load path
                      use converted = Checkpoint.Load(path, dtype = asked)
                      model.``to`` asked |> ignore

                      for _, parameter in namedParameters kept do
                          Expect.equal parameter.dtype stored "left as it is"

                      for _, parameter in namedParameters converted do
                          Expect.equal parameter.dtype asked "converted"

                      Expect.isTrue (bits converted = bits model) "converted as torch converts") ]

let private merged =
    testCase "a merged model saves its unmerged parameters"
    <| inFolder (fun folder ->
        let before, after = Path.Combine(folder, "before"), Path.Combine(folder, "after")
        use model = still.Build(seed = 3L)
        use batch = input still torch.ScalarType.Float32
        Checkpoint.Save(model, before)
        model.eval ()
        model.merge_shifts ()
        Checkpoint.Save(model, after)
        Expect.isTrue (File.ReadAllBytes after = File.ReadAllBytes before) "the same file, byte for byte"
        use again = Checkpoint.Load after
        Expect.equal (logits again batch).Elements (logits model batch).Elements "the same logits")

let private mergedTarget =
    testCase "loading into a merged model forgets what was merged"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "model.safetensors")
        use source = still.Build(seed = 3L)
        Checkpoint.Save(source, path)
        use target = still.Build(seed = 4L)
        use batch = input still torch.ScalarType.Float32
        target.eval ()
        target.merge_shifts ()
        logits target batch |> ignore
        Checkpoint.LoadInto(target, path)

        Expect.equal
            (logits target batch).Elements
            (logits source batch).Elements
            "the loaded model's logits"

        target.merge_shifts ()

        Expect.equal
            (logits target batch).Elements
            (logits source batch).Elements
            "the loaded model's logits, merged again")

let private metadata =
    testCase "the caller's texts travel beside the architecture"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "model.safetensors")
        use model = tiny.Build(seed = 1L)

        Checkpoint.Save(
            model,
            path,
            dict [ "note", "träumerisch \"quoted\"\n" ]
            |> System.Collections.Generic.Dictionary
        )

        use file = SafetensorsFile.Open path

        let texts =
            [ for pair in file.Metadata do
                  if pair.Key <> Checkpoint.ArchitectureKey then
                      pair.Key, pair.Value ]

        Expect.equal
            (List.sort texts)
            [ "format", "pt"
              "local_attention.version", "1"
              "note", "träumerisch \"quoted\"\n" ]
            "the metadata"

        Expect.equal
            file.Metadata[Checkpoint.ArchitectureKey]
            (SpecificationJson.Write tiny)
            "the architecture is its JSON")

let private replaced =
    testCase "saving again replaces the file"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "model.safetensors")
        use first = tiny.Build(seed = 1L)
        use second = flax.Build(seed = 2L)
        Checkpoint.Save(first, path)
        Checkpoint.Save(second, path)
        use loaded = Checkpoint.Load path
        Expect.equal loaded.Architecture flax "the second architecture"
        Expect.isTrue (bits loaded = bits second) "the second parameters"
        Expect.equal (namesIn folder) [ "model.safetensors" ] "nothing beside it")

/// The tests of this file.
let tests =
    testList "round trips" [ rebuilt; elsewhere; types; merged; mergedTarget; metadata; replaced ]
