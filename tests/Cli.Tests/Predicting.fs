/// <c>predict</c>: classes, probabilities, and pictures of attention.
module LocalAttention.Cli.Tests.Predicting

open System
open System.IO
open Expecto
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

/// A picture of 16×16 pixels, in colours.
let private picture (seed: int) =
    PixelImage(ImageSize.Square 16, 3, Array.init (16 * 16 * 3) (fun index -> byte (index * seed)))

let private pictureIn (folder: string) (name: string) (seed: int) =
    let path = file folder name
    PngFile.Write(path, picture seed)
    path

/// A checkpoint that knows its classes.
let private knowing (folder: string) =
    let path = file folder "model.safetensors"
    use model = small |> buildSeeded 5L

    let description =
        DatasetDescription(
            ValueList.From [ "left"; "middle"; "right" ],
            Normalization(ValueList.From [ 0.4; 0.5; 0.6 ], ValueList.From [ 0.2; 0.3; 0.4 ])
        )

    Checkpoint.Save(model, path, description.ToMetadata())
    path

/// The probabilities by the definition.
let private expected (seed: int) (normalization: Normalization) =
    use _ = torch.NewDisposeScope()
    use model = small |> buildSeeded 5L

    let images =
        normalization.Apply((picture seed).ToTensor().unsqueeze 0L, torch.ScalarType.Float32)

    let shares = (model |> predict images).softmax 1L
    [ for index in 0L .. 2L -> float (shares[0L, index].ToSingle()) ]

let private probabilities (image: int) (ended: Ended) =
    [ for place in 0..2 ->
          let prediction = ended.Json |> at [ "images"; image; "predictions"; place ]
          int (number [ "index" ] prediction), (at [ "probability" ] prediction).GetValue<float>() ]

/// Both are computed in single precision and may sum in another order: a few units of 2⁻²⁴.
let private agree (actual: (int * float) list) (expected: float list) =
    Expect.equal
        (actual |> List.map snd)
        (actual |> List.map snd |> List.sortDescending)
        "the likeliest first"

    for index, probability in actual do
        Expect.floatClose
            { absolute = 1e-5; relative = 0.0 }
            probability
            expected[index]
            $"the probability of class {index}"

let private classes =
    testCase "classes by name, from the checkpoint, for several images"
    <| inFolder (fun folder ->
        let model = knowing folder
        let one, other = pictureIn folder "one.png" 7, pictureIn folder "other.png" 31
        let ended = fine [ "predict"; model; "--image"; one; other; "--json" ]

        let normalization =
            Normalization(ValueList.From [ 0.4; 0.5; 0.6 ], ValueList.From [ 0.2; 0.3; 0.4 ])

        for image, seed in [ 0, 7; 1, 31 ] do
            agree (probabilities image ended) (expected seed normalization)

        let names = [| "left"; "middle"; "right" |]

        for place in 0..2 do
            let prediction = ended.Json |> at [ "images"; 0; "predictions"; place ]
            Expect.equal (text [ "class" ] prediction) names[int (number [ "index" ] prediction)] "the name"

        let table = (fine [ "predict"; model; "--image"; one; "--top"; "1" ]).Output

        Expect.equal
            ([ "left"; "middle"; "right" ] |> List.filter table.Contains |> List.length)
            1
            "only the likeliest")

let private weights =
    testCase "parameters of a file, names of another"
    <| inFolder (fun folder ->
        let specification = file folder "small.json"
        File.WriteAllText(specification, toJson small)
        let parameters = smallIn folder
        let image = pictureIn folder "image.png" 7
        let names = file folder "names.txt"
        File.WriteAllText(names, "a\n\nb\n")

        let arguments =
            [ "predict"; specification; "--weights"; parameters; "--image"; image ]

        let ended = fine (arguments @ [ "--json"; "--classes"; names ])
        agree (probabilities 0 ended) (expected 7 Normalization.ImageNet)
        let table = (fine (arguments @ [ "--classes"; names ])).Output
        Expect.stringContains table "class 2" "a class without a name"
        File.WriteAllText(names, "a\nb\nc\nd\n")

        Expect.stringContains
            (refused (arguments @ [ "--classes"; names ]))
            "has 4 classes; 'small' has 3."
            "too many names")

let private attention =
    testCase "pictures of attention, over the image"
    <| inFolder (fun folder ->
        let model = knowing folder
        Directory.CreateDirectory(file folder "again") |> ignore

        let one, other =
            pictureIn folder "image.png" 7, pictureIn folder "again/image.png" 7

        let maps = file folder "maps"
        fine [ "predict"; model; "--image"; one; other; "--attention"; maps ] |> ignore

        Expect.equal
            (namesIn maps)
            [ "1-image-stage1-block1.png"
              "1-image-stage2-block1.png"
              "2-image-stage1-block1.png"
              "2-image-stage2-block1.png" ]
            "a picture for each block of each image"

        let read name = ImageFile.Read(file maps name)
        let drawn = read "1-image-stage1-block1.png"
        Expect.equal (drawn.Size, drawn.Channels) (ImageSize.Square 256, 3) "enlarged, in colours"

        Expect.equal
            (drawn.Pixels.ToArray())
            ((read "2-image-stage1-block1.png").Pixels.ToArray())
            "the same of the same image"

        Expect.notEqual
            (drawn.Pixels.ToArray())
            ((read "1-image-stage2-block1.png").Pixels.ToArray())
            "another of another block"

        let few = file folder "few"

        fine [ "predict"; model; "--image"; one; "--attention"; few; "--stage"; "2" ]
        |> ignore

        Expect.equal (namesIn few) [ "image-stage2-block1.png" ] "the one that is asked for")

let private refusals =
    testCase "what is refused"
    <| inFolder (fun folder ->
        let model = knowing folder
        let image = pictureIn folder "image.png" 7
        let notes = file folder "notes.txt"
        File.WriteAllText(notes, "no picture")

        for arguments, expected in
            [ [ model; "--image"; notes ], $"{notes}: the file begins with 0x6E6F2070; PNG begins with"
              [ model; "--image"; file folder "none.png" ], "there is no such file"
              [ "swin-tiny"; "--image"; image ],
              "'swin-tiny' has no parameters of its own; give a file of them with --weights."
              [ model; "--image"; image; "--top"; "0" ], "--top is 0; it must be 1 or more."
              [ model; "--image"; image; "--stage"; "1" ], "give --attention FOLDER with them."
              [ model; "--image"; image; "--attention"; folder; "--stage"; "3" ],
              "--stage is 3; 'small' has stages 1 to 2."
              [ model; "--image"; image; "--attention"; folder; "--block"; "2" ],
              "--block is 2; no stage of 'small' has a block of that number."
              [ model; "--image"; image; "--size"; "0x3" ], "'0x3' is no image size" ] do
            Expect.stringContains (refused ("predict" :: arguments)) expected $"%A{arguments}")

/// The tests of this file.
let tests = testList "predict" [ classes; weights; attention; refusals ]
