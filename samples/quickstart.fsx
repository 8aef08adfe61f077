// The main job: declare two small local-attention models, train both on Fashion-MNIST, compare, save, load.
//   ./run.sh                                    some four minutes on two cores
//   LOCALATTENTION_QUICK=1 ./run.sh             a few hundred images, seconds: shows that everything works
#load "../LocalAttention.fsx"

open System
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

// One way to add up linear layers, so that a machine gives the same bits each time; else the faster one is measured.
Environment.SetEnvironmentVariable("LOCALATTENTION_LINEAR", "product")

let quick =
    Environment.GetEnvironmentVariable "LOCALATTENTION_QUICK" = "1"
    || Array.contains "--quick" fsi.CommandLineArgs

// Two models of one plan: QnA's learned queries, and Slide Attention.
let small name blocks =
    backbone name (convolutions [ 3, 2, 24; 3, 2, 48 ])
    |> stages [ stage blocks ]
    |> head (classify 10)
    |> imageChannels 1
    |> imageSize 28
    // Swin's deviation of 0.02 is meant for hundreds of channels; at 48 weights start better by their fan-in.
    |> initialization Initialization.LecunNormal

let plans =
    [ small "qna" (4 * qna 3 |> heads 6 |> queries 2 |> mlpRatio 2.0)
      small "slide" (3 * slide 3 |> heads 6 |> mlpRatio 2.0) ]

for architecture in plans do
    printfn "%s\n" (Printing.architecture architecture)

let fashion =
    if quick then
        fashionMnist () |> firstOf 512 256
    else
        fashionMnist ()

let options =
    recipe
    |> epochs (if quick then 1 else 4)
    |> batchSize 96
    |> learningRate 4e-3
    |> warmupEpochs 0.2
    |> beta2 0.98
    |> seed 1L

let folder = if quick then IO.Path.GetTempPath() else "checkpoints"

let file name =
    IO.Path.Combine(folder, $"{name}.safetensors")

let models =
    [ for architecture in plans ->
          let model = architecture |> buildSeeded 1L
          model |> train options fashion |> ignore
          model |> save (file architecture.Name)
          model ]

// Side by side.
printfn "\n%-8s %12s %14s %10s" "model" "parameters" "test accuracy" "test loss"

let results =
    [ for model in models ->
          let result = model |> evaluate fashion.Test
          let name = model.Architecture.Name
          printfn "%-8s %12d %14.4f %10.4f" name (parameters model.Architecture) result.Accuracy result.Loss
          name, result ]

// A file alone is enough to have a model again, with the same numbers to the last bit.
let first = models.Head
let reloaded = load (file first.Architecture.Name)
let before, after = first |> logits fashion.Test, reloaded |> logits fashion.Test

printfn
    "\n%s reloaded: the same architecture %b, the same logits on all test images %b\n"
    (file first.Architecture.Name)
    (reloaded.Architecture = first.Architecture)
    (before.eq(after).all().ToBoolean())

for name, result in results do
    printfn "%s test accuracy %.4f" name result.Accuracy
