/// Folders of images, one for each class; images brought to one size and to a number of channels.
module LocalAttention.Training.Tests.ImageFolders

open System
open System.IO
open Expecto
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models

let private shade (value: int) =
    PixelImage(ImageSize(2, 2), 1, Array.create 4 (byte value))

/// Writes images of one shade each to places in a folder.
let private write (folder: string) (images: (string * int) list) =
    for place, value in images do
        let path = Path.Combine(folder, place)
        Directory.CreateDirectory(nonNull (Path.GetDirectoryName path)) |> ignore
        PngFile.Write(path, shade value)

let private two =
    [ "train/a/1.png", 10
      "train/a/2.png", 11
      "train/a/3.png", 12
      "train/b/x.png", 20
      "test/b/y.png", 30 ]

let private shades (data: ImageDataset) =
    [ for index in 0L .. data.Count - 1L -> data.Images.select (0, index) |> bytesOf |> Array.head |> int ]

let private reading =
    testCase "classes in turn, by name"
    <| inFolder (fun folder ->
        write folder two
        File.WriteAllText(Path.Combine(folder, "train/a/.hidden"), "")
        let struct (training, test) = ImageFolder.Load(folder, ImageSize(2, 2), 1)
        Expect.equal training.Classes (ValueList.From [ "a"; "b" ]) "the classes"
        Expect.equal (shades training) [ 10; 20; 11; 12 ] "the training images"
        Expect.equal (training.Labels.data<int64>().ToArray()) [| 0L; 1L; 0L; 0L |] "their labels"
        Expect.equal (shades test) [ 30 ] "the test images"
        Expect.equal (test.Labels.data<int64>().ToArray()) [| 1L |] "their labels"
        Expect.equal test.Normalization training.Normalization "the normalisation"

        let struct (limited, _) =
            ImageFolder.Load(folder, ImageSize(3, 3), 3, training = Nullable 2L)

        Expect.equal (shades limited) [ 10; 20 ] "the first two"
        Expect.equal limited.Images.shape [| 2L; 3L; 3L; 3L |] "their shape")

let private refusal name (prepare: string -> unit) (place: string) (mistake: string) =
    testCase name
    <| inFolder (fun folder ->
        prepare folder
        let path = if place = "" then folder else Path.Combine(folder, place)

        failsWith<DataFileException> $"{path}: {mistake}" (fun () ->
            ImageFolder.Load(folder, ImageSize(2, 2)) |> ignore))

let private refusals =
    [ refusal
          "an empty folder"
          ignore
          "train"
          "there is no such directory; it must hold a folder of training images for each class"
      refusal
          "no class"
          (fun folder -> Directory.CreateDirectory(Path.Combine(folder, "train")) |> ignore)
          "train"
          "there is no folder in it; it must hold one for each class"
      refusal
          "no image"
          (fun folder -> Directory.CreateDirectory(Path.Combine(folder, "train/a")) |> ignore)
          "train"
          "there is no image in the folders of its classes; put .png, .ppm, .pgm, .pnm there"
      refusal
          "no test images"
          (fun folder -> write folder [ "train/a/1.png", 1 ])
          "test"
          "there is no such directory; it must hold a folder of test images for each class"
      refusal
          "a test class that was not learned"
          (fun folder -> write folder [ "train/a/1.png", 1; "test/c/1.png", 1 ])
          "test/c"
          "this folder is of no class; the classes are a"
      refusal
          "an image of another format"
          (fun folder ->
              write folder two
              File.WriteAllText(Path.Combine(folder, "train/b/photo.jpg"), ""))
          "train/b/photo.jpg"
          "a class's folder holds images alone, .png, .ppm, .pgm, .pnm; convert or remove this"
      refusal
          "a damaged image"
          (fun folder ->
              write folder two
              File.WriteAllText(Path.Combine(folder, "train/b/x.png"), "P5 2"))
          "train/b/x.png"
          "the file ends before the height; it is truncated" ]

// ---------------------------------------------------------------------------------- sizes and channels

/// Resizing one line as it is defined: a triangle over the pixels that a new one covers, at least one wide.
let private resized (line: float array) (length: int) =
    let scale = float line.Length / float length
    let reach = max 1.0 scale

    [| for place in 0 .. length - 1 do
           let centre = (float place + 0.5) * scale

           let weights =
               [| for index in 0 .. line.Length - 1 ->
                      max 0.0 (1.0 - abs ((float index + 0.5 - centre) / reach)) |]

           Array.map2 (*) weights line |> Array.sum |> (fun sum -> sum / Array.sum weights) |]

let private resizing =
    testProperty "a picture of the right proportions is resized by a triangle in each direction"
    <| fun (seed: int) ->
        let random = Random seed
        let side, newSide = random.Next(1, 24), random.Next(1, 24)
        let values = Array2D.init side side (fun _ _ -> float (random.Next 256))
        let bytes = [| for value in Seq.cast<float> values -> byte value |]

        let image =
            PixelImage(ImageSize.Square side, 1, bytes).Fit(ImageSize.Square newSide)

        let byRow = [| for y in 0 .. side - 1 -> resized values[y, *] newSide |]

        for x in 0 .. newSide - 1 do
            let column = resized [| for row in byRow -> row[x] |] newSide

            for y in 0 .. newSide - 1 do
                // Rounded to a byte, and a sum in single precision that may fall to the other side of a half.
                let actual = float image.Pixels.Span[y * newSide + x]
                Expect.isLessThan (abs (actual - column[y])) 0.51 $"seed {seed}: row {y}, column {x}"

let private cutting =
    testCase "what stands out beyond the proportions is cut off evenly"
    <| fun () ->
        let wide = PixelImage(ImageSize(2, 6), 1, [| 0uy .. 11uy |])
        Expect.equal (wide.Fit(ImageSize(2, 2)).Pixels.ToArray()) [| 2uy; 3uy; 8uy; 9uy |] "columns"
        let high = PixelImage(ImageSize(5, 1), 1, [| 0uy .. 4uy |])
        Expect.equal (high.Fit(ImageSize(1, 1)).Pixels.ToArray()) [| 2uy |] "rows"
        Expect.equal (high.Fit(ImageSize(3, 1)).Pixels.ToArray()) [| 1uy; 2uy; 3uy |] "other proportions"

let private channels =
    testCase "grey and coloured"
    <| fun () ->
        let of' channels (pixels: byte array) =
            PixelImage(ImageSize(1, pixels.Length / channels), channels, pixels)

        let pixels (image: PixelImage) = image.Pixels.ToArray()

        let coloured =
            of' 3 [| 255uy; 0uy; 0uy; 0uy; 255uy; 0uy; 0uy; 0uy; 255uy; 200uy; 200uy; 200uy |]
        // 0.299·255, 0.587·255 and 0.114·255 to the nearest.
        Expect.equal (pixels (coloured.WithChannels 1)) [| 76uy; 150uy; 29uy; 200uy |] "to grey"
        let seen = of' 4 [| 1uy; 2uy; 3uy; 0uy; 4uy; 5uy; 6uy; 255uy |]
        Expect.equal (pixels (seen.WithChannels 3)) [| 1uy .. 6uy |] "without opacity"
        Expect.equal (pixels ((of' 2 [| 9uy; 0uy |]).WithChannels 3)) [| 9uy; 9uy; 9uy |] "grey to colours"
        use tensor = seen.ToTensor()
        Expect.equal tensor.shape [| 4L; 1L; 2L |] "the tensor's shape"
        Expect.equal (bytesOf tensor) [| 1uy; 4uy; 2uy; 5uy; 3uy; 6uy; 0uy; 255uy |] "the tensor"
        Expect.equal (pixels (PixelImage.FromTensor tensor)) (pixels seen) "back again"

/// The tests of this file.
let tests =
    testList "image folders" [ reading; testList "refusals" refusals; resizing; cutting; channels ]
