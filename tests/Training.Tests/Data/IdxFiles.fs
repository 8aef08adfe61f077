/// MNIST's files, good and bad, plain and compressed.
module LocalAttention.Training.Tests.IdxFiles

open System
open System.IO
open Expecto
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open TorchSharp

let private imageMagic, private labelMagic = 0x00000803u, 0x00000801u

let private pixels count =
    Array.init (count * 6) (fun index -> byte (index * 7))

let private goodImages = idx imageMagic [ 4L; 2L; 3L ] (pixels 4)
let private goodLabels = idx labelMagic [ 4L ] [| 2uy; 0uy; 1uy; 2uy |]
let private names = ValueList.From [ "a"; "b"; "c" ]

let private good =
    [ for name, pack in [ "plain", id; "gzip", gzip ] do
          testCase name
          <| inFolder (fun folder ->
              let images, labels = Path.Combine(folder, "images"), Path.Combine(folder, "labels")
              File.WriteAllBytes(images, pack goodImages)
              File.WriteAllBytes(labels, pack goodLabels)
              use tensor = IdxFile.Read(images, 3)
              Expect.equal tensor.shape [| 4L; 2L; 3L |] "the shape"
              Expect.equal (bytesOf tensor) (pixels 4) "the pixels"
              use data = Mnist.Read(images, labels, names)
              Expect.equal data.Count 4L "images"
              Expect.equal data.Channels 1 "channels"
              Expect.equal data.Size (ImageSize(2, 3)) "the size"
              Expect.equal (bytesOf data.Images) (pixels 4) "the pixels of the data set"
              Expect.equal (data.Labels.data<int64>().ToArray()) [| 2L; 0L; 1L; 2L |] "the labels"
              Expect.equal data.Classes names "the classes") ]

/// What reading a file of these bytes as images says.
let private case name (content: byte array) (mistake: string) =
    testCase name
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "images")
        File.WriteAllBytes(path, content)
        failsWith<DataFileException> $"{path}: {mistake}" (fun () -> IdxFile.Read(path, 3).Dispose()))

let private bad =
    [ case "empty" [||] "the file ends inside its magic number: 0 of 4 bytes are there; it is truncated"
      case
          "three bytes"
          [| 0uy; 0uy; 8uy |]
          "the file ends inside its magic number: 3 of 4 bytes are there; it is truncated"
      case
          "labels instead of images"
          goodLabels
          "the magic number is 0x00000801; an IDX file of bytes with 3 dimensions begins with 0x00000803"
      case
          "floats instead of bytes"
          (idx 0x00000D03u [ 4L; 2L; 3L ] (pixels 4))
          "the magic number is 0x00000d03; an IDX file of bytes with 3 dimensions begins with 0x00000803"
      case
          "a PNG file"
          (Array.append [| 0x89uy; 0x50uy; 0x4Euy; 0x47uy |] (Array.zeroCreate 50))
          "the magic number is 0x89504e47; an IDX file of bytes with 3 dimensions begins with 0x00000803"
      case
          "cut inside the dimensions"
          goodImages[..9]
          "the file ends inside dimension 2: 2 of 4 bytes are there; it is truncated"
      case
          "cut inside the pixels"
          goodImages[.. goodImages.Length - 2]
          ("the dimensions [4, 2, 3] promise 24 bytes; a file of 39 bytes cannot hold more than 23; "
           + "it is truncated or its header wrong")
      case
          "too long"
          (Array.append goodImages [| 1uy |])
          "there is data after the 24 elements that [4, 2, 3] promises"
      case
          "dimensions of exabytes"
          (idx imageMagic [ 4294967295L; 4294967295L; 4294967295L ] (pixels 4))
          ("the dimensions [4294967295, 4294967295, 4294967295] promise 79,228,162,458,924,105,385,300,197,375 bytes; "
           + "a file of 40 bytes cannot hold more than 24; it is truncated or its header wrong")
      case
          "compressed, cut inside the pixels before compression"
          (gzip goodImages[.. goodImages.Length - 2])
          "the file ends inside its elements: 23 of 24 bytes are there; it is truncated"
      case
          "compressed, too long"
          (gzip (Array.append goodImages [| 1uy |]))
          "there is data after the 24 elements that [4, 2, 3] promises"
      (let content = gzip (idx imageMagic [ 60000L; 28L; 28L ] (pixels 1))

       case
           "compressed, dimensions that no such file can hold"
           content
           ($"the dimensions [60000, 28, 28] promise 47,040,000 bytes; a file of {content.Length} bytes cannot hold more than "
            + $"{content.Length * 1032:N0}; it is truncated or its header wrong")) ]

let private damagedGzip =
    testCase "a compressed file cut at any length, or with a byte changed"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "images.gz")
        let content = gzip goodImages

        let mutable refused = 0

        for length in 2 .. content.Length - 1 do
            File.WriteAllBytes(path, content[.. length - 1])

            try
                // The last bytes are no more than the end's mark and a sum over what is there.
                use read = IdxFile.Read(path, 3)
                Expect.equal (bytesOf read) (pixels 4) $"cut to {length} bytes, all pixels should be there"
            with :? DataFileException as thrown ->
                refused <- refused + 1
                Expect.stringStarts thrown.Message $"{path}: the " $"cut to {length} bytes"
                Expect.equal thrown.Path path "the path"

        Expect.isGreaterThanOrEqual refused (content.Length - 14) "cuts that should be refused"

        for position in 2 .. content.Length - 1 do
            for change in [ 1uy; 0x80uy; 0xFFuy ] do
                File.WriteAllBytes(path, Array.updateAt position (content[position] ^^^ change) content)

                try
                    IdxFile.Read(path, 3).Dispose()
                with :? DataFileException as refused ->
                    Expect.stringStarts refused.Message $"{path}: " $"byte {position} changed")

/// What reading a pair of files says, of which file.
let private pair name (images: byte array) (labels: byte array) (mistake: string -> string -> string) =
    testCase name
    <| inFolder (fun folder ->
        let imagesPath, labelsPath =
            Path.Combine(folder, "images"), Path.Combine(folder, "labels")

        File.WriteAllBytes(imagesPath, images)
        File.WriteAllBytes(labelsPath, labels)

        failsWith<DataFileException> (mistake imagesPath labelsPath) (fun () ->
            Mnist.Read(imagesPath, labelsPath, names).Dispose()))

let private pairs =
    [ pair
          "a label too many"
          goodImages
          (idx labelMagic [ 5L ] [| 0uy; 0uy; 0uy; 0uy; 0uy |])
          (fun images labels ->
              $"{labels}: there are 5 labels, but 4 images in {images}; each image must have one label")
      pair "a label out of range" goodImages (idx labelMagic [ 4L ] [| 0uy; 1uy; 3uy; 9uy |]) (fun _ labels ->
          $"{labels}: label 2 is 3; with 3 classes, labels go from 0 to 2")
      pair "no images" (idx imageMagic [ 0L; 2L; 3L ] [||]) (idx labelMagic [ 0L ] [||]) (fun images _ ->
          $"{images}: the dimensions are [0, 2, 3]; there must be at least one pixel") ]

let private files =
    [ "train-images-idx3-ubyte"
      "train-labels-idx1-ubyte"
      "t10k-images-idx3-ubyte"
      "t10k-labels-idx1-ubyte" ]

let private folders =
    testCase "a folder with the four files, some compressed; without it, or without one of them"
    <| inFolder (fun folder ->
        let path name = Path.Combine(folder, name)
        let missing = path "nowhere"

        let mnist =
            "give the directory that holds train-images-idx3-ubyte.gz and the other three files"

        failsWith<DataFileException> $"{missing}: there is no such directory; {mnist}" (fun () ->
            Mnist.Load missing |> ignore)

        failsWith<DataFileException>
            $"{missing}: there is no such directory; install the Debian package dataset-fashion-mnist, or {mnist}"
            (fun () -> FashionMnist.Load missing |> ignore)

        for name in files do
            failsWith<DataFileException>
                $"{path name}.gz: there is no such file; install the Debian package dataset-fashion-mnist, or {mnist}"
                (fun () -> FashionMnist.Load folder |> ignore)

            match name.StartsWith "train", name.Contains "images" with
            | true, true -> File.WriteAllBytes(path name, goodImages)
            | true, false -> File.WriteAllBytes(path $"{name}.gz", gzip goodLabels)
            | false, true ->
                File.WriteAllBytes(path $"{name}.gz", gzip (idx imageMagic [ 1L; 2L; 3L ] (pixels 1)))
            | false, false -> File.WriteAllBytes(path name, idx labelMagic [ 1L ] [| 9uy |])

        let struct (training, test) = FashionMnist.Load folder
        Expect.equal (training.Count, test.Count) (4L, 1L) "images"
        Expect.equal training.Classes FashionMnist.Classes "the classes"

        Expect.equal
            test.Normalization
            training.Normalization
            "the test images are normalised as the training images"

        let struct (digits, _) = Mnist.Load folder
        Expect.equal digits.Classes Mnist.Digits "digits")

let private fashionMnist =
    testCase "Fashion-MNIST itself, where it is installed"
    <| fun () ->
        if not (Directory.Exists FashionMnist.DebianDirectory) then
            skiptest $"{FashionMnist.DebianDirectory} is not there: dataset-fashion-mnist is not installed"

        let struct (training, test) = FashionMnist.Load()
        use training = training
        use test = test
        Expect.equal training.Images.shape [| 60000L; 1L; 28L; 28L |] "training images"
        Expect.equal test.Images.shape [| 10000L; 1L; 28L; 28L |] "test images"

        let first (data: ImageDataset) =
            (data.Labels.narrow (0, 0L, 10L)).data<int64>().ToArray()

        Expect.equal
            (first training)
            [| 9L; 0; 0; 3; 0; 2; 7; 2; 5; 5 |]
            "the first labels of the training images"

        Expect.equal (first test) [| 9L; 2; 1; 1; 6; 1; 4; 6; 5; 7 |] "the first labels of the test images"

        for data, each in [ training, 6000L; test, 1000L ] do
            Expect.equal
                [| for label in 0L .. 9L -> data.Labels.eq(torch.tensor label).sum().ToInt64() |]
                (Array.replicate 10 each)
                "images of each class"

        // The mean and deviation that everyone uses for these images.
        Expect.floatClose { absolute = 5e-5; relative = 0.0 } training.Normalization.Mean[0] 0.2860 "the mean"

        Expect.floatClose
            { absolute = 5e-5; relative = 0.0 }
            training.Normalization.Deviation[0]
            0.3530
            "the deviation"

        Expect.equal test.Normalization training.Normalization "the test images' normalisation"

/// The tests of this file.
let tests =
    testList
        "idx files"
        [ testList "good" good
          testList "bad" bad
          damagedGzip
          testList "pairs" pairs
          folders
          fashionMnist ]
