// Where units look, and which shifts of the image models follow, computed from the value: no tensor is made here.
#load "../LocalAttention.fsx"

open LocalAttention.Core.Specification
open LocalAttention.Dsl

let explain (title: string) (architecture: Architecture) =
    printfn "%s: %s\n%s\n" architecture.Name title (equivariance architecture |> Printing.equivariance)

// An image can move, as a camera does: something new enters, and what knows of the border is different. Or it can roll, as
// if it were a torus: what leaves at one side enters at the other.
explain "windows let only multiples of themselves through" Swin.tiny

explain
    "windows that go with their token follow every stride, until the third stage has fixed ones"
    QnAViT.tiny

explain "each place is learned by heart" Pvt.tiny

// A model made for shifts: windows that go with their token, on a torus, and no places.
backbone "torus" (patchify 4 64)
|> stages
    [ stage (2 * slide 3 |> heads 2 |> padding EdgePadding.Circular)
      |> downsample merge
      stage (2 * globalAttention |> heads 4) ]
|> head (classify 10)
|> explain "its logits do not change when the image rolls"

// One unit near the upper border, with windows that go with their token and with fixed ones.
for model in [ SlideSwin.tiny; Swin.tiny ] do
    printfn
        "%s, %s\n"
        model.Name
        (model |> receptiveFieldAt "stage 2, block 2" (2, 12) |> Printing.receptiveField)

// Stripes see a cross; dilated windows leave holes.
let small name blocks =
    backbone name (patchify 4 32) |> stages [ stage blocks ] |> imageSize 128

for model in
    [ small "cross-shaped" (crossShaped 2 |> heads 2)
      small "dilated" (dilated 4 (neighbourhood 5) |> heads 2) ] do
    printfn "%s, %s\n" model.Name (model |> receptiveField 1 (10, 20) |> Printing.receptiveField)
