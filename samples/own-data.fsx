// One's own images: arrays of bytes and the number of each one's class. Here discs and squares are drawn on noise.
#load "../LocalAttention.fsx"

open System
open LocalAttention.Dsl

let random = Random 7

/// A colour image of 16×16 pixels, [channels, height, width], with a shape of random place and size.
let draw inside =
    let row, column = random.Next(5, 11), random.Next(5, 11)
    let radius = random.Next(3, 5)

    Array3D.init 3 16 16 (fun _ y x ->
        let noise = random.Next 60

        byte (
            if inside (y - row) (x - column) radius then
                255 - noise
            else
                noise
        ))

let disc y x radius = y * y + x * x <= radius * radius
let square y x radius = abs y <= radius && abs x <= radius

let images =
    [ for index in 1..400 -> if index % 2 = 0 then draw disc, 0 else draw square, 1 ]

let examples = images |> labelled [ "disc"; "square" ] |> split 0.8

let model =
    backbone "shapes" (patchify 2 24)
    |> stages
        [ stage (qna 3 |> heads 4) |> downsample (qna 3 |> heads 4)
          stage (qna 3 |> heads 4) ]
    |> head (classify 2)
    |> imageSize 16
    |> buildSeeded 1L

let result =
    model
    |> train (recipe |> epochs 6 |> batchSize 32 |> learningRate 3e-3 |> horizontalFlip) examples

printfn "%s" (Printing.training result)

let few = examples.Test.Take 5L
printfn "seen:  %s" (String.Join(", ", model |> recognise few))
printfn "right: %s" (String.Join(", ", [ for label in few.Labels.data<int64>() -> few.Classes[int label] ]))
