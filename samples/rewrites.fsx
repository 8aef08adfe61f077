// Models are values: rewrite them, sweep them, compare them. No tensor is made here.
#load "../LocalAttention.fsx"

open LocalAttention.Core.Specification
open LocalAttention.Dsl

let show architecture =
    printfn "%s\n" (Printing.architecture architecture)

// A model from its parts. `2 * block` repeats, `a + b` puts one after the other, `|>` refines all that is before it.
let qnaVitTiny =
    backbone "qna-vit-tiny" (patchify 4 64 |> patchBias false |> patchNorm false)
    |> stages
        [ stage (2 * qna 3 |> heads 8) |> downsample (qna 3 |> heads 16)
          stage (3 * qna 3 |> heads 16) |> downsample (qna 3 |> heads 32)
          stage ((4 * localWindow 14 |> heads 8) + (2 * qna 3 |> heads 32))
          |> downsample (qna 3 |> heads 64)
          stage (2 * localWindow 7 |> heads 16) ]
    |> head (classify 1000)
    |> dropPath 0.05
    |> conventions flax

show qnaVitTiny
printfn "equal to the one of the zoo: %b\n" (qnaVitTiny = QnAViT.tiny)

// The Slide Transformer paper's move: slide attention in the first two stages of Swin.
Swin.tiny
|> inStages [ 1; 2 ] (attention (slide 3))
|> named "swin-tiny with slide"
|> show

// Every QnA window of a model, transitions included; a sweep is a list.
printfn
    "so is its sister of 7×7: %b\n"
    (qnaVitTiny |> everyQna (windowSize 7) |> named "qna-vit-tiny-7x7" = QnAViT.tiny7x7)

[ for k in [ 3; 5; 7; 9 ] -> qnaVitTiny |> everyQna (windowSize k) |> named $"qna-vit-tiny, {k}×{k}" ]
|> Printing.comparison
|> printfn "%s\n"

// Rewrites compose like any functions, and reach only what they name.
let modern = everyBlock (layerScale 1e-5) >> dropPath 0.1 >> imageSize 256

let crossed =
    [ for model in [ QnAViT.tiny; Swin.tiny; SlideSwin.tiny ] do
          for change, rewrite in
              [ "as published", id
                "modern", modern
                "slide for windows", everyWindow (attention (slide 3))
                "4 queries", everyQna (queries 4) ] -> model |> rewrite |> named $"{model.Name}, {change}" ]

printfn "%s\n" (Printing.comparison crossed)

// Selections are values: by stage, number, kind or any question, combined by `<&>`, `<|>` and `Select.not`.
let dinatMini =
    [ 1, 8; 2, 4; 3, 2 ]
    |> List.fold
        (fun model (stage, step) ->
            model |> interleave (Select.neighbourhood <&> Select.stage stage) (dilated step))
        Nat.mini
    |> named "dinat-mini"

printfn "every second block of NAT dilated is DiNAT: %b\n" (dinatMini = DiNAT.mini)

// Checked rewrites stop at the first conflict, and say where it is.
match
    Swin.tiny
    |> tryReplace (Select.stages [ 1; 2 ]) (slide 3)
    |> Result.bind (tryScaleWidth 1.25)
    |> Result.bind (tryRewrite (Select.stage 3 <&> Select.last) (heads 7))
with
| Ok model -> show model
| Error mistakes -> printfn "the first conflict: %O\n" mistakes.Head

// What a rewrite changed, place by place, as a diff.
differences Nat.mini dinatMini |> Printing.difference |> printfn "%s\n"

// A sweep is a table to sort and filter; `Sweep.toCsv` and `Sweep.toText` write the same.
[ for coefficient in 0.0 .. 3.0 -> Nat.mini |> compound coefficient |> named $"nat-mini, {coefficient}" ]
|> Sweep.over [ Column.name; Column.blocks; Column.lastMap; Column.parameters; Column.gmacs ]
|> Sweep.where "GMACs" (fun cost -> cost < 10.0)
|> Sweep.sortDescendingBy "parameters"
|> Sweep.toMarkdown
|> printfn "%s\n"

// Published accuracies against computed costs.
Zoo.all
|> Chart.costs Cost.MultiplyAccumulates
|> Chart.save (System.IO.Path.Combine(__SOURCE_DIRECTORY__, "..", "artifacts", "cost.svg"))

// Windows of one stage, alternately of two sizes; a grey, rectangular image; a stem of convolutions; a map that grows.
backbone "mixed" (convolutions [ 3, 2, 24; 3, 2, 48 ])
|> stages
    [ stage (2 * (window 8 + shifted (window 4)) |> heads 3)
      |> downsample (convolve 3, channels = 96)
      stage (2 * globalAttention |> heads 4) |> upsample (qna 3 |> heads 4)
      stage (2 * slide 5 |> heads 4 |> padding EdgePadding.Circular |> mlpRatio 2.0) ]
|> head (classifyByQna (10, heads = 6))
|> imageChannels 1
|> imageSize 64
|> show
