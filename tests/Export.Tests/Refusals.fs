/// What cannot be exported is refused by a message that says why, and leaves files as they were.
module LocalAttention.Export.Tests.Refusals

open System
open System.IO
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Export
open LocalAttention.Core.Specification
open TorchSharp

let private architecture =
    Nat.Create("small", 8, [| 1 |], [| 2 |], window = 3, resolution = ImageSize.Square 16, classes = 5)

let private message<'error when 'error :> exn> (action: unit -> unit) =
    try
        action ()
        failtest $"nothing is refused; {typeof<'error>.Name} was expected"
    with :? 'error as error ->
        error.Message

let private says (parts: string list) message =
    for part in parts do
        Expect.stringContains message part "message"

let tests =
    testList
        "refusals"
        [ test "parameters of another type" {
              use model = architecture.Build()
              model.``to`` torch.ScalarType.Float64 |> ignore

              Comparison.inFolder (fun folder ->
                  let path = Path.Combine(folder, "model.onnx")

                  message<ArgumentException>(fun () -> OnnxExport.Save(model, path))
                  |> says [ "'small'"; "Float64"; "Float32"; "patch_embed" ]

                  Expect.isFalse (File.Exists path) "file")
          }
          test "images of a size that the model does not take" {
              use model =
                  architecture.With(sizePolicy = SizePolicy.Exact, resolution = ImageSize.Square 32).Build()

              message<ArgumentException>(fun () ->
                  OnnxExport.Save(model, "never.onnx", Nullable(ImageSize(8, 8))))
              |> says [ "'small'"; "8×8" ]
          }
          test "a folder that is not there" {
              use model = architecture.Build()

              Comparison.inFolder (fun folder ->
                  let path = Path.Combine(folder, "missing", "model.onnx")

                  message<CheckpointException>(fun () -> OnnxExport.Save(model, path))
                  |> says [ path; "does not exist" ])
          }
          test "a file of 2 GiB, before anything is written" {
              message<CheckpointException>(fun () ->
                  OnnxExport.RequireLength("large.onnx", architecture, 1L <<< 31))
              |> says [ "large.onnx"; "2,147,483,648"; "2,147,483,647"; "'small'" ]

              OnnxExport.RequireLength("large.onnx", architecture, (1L <<< 31) - 1L)
          } ]
