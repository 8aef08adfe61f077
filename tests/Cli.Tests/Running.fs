/// `forward`: tensors from file to file.
module LocalAttention.Cli.Tests.Running

open System.IO
open Expecto
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Dsl
open TorchSharp

let private isSame (actual: torch.Tensor) (wanted: torch.Tensor) =
    Expect.equal actual.shape wanted.shape "the shape"
    Expect.isTrue (same actual wanted) "bit for bit"

/// The tests of this file.
let tests =
    testList
        "forward"
        [ testCase "a checkpoint's logits, batch by batch, are the model's own"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let images, path = imagesIn folder 5L
              let target = file folder "logits.safetensors"

              let ended =
                  fine
                      [ "forward"
                        checkpoint
                        "--input"
                        path
                        "--output"
                        target
                        "--batch"
                        "2"
                        "--json" ]

              use model = load checkpoint
              // The same batches: sums of other batches may be added in another order.
              let parts =
                  [ for first, length in [ 0L, 2L; 2L, 2L; 4L, 1L ] ->
                        model |> predict (images.narrow (0L, first, length)) ]

              isSame (tensorOf target "logits") (torch.cat (ResizeArray parts, 0L))
              Expect.equal (text [ "output"; "tensors"; 0; "name" ] ended.Json) "logits" "the name"
              Expect.equal (number [ "output"; "tensors"; 0; "shape"; 0 ] ended.Json) 5L "images"
              Expect.equal (text [ "dtype" ] ended.Json) "float32" "the type")

          testCase "in double precision, by the definition, under other names"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let images, path = imagesIn folder 2L
              let renamed = file folder "renamed.safetensors"
              SafetensorsFile.Write(renamed, [ struct ("x", images); struct ("y", torch.zeros 1L) ])
              let target = file folder "out.safetensors"

              let ended =
                  fine
                      [ "forward"
                        "--weights"
                        checkpoint
                        file folder "small.json"
                        |> fun specification ->
                            File.WriteAllText(specification, toJson small)
                            specification
                        "--input"
                        renamed
                        "--input-name"
                        "x"
                        "--output"
                        target
                        "--output-name"
                        "scores"
                        "--dtype"
                        "float64"
                        "--backend"
                        "composite" ]

              use model = small.Build(dtype = torch.ScalarType.Float64)
              Checkpoint.LoadInto(model, checkpoint)
              let wanted = model |> predict (images.``to`` torch.ScalarType.Float64)
              use scores = tensorOf target "scores"
              Expect.equal scores.dtype torch.ScalarType.Float64 "the type"
              // The fused kernels and the definition differ by rounding alone: some thousand sums of doubles.
              Expect.isTrue (scores.allclose (wanted, 1e-12, 1e-12)) "the logits"
              Expect.stringContains ended.Output "scores" "the table has the name"
              ignore path)

          testCase "each stage's map"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let images, path = imagesIn folder 2L
              let target = file folder "maps.safetensors"

              fine [ "forward"; checkpoint; "--input"; path; "--output"; target; "--features" ]
              |> ignore

              use model = load checkpoint

              for stage, map in model |> features images |> List.indexed do
                  isSame (tensorOf target $"stage {stage + 1}") map)

          testCase "what does not fit is said with its name"
          <| inFolder (fun folder ->
              let checkpoint = smallIn folder
              let _, path = imagesIn folder 1L
              let target = file folder "out.safetensors"

              let forward more =
                  [ "forward"; checkpoint; "--output"; target ] @ more

              let flat = file folder "flat.safetensors"

              SafetensorsFile.Write(
                  flat,
                  [ struct ("a", torch.zeros 3L)
                    struct ("b", torch.zeros (1L, 1L, 16L, 16L))
                    struct ("c", torch.zeros ([| 1L; 3L; 16L; 16L |], dtype = torch.ScalarType.Byte)) ]
              )

              for arguments, wanted in
                  [ [ "forward"; "swin-tiny"; "--output"; target; "--input"; path ],
                    "'swin-tiny' has no parameters of its own; give a file of them with --weights"
                    forward [ "--input"; flat ],
                    "there is no tensor 'images'; there are 'a', 'b', 'c'. Say which has the images with --input-name."
                    forward [ "--input"; flat; "--input-name"; "c" ],
                    "tensor 'c' is of type uint8; images are floating-point numbers"
                    forward [ "--input"; "shoe.PNG" ], "'localattention predict' takes images"
                    [ "forward"; checkpoint; "--input"; path; "--output"; file folder "out.onnx" ],
                    "let it end in one of .safetensors"
                    forward [ "--input"; flat; "--input-name"; "a" ],
                    "tensor 'a' has shape [3]; images are [B, channels, H, W]"
                    forward [ "--input"; flat; "--input-name"; "b" ], "channels"
                    forward [ "--input"; path; "--batch"; "0" ], "--batch 0: use at least 1"
                    forward [ "--input"; file folder "none.safetensors" ], "there is no such file"
                    [ "forward"
                      "swin-tiny"
                      "--weights"
                      checkpoint
                      "--output"
                      target
                      "--input"
                      path ],
                    "small.safetensors" ] do
                  Expect.stringContains (refused arguments) wanted "the message"

              Expect.equal
                  (namesIn folder)
                  [ "flat.safetensors"; "images.safetensors"; "small.safetensors" ]
                  "and nothing is written") ]
