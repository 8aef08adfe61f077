/// Data sets in memory: what they take, how they are cut, and how pixels become numbers.
module LocalAttention.Training.Tests.ImageDatasets

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Models
open TorchSharp

let private pixels (shape: int64 list) =
    torch.zeros (Array.ofList shape, dtype = torch.ScalarType.Byte)

let private labels (values: int64 list) = torch.tensor (Array.ofList values)

let private refusals =
    let case name images (labels: torch.Tensor) (normalization: Normalization) mistake =
        testCase name
        <| fun () ->
            refused mistake (fun () ->
                ImageDataset.FromTensors(images, labels, [ "a"; "b" ], normalization).Dispose())

    let measured = Unchecked.defaultof<Normalization>

    let normalization mean deviation =
        Normalization(ValueList.From mean, ValueList.From deviation)

    [ case
          "floats"
          (torch.zeros (2L, 1L, 2L, 2L))
          (labels [ 0; 1 ])
          measured
          "the images are of type Float32; they must be bytes (torch.uint8), 0 to 255"
      case
          "two dimensions"
          (pixels [ 2; 4 ])
          (labels [ 0; 1 ])
          measured
          "the images have shape [2, 4]; it must be [N, C, H, W], or [N, H, W] for grey ones"
      case
          "labels of 32 bits"
          (pixels [ 2; 2; 2 ])
          (torch.zeros (2L, dtype = torch.ScalarType.Int32))
          measured
          "the labels are Int32 of shape [2]; they must be Int64 of shape [N]"
      case
          "labels in a table"
          (pixels [ 2; 2; 2 ])
          (torch.zeros (2L, 1L, dtype = torch.ScalarType.Int64))
          measured
          "the labels are Int64 of shape [2, 1]; they must be Int64 of shape [N]"
      case
          "a label too few"
          (pixels [ 2; 2; 2 ])
          (labels [ 0 ])
          measured
          "there are 2 images and 1 labels; each image must have one label"
      case
          "no pixel"
          (pixels [ 2; 1; 0; 2 ])
          (labels [ 0; 1 ])
          measured
          "the images have shape [2, 1, 0, 2]; there must be at least one pixel"
      case
          "a label too large"
          (pixels [ 3; 2; 2 ])
          (labels [ 0; 1; 2 ])
          measured
          "label 2 is 2; with 2 classes, labels go from 0 to 1"
      case
          "a negative label"
          (pixels [ 3; 2; 2 ])
          (labels [ 0; -1; 2 ])
          measured
          "label 1 is -1; with 2 classes, labels go from 0 to 1"
      case
          "a mean too many"
          (pixels [ 2; 2; 2 ])
          (labels [ 0; 1 ])
          (normalization [ 0.5; 0.5 ] [ 1.0; 1.0 ])
          "the normalization is for 2 channels; the images have 1"
      case
          "a deviation of zero"
          (pixels [ 2; 2; 2 ])
          (labels [ 0; 1 ])
          (normalization [ 0.5 ] [ 0.0 ])
          "a deviation is 0; it must be above 0"
      case
          "a deviation that is no number"
          (pixels [ 2; 2; 2 ])
          (labels [ 0; 1 ])
          (normalization [ 0.5 ] [ nan ])
          "a deviation is NaN; it must be above 0" ]

/// An image whose every pixel is its position in the set.
let private numbered count =
    use images =
        (torch.arange(int64 count).``to`` torch.ScalarType.Byte).view(-1L, 1L, 1L, 1L).expand(-1L, 2L, 1L, 3L)

    use labels = torch.arange (int64 count)
    ImageDataset.FromTensors(images, labels, [ for index in 0 .. count - 1 -> string index ])

let private positions (data: ImageDataset) =
    Expect.equal
        (bytesOf data.Images)
        [| for label in data.Labels.data<int64>().ToArray() do
               yield! Array.replicate 6 (byte label) |]
        "every image goes with its label"

    List.ofArray (data.Labels.data<int64>().ToArray())

let private cutting =
    testCase "subsets, the first images, batches"
    <| fun () ->
        use data = numbered 10
        Expect.equal (positions data) [ 0L .. 9L ] "all"
        Expect.equal (positions (data.Subset [ 7L; 2L; 7L ])) [ 7L; 2L; 7L ] "a subset"
        Expect.equal (positions (data.Take 3L)) [ 0L; 1L; 2L ] "the first three"
        Expect.equal (positions (data.Take 100L)) [ 0L .. 9L ] "more than there are"
        Expect.equal (positions (data.Take -1L)) [] "fewer than none"
        Expect.equal (data.Subset([ 1L ]).Normalization) data.Normalization "the subset's normalisation"
        let struct (images, labels) = data.Batch(ReadOnlySpan [| 9L; 0L |])
        Expect.equal images.shape [| 2L; 2L; 1L; 3L |] "the shape of a batch"
        Expect.equal (labels.data<int64>().ToArray()) [| 9L; 0L |] "the labels of a batch"

        for wrong in [ -1L; 10L ] do
            let thrown =
                failure<ArgumentOutOfRangeException>(fun () -> data.Subset [ 0L; wrong ] |> ignore)

            Expect.stringStarts
                thrown.Message
                $"position {wrong} is not in the set; positions go from 0 to 9"
                "the text"

let private splitting =
    testProperty "a split divides the set, and its seed decides how"
    <| fun (PositiveInt count) (seed: int64) ->
        let count = 1 + count % 200
        use data = numbered count

        for fraction in [ 0.25; 0.5; 0.9 ] do
            let struct (first, second) = data.Split(fraction, seed)
            let one, other = positions first, positions second
            Expect.equal one.Length (int (round (fraction * float count))) "images of the first"
            Expect.equal (List.sort (one @ other)) [ 0L .. int64 count - 1L ] "every image once"
            let struct (again, _) = data.Split(fraction, seed)
            Expect.equal (positions again) one "the same seed"

        if count > 50 then
            let struct (one, _) = data.Split(0.5, seed)
            let struct (other, _) = data.Split(0.5, seed + 1L)
            Expect.notEqual (positions one) (positions other) "another seed"

let private owning =
    testCase "a data set outlives the scope and the tensors that it was made of"
    <| fun () ->
        let data =
            use _ = torch.NewDisposeScope()
            let images = pixels [ 2; 1; 2; 2 ]
            ImageDataset.FromTensors(images, labels [ 0; 1 ], [ "a"; "b" ])

        Expect.equal (data.Images.sum().ToInt64()) 0L "its images"
        let part = data.Take 1L
        data.Dispose()
        Expect.equal part.Count 1L "a part of it outlives it"
        Expect.equal (part.Images.sum().ToInt64()) 0L "the part's images"

/// Mean and deviation by the definition, in plain arithmetic.
let private measured =
    testCase "the normalisation measures mean and deviation of each channel"
    <| fun () ->
        let random = Random 3
        let values = Array.init (5 * 3 * 4 * 2) (fun _ -> byte (random.Next 256))
        use images = torch.tensor (values, ReadOnlySpan [| 5L; 3L; 4L; 2L |])
        let normalization = Normalization.Of images

        for channel in 0..2 do
            let ofChannel =
                [| for index in 0 .. values.Length - 1 do
                       if index / 8 % 3 = channel then
                           float values[index] / 255.0 |]

            let mean = Array.average ofChannel
            let variance = ofChannel |> Array.averageBy (fun value -> (value - mean) ** 2.0)
            // The variance is the difference of two numbers of order one: sixteen digits, less the two of cancelling.
            let accuracy = { absolute = 1e-13; relative = 0.0 }
            Expect.floatClose accuracy normalization.Mean[channel] mean $"mean of channel {channel}"

            Expect.floatClose
                accuracy
                normalization.Deviation[channel]
                (sqrt variance)
                $"deviation of channel {channel}"

        use applied = normalization.Apply(images, torch.ScalarType.Float64)
        let numbers = (toArray applied).Elements

        let expected =
            values
            |> Array.mapi (fun index value ->
                let channel = index / 8 % 3

                (float value / 255.0 - normalization.Mean[channel])
                / normalization.Deviation[channel])

        for actual, expected in Array.zip numbers expected do
            Expect.floatClose { absolute = 1e-13; relative = 0.0 } actual expected "a pixel"

        use grey = torch.tensor (Array.create 12 51uy, ReadOnlySpan [| 3L; 1L; 2L; 2L |])
        let flat = Normalization.Of grey
        Expect.floatClose Accuracy.high flat.Mean[0] 0.2 "the mean of a constant channel"
        Expect.equal flat.Deviation[0] 1.0 "the deviation of a constant channel"

let private items =
    testCase "as a torch data set it serves normalised images one by one"
    <| fun () ->
        use data = images 6
        let item = data.GetTensor 5L
        use all = data.Normalization.Apply(data.Images, torch.ScalarType.Float32)
        Expect.equal item["data"].shape [| 1L; 8L; 8L |] "the image's shape"
        Expect.equal (bytesOf item["data"]) (bytesOf (all.select (0, 5L))) "the image"
        Expect.equal (item["label"].ToInt64()) 1L "the label"

let private permutations =
    testProperty "the order of an epoch is a permutation that follows from seed, use and position"
    <| fun (seed: int64) (NonNegativeInt position) (NonNegativeInt count) ->
        let order use' position =
            let random = new SeededRandom(seed, use', int64 position)
            List.ofArray (random.Permutation(int64 count))

        let one = order SeededRandom.Use.Order position
        Expect.equal (List.sort one) [ 0L .. int64 count - 1L ] "every number once"
        Expect.equal (order SeededRandom.Use.Order position) one "the same again"

        if count > 20 then
            Expect.notEqual (order SeededRandom.Use.Order (position + 1)) one "another position"
            Expect.notEqual (order SeededRandom.Use.Split position) one "another use"

/// Each of the 24 orders of four things is as likely: of 24,000, 1000 ± 5·√1000 of each.
let private fair =
    testCase "all orders are as likely"
    <| fun () ->
        let counts =
            [ for position in 1L .. 24000L do
                  let random = SeededRandom(7L, SeededRandom.Use.Order, position)
                  List.ofArray (random.Permutation 4L) ]
            |> List.countBy id

        Expect.hasLength counts 24 "orders"

        for order, count in counts do
            Expect.isLessThan (abs (count - 1000)) 158 $"times %A{order}"

/// The tests of this file.
let tests =
    testList
        "image data sets"
        [ testList "refusals" refusals
          cutting
          splitting
          owning
          measured
          items
          permutations
          fair ]
