/// What a file holds besides the numbers.
module LocalAttention.Export.Tests.Contents

open System
open System.IO
open System.Text
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Export
open LocalAttention.Core.Specification
open TorchSharp

let private architecture =
    SlideSwin.Create(
        "small",
        8,
        [| 1; 2 |],
        [| 1; 2 |],
        window = 4,
        resolution = ImageSize.Square 32,
        classes = 5
    )

let private export (model: Backbone) =
    Comparison.inFolder (fun folder ->
        let path = Path.Combine(folder, "model.onnx")
        OnnxExport.Save(model, path)
        Expect.equal (Directory.GetFiles(folder).Length) 1 "files left behind"
        File.ReadAllBytes path)

/// Whether a file holds a text.
let holds (text: string) (bytes: byte array) =
    ReadOnlySpan(bytes).IndexOf(ReadOnlySpan(Encoding.UTF8.GetBytes text)) >= 0

let tests =
    testList
        "contents"
        [ test "nodes are named by their places, constants by the parameters" {
              use model = Comparison.lively 1 architecture
              let bytes = export model

              for name in
                  [ "stage 1, block 1/attention/qkv/MatMul"
                    "stage 1, block 1/attention/keys/Conv"
                    "stage 2, block 2/mlp/fc1/MatMul"
                    "stage 1, transition"
                    "layers.0.blocks.0.attn.dep_conv.weight"
                    "layers.1.blocks.1.mlp.fc2.bias"
                    "head/" ] do
                  Expect.isTrue (holds name bytes) $"'{name}' in the file"
          }
          test "the learned convolution of a slide layer is merged into the fixed one" {
              use model = Comparison.lively 1 architecture
              Expect.isFalse (export model |> holds "dep_conv1") "two convolutions"
          }
          test "the architecture is in the metadata" {
              use model = Comparison.lively 1 architecture
              let bytes = export model
              Expect.isTrue (holds Checkpoint.ArchitectureKey bytes) "key"
              Expect.isTrue (holds (SpecificationJson.Write architecture) bytes) "architecture"
          }
          test "a model is written alike each time, merged or not, and is as it was" {
              use model = Comparison.lively 1 architecture
              let first = export model
              model.merge_shifts ()
              Expect.equal (export model) first "merged"
              model.unmerge_shifts ()
              Expect.equal (export model) first "unmerged"
          }
          test "a batch is a dimension with a name" {
              use model = Comparison.lively 1 architecture
              Expect.isTrue (export model |> holds "batch") "name"
          }
          test "parameters are written once" {
              use model = Comparison.lively 1 architecture
              let parameters = ParameterCount.Of(architecture).All
              // Beyond the parameters stand the nodes, whose number does not grow with the channels, and masks.
              Expect.isLessThan (int64 (export model).Length) (4L * parameters + 100_000L) "bytes"
          } ]
