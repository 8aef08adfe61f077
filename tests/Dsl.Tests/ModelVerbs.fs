/// Verbs of models and of data sets, on a model of some hundred parameters.
module LocalAttention.Dsl.Tests.ModelVerbs

open System
open System.IO
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

let private tiny =
    backbone "tiny" (patchify 2 8)
    |> stages
        [ stage (slide 3 |> heads 2) |> downsample (qna 3 |> heads 2)
          stage (qna 3 |> heads 4) ]
    |> head (classify 2)
    |> imageChannels 1
    |> imageSize 8

let private images () =
    torch.tensor [| for pixel in 0..127 -> float32 pixel / 64.0f |]
    |> _.reshape(2L, 1L, 8L, 8L)

let private numbers (tensor: torch.Tensor) =
    List.ofArray (tensor.data<float32>().ToArray())

let private inScope check =
    use _ = torch.NewDisposeScope()
    check ()

let private models =
    [ testCase "one seed, one model"
      <| fun () ->
          inScope (fun () ->
              let outputs seed =
                  tiny |> buildSeeded seed |> predict (images ()) |> numbers

              Expect.equal (outputs 1L) (outputs 1L) "the same seed"
              Expect.notEqual (outputs 1L) (outputs 2L) "another seed")

      testCase "predict and features leave the model in the mode that it was in"
      <| fun () ->
          inScope (fun () ->
              let model = tiny |> dropPath 0.9 |> buildSeeded 1L

              for training in [ true; false ] do
                  model.train training
                  let once = model |> predict (images ())
                  let again = model |> predict (images ())
                  Expect.equal (numbers once) (numbers again) "without stochastic depth"
                  Expect.isFalse once.requires_grad "without gradients"
                  Expect.equal model.training training "after predict"

                  let maps () =
                      model |> features (images ()) |> List.map numbers

                  Expect.equal (maps ()) (maps ()) "features without stochastic depth"
                  Expect.equal model.training training "after features")

      testCase "features are the map of each stage, height first, before its transition"
      <| fun () ->
          inScope (fun () ->
              let model = tiny |> buildSeeded 1L

              Expect.equal
                  [ for map in model |> features (torch.zeros ([| 3L; 1L; 8L; 12L |])) ->
                        List.ofArray map.shape ]
                  [ [ 3L; 4L; 6L; 8L ]; [ 3L; 2L; 3L; 16L ] ]
                  "shapes")

      testCase "what is saved loads again, from the file alone, into a folder that is made"
      <| fun () ->
          inScope (fun () ->
              let folder = Directory.CreateTempSubdirectory "local-attention-models-"

              try
                  let path = Path.Combine(folder.FullName, "deep", "tiny.safetensors")
                  let model = tiny |> buildSeeded 1L
                  model |> save path
                  Expect.equal (architectureIn path) tiny "the architecture"
                  let outputs = model |> predict (images ()) |> numbers
                  Expect.equal (load path |> predict (images ()) |> numbers) outputs "loaded"

                  Expect.equal
                      (tiny |> buildSeeded 2L |> withParameters path |> predict (images ()) |> numbers)
                      outputs
                      "filled with its parameters"
              finally
                  folder.Delete true)

      testCase "a tensor prints its shape and its first numbers"
      <| fun () ->
          inScope (fun () ->
              Expect.equal
                  (Printing.tensor (torch.tensor ([| 1.0f; -0.25f |])))
                  "[2] Float32 on cpu: 1, -0.25"
                  "a short one"

              Expect.equal
                  (Printing.tensor (torch.zeros ([| 3L; 4L |])))
                  "[3, 4] Float32 on cpu: 0, 0, 0, 0, 0, 0, 0, 0, …"
                  "a long one"

              Expect.stringStarts
                  (Printing.tensor (torch.zeros ([| 0L; 4L |])))
                  "[0, 4] Float32 on cpu:"
                  "an empty one"

              let gone = torch.zeros ([| 1L |])
              gone.Dispose()
              Expect.equal (Printing.tensor gone) "a tensor that was disposed of" "none")

      testCase "a model prints its table, where it is, and what computes it"
      <| fun () ->
          inScope (fun () ->
              let model = tiny |> buildSeeded 1L
              let table = Printing.architecture tiny + Environment.NewLine
              let inTraining = table + "Float32 on cpu, in training mode" + Environment.NewLine
              Expect.stringStarts (Printing.backbone model) (inTraining + "FusedCpu: ") "built"
              use _ = Backends.Use Backend.Composite
              Expect.stringStarts (Printing.backbone model) (inTraining + "Composite: ") "overridden"
              model.eval ()

              Expect.stringContains
                  (Printing.backbone model)
                  "Float32 on cpu, in evaluation mode"
                  "evaluated") ]

let private stripes =
    [ for index in 0..9 -> Array3D.create 1 8 8 (byte (index % 2 * 255)), index % 2 ]

let private sets =
    [ testCase "one's own images keep their pixels, labels and classes"
      <| fun () ->
          inScope (fun () ->
              let pixels =
                  Array3D.init 2 3 4 (fun channel row column -> byte (12 * channel + 4 * row + column))

              let set = labelled [ "dark"; "light" ] [ pixels, 1 ]
              Expect.equal (set.Images.data<byte>().ToArray()) [| 0uy .. 23uy |] "pixels, row by row"
              Expect.equal set.Images.shape [| 1L; 2L; 3L; 4L |] "their shape"
              Expect.equal (set.Labels.data<int64>().ToArray()) [| 1L |] "labels"
              Expect.equal (Printing.dataset set) "1 images of 3×4×2, 2 classes: dark, light" "printed")

      testCase "images that do not belong together are refused, with the number of the first"
      <| fun () ->
          let refused words images =
              Expect.throwsC (fun () -> labelled [ "dark"; "light" ] images |> ignore) (fun error ->
                  Expect.isTrue (error :? ArgumentException) "an argument is wrong"
                  Expect.stringContains error.Message words "the text")

          refused "there is no image" []
          refused "image 1 has size (1, 8, 9)" [ Array3D.zeroCreate 1 8 8, 0; Array3D.zeroCreate 1 8 9, 0 ]
          refused "2" [ Array3D.zeroCreate 1 8 8, 2 ]

      testCase "a set divides into parts that have each image once"
      <| fun () ->
          inScope (fun () ->
              let numbered =
                  labelled [ "one" ] [ for index in 0..9 -> Array3D.create 1 1 1 (byte index), 0 ]

              let parts = numbered |> split 0.7

              let pixels (set: LocalAttention.Core.Data.ImageDataset) =
                  List.ofArray (set.Images.data<byte>().ToArray())

              Expect.hasLength (pixels parts.Training) 7 "to learn from"
              Expect.equal (List.sort (pixels parts.Training @ pixels parts.Test)) [ 0uy .. 9uy ] "each once"

              let few = parts |> firstOf 2 1

              Expect.equal
                  (pixels few.Training)
                  (List.take 2 (pixels parts.Training))
                  "the first to learn from"

              Expect.equal (pixels few.Test) (List.take 1 (pixels parts.Test)) "the first to be tested on")

      testCase "training tells each step, and a trained model recognises what it has learned"
      <| fun () ->
          inScope (fun () ->
              let set = labelled [ "dark"; "light" ] stripes
              let examples = { Training = set; Test = set }
              let model = tiny |> buildSeeded 1L
              let mutable told = 0

              let result =
                  model
                  |> trainTelling
                      (fun _ -> told <- told + 1)
                      (recipe |> epochs 8 |> batchSize 5 |> learningRate 1e-2)
                      examples

              Expect.hasLength result.Epochs 8 "epochs"
              Expect.isGreaterThanOrEqual told 16 "at least each of 2·8 steps"

              Expect.equal
                  (model |> recognise (set.Take 4L))
                  [ "dark"; "light"; "dark"; "light" ]
                  "recognised"

              Expect.equal (model |> evaluate set).Accuracy 1.0 "accuracy"
              Expect.equal (model |> logits set).shape [| 10L; 2L |] "logits") ]

/// The tests of this file.
let tests =
    testList "verbs" [ testList "of models" models; testList "of data sets" sets ]
