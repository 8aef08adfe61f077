// What wrong models print. A mistake is a value: it names its place, the value, and what would be right.
#load "../LocalAttention.fsx"

open LocalAttention.Core.Specification
open LocalAttention.Dsl

let wrong =
    backbone "wrong" (patchify 4 90)
    |> stages
        [ stage (2 * qna 4 |> heads 8 |> queries 0) |> downsample merge
          stage (0 * slide 3 |> heads 4)
          stage (3 * slide 3 |> heads 7 |> mlpRatio -1.0) ]
    |> head (classify 10)
    |> imageSize 30
    |> sizePolicy SizePolicy.Exact

// In F# Interactive `wrong` alone prints this: the table, and below it every mistake at once.
printfn "%s\n" (Printing.architecture wrong)

// As a value, to branch on.
match validate wrong with
| Ok architecture -> printfn "%s is right" architecture.Name
| Error mistakes -> printfn "%d places to mend, the first: %O\n" mistakes.Length mistakes.Head

// A sweep keeps what can be built.
let withHeads count =
    backbone $"{count} heads" (patchify 4 48)
    |> stages [ stage (2 * slide 3 |> heads count) ]

[ for count in 1..8 -> withHeads count ]
|> List.filter (validate >> Result.isOk)
|> List.map _.Name
|> printfn "of 48 channels: %A\n"

// A stage that is not there.
match Swin.tiny |> tryInStages [ 0; 1 ] (attention (slide 3)) with
| Ok _ -> ()
| Error mistakes -> printfn "%s\n" (Printing.problems mistakes)

// An image that a model does not take, and text that is no architecture.
printfn
    "%s\n"
    (Swin.tiny
     |> sizePolicy SizePolicy.Exact
     |> sizeProblems 200 224
     |> Printing.problems)

match ofJson """{ "name": "x", "stem": { "kind": "patches" } }""" with
| Ok _ -> ()
| Error mistakes -> printfn "%s\n" (Printing.problems mistakes)

// Building is where a mistake becomes an exception, with the same text.
try
    build wrong |> ignore
with :? SpecificationException as mistakes ->
    printfn "%s" mistakes.Message

// What the compiler refuses before anything runs:
//   stage (2 * qna 3)                                  heads are missing
//   slide 3 |> queries 2                               slide attention has no learned queries
//   stage … |> downsample (slide 3 |> heads 8)         a transition is QnA, merge or a convolution
//   stage … |> downsample (2 * qna 3 |> heads 8)       a transition is one block
//   globalAttention |> windowSize 7                    global attention has no window
