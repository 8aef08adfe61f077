/// `convert`: parameters from format to format.
module LocalAttention.Cli.Tests.Converting

open System.IO
open Expecto
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

let private sameModel (path: string) (wanted: string) =
    use actual = load path
    use wanted = load wanted

    for one, other in Seq.zip (actual.named_parameters ()) (wanted.named_parameters ()) do
        let struct (name, tensor), struct (otherName, otherTensor) = one, other
        Expect.equal name otherName "the names"
        Expect.isTrue (same tensor otherTensor) name

/// The tests of this file.
let tests =
    testList
        "convert"
        [ testCase "a model keeps every bit, and its architecture goes along"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let target = file folder "again.safetensors"
              let ended = fine [ "convert"; checkpoint; target; "--json" ]
              sameModel target checkpoint
              Expect.equal (text [ "model" ] ended.Json) "small" "the model"
              Expect.equal (number [ "bytes" ] ended.Json) (FileInfo(target).Length) "the bytes")

          testCase "PyTorch's file to safetensors, tensor by tensor"
          <| inFolder (fun folder ->
              let source = Path.Combine(__SOURCE_DIRECTORY__, "..", "data", "swin-micro.pth")
              let target = file folder "swin.safetensors"
              let ended = fine [ "convert"; source; target; "--json" ]
              use before = WeightsFile.Open source
              use after = WeightsFile.Open target
              Expect.equal (number [ "tensors" ] ended.Json) (int64 before.Entries.Count) "the tensors"
              Expect.equal (text [ "inputFormat" ] ended.Json) "pytorch" "the format"

              for entry in before.Entries do
                  use one = before.Read entry.Name
                  use other = after.Read entry.Name
                  Expect.isTrue (same one other) entry.Name)

          testCase "Flax's file and back"
          <| inFolder (fun folder ->
              let source =
                  Path.Combine(__SOURCE_DIRECTORY__, "..", "data", "qna-vit-micro.msgpack")

              let target = file folder "qna.safetensors"
              let back = file folder "back.msgpack"
              fine [ "convert"; source; target ] |> ignore
              fine [ "convert"; target; back ] |> ignore
              use before = WeightsFile.Open source
              use after = WeightsFile.Open back
              Expect.equal after.Format WeightsFormat.Flax "the format"

              Expect.equal
                  (after.Entries |> Seq.map _.Name |> set)
                  (before.Entries |> Seq.map _.Name |> set)
                  "the names"

              for entry in before.Entries do
                  use one = before.Read entry.Name
                  use other = after.Read entry.Name
                  Expect.isTrue (same one other) entry.Name)

          testCase "another type of elements"
          <| inFolder (fun folder ->
              let target = file folder "half.safetensors"
              fine [ "convert"; smallIn folder; target; "--dtype"; "bfloat16" ] |> ignore
              use model = load target
              Expect.equal (Seq.head (model.parameters ())).dtype torch.ScalarType.BFloat16 "the type")

          testCase "to ONNX: a file that names the model, larger than its parameters"
          <| inFolder (fun folder ->
              let target = file folder "small.onnx"
              let ended = fine [ "convert"; smallIn folder; target; "--json" ]
              Expect.isGreaterThan (FileInfo(target).Length) (4L * parameters small) "the bytes"
              Expect.equal (text [ "model" ] ended.Json) "small" "the model")

          testCase "what cannot be done is said, and nothing is written"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let bare = file folder "bare.safetensors"
              SafetensorsFile.Write(bare, [ struct ("a", torch.zeros 3L) ])

              for arguments, wanted in
                  [ [ checkpoint; file folder "out.pth" ], "PyTorch files are read and not written"
                    [ checkpoint; file folder "out.bin" ],
                    "let it end in one of .safetensors, .msgpack, .onnx"
                    [ bare; file folder "out.onnx" ],
                    "holds no architecture; say whose parameters they are with --model"
                    [ bare; file folder "out.safetensors"; "--names"; "flax" ],
                    "holds no architecture, by which names are known"
                    [ bare; file folder "out.safetensors"; "--model"; "swin-tiny" ], "bare.safetensors"
                    [ checkpoint; file folder "out.msgpack"; "--names"; "flax" ], "Flax"
                    [ checkpoint; file folder "out.safetensors"; "--size"; "32" ], "--size is for .onnx"
                    [ checkpoint; file folder "out.onnx"; "--names"; "flax" ], "--names is for checkpoints"
                    [ checkpoint; file folder "out.onnx"; "--dtype"; "float64" ],
                    "--dtype is for checkpoints"
                    [ file folder "none.pth"; file folder "out.safetensors" ], "there is no such file" ] do
                  Expect.stringContains (refused ("convert" :: arguments)) wanted "the message"

              Expect.equal (namesIn folder) [ "bare.safetensors"; "small.safetensors" ] "the files") ]
