namespace LocalAttention.Dsl

open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open TorchSharp

/// Images to learn from, and images to be tested on.
[<NoComparison; NoEquality>]
type Examples =
    {
        /// The images to learn from.
        Training: ImageDataset
        /// The images to be tested on, never learned from.
        Test: ImageDataset
    }

/// Sets of labelled images.
[<AutoOpen>]
module Datasets =
    /// <summary>Fashion-MNIST where Debian's package <c>dataset-fashion-mnist</c> puts it.</summary>
    /// <example><code lang="fsharp">let fashion = fashionMnist ()</code></example>
    let fashionMnist () : Examples =
        let struct (training, test) = FashionMnist.Load()
        { Training = training; Test = test }

    /// Four IDX files of MNIST's names in a directory, with the names of their classes.
    let mnist (classes: string list) (directory: string) : Examples =
        let struct (training, test) = Mnist.Load(directory, ValueList.From classes)
        { Training = training; Test = test }

    /// <summary>One's own images: <c>[channels, height, width]</c> of bytes each, with the number of its class.</summary>
    /// <param name="classes">The names of the classes.</param>
    /// <param name="images">The images, all of one size, each with the position of its class in <c>classes</c>.</param>
    /// <exception cref="T:System.ArgumentException">There is no image, one has another size than the first, or a label is no class.</exception>
    /// <example><code lang="fsharp">
    /// let stripes = labelled [ "dark"; "light" ] [ for i in 0..99 -> Array3D.create 1 16 16 (byte (i % 2 * 255)), i % 2 ]
    /// </code></example>
    let labelled (classes: string list) (images: (byte[,,] * int) seq) : ImageDataset =
        let images = Array.ofSeq images

        let size (pixels: byte[,,]) =
            Array3D.length1 pixels, Array3D.length2 pixels, Array3D.length3 pixels

        if images.Length = 0 then
            invalidArg (nameof images) "there is no image; give at least one"

        let channels, height, width = size (fst images[0])

        for index, (pixels, _) in Array.indexed images do
            if size pixels <> (channels, height, width) then
                invalidArg
                    (nameof images)
                    $"image {index} has size {size pixels}; it must have that of the first, {(channels, height, width)}"

        use scope = torch.NewDisposeScope()

        let bytes =
            [| for pixels, _ in images do
                   yield! Seq.cast<byte> pixels |]

        let pixels = torch.tensor (bytes, dtype = torch.ScalarType.Byte)
        let labels = [| for _, label in images -> int64 label |]

        ImageDataset.FromTensors(
            pixels.reshape (int64 images.Length, int64 channels, int64 height, int64 width),
            torch.tensor (labels, dtype = torch.ScalarType.Int64),
            classes
        )

    /// <summary>Divides images at random into those to learn from, a fraction of all, and those to be tested on.</summary>
    /// <example><code lang="fsharp">stripes |> split 0.8</code></example>
    let split (fraction: float) (images: ImageDataset) : Examples =
        let struct (training, test) = images.Split fraction
        { Training = training; Test = test }

    /// The first images of each kind only: <c>fashion |> firstOf 2000 500</c>.
    let firstOf (training: int) (test: int) (examples: Examples) : Examples =
        { Training = examples.Training.Take(int64 training)
          Test = examples.Test.Take(int64 test) }
