// Dense tasks: the map of each stage, for images of another size than the model is declared for.
#load "../LocalAttention.fsx"

open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

let pyramid =
    backbone "pyramid" (patchify 4 32)
    |> stages
        [ stage (slide 3 |> heads 2) |> downsample merge
          stage (slide 3 |> heads 4) |> downsample merge
          stage (window 7 |> heads 4) ]
    |> imageSize 64

// Without tensors: the shapes at any size.
for layer in pyramid |> traceAt 96 160 do
    printfn "%-22s %-16s %O" layer.Place layer.Kind layer.Output

// With tensors: each stage's map, [batch, height, width, channels].
let model = pyramid |> buildSeeded 1L
let images = torch.rand ([| 2L; 3L; 96L; 160L |])

for map in model |> features images do
    printfn "%s" (Printing.tensor map)

// At inference the two convolutions of each slide layer merge into one; the outputs are the same.
let before = model |> predict images
let after = model |> forInference |> predict images
printfn "merged: the same features %b" (before.allclose after)

// An image that does not fit says what would.
let exact = pyramid |> sizePolicy SizePolicy.Exact |> build

try
    exact |> predict (torch.rand ([| 1L; 3L; 65L; 64L |])) |> ignore
with :? System.ArgumentException as mistake ->
    printfn "%s" mistake.Message
