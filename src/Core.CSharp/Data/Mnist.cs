using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>Data sets in MNIST's four IDX files, plain or compressed with gzip.</summary>
public static class Mnist
{
    /// <summary>The names of MNIST's own classes.</summary>
    public static ValueList<string> Digits { get; } = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    /// <summary>Reads the four files of MNIST's names; the test images are normalised like the training images.</summary>
    /// <param name="directory">
    /// The directory with <c>train-images-idx3-ubyte</c>, <c>train-labels-idx1-ubyte</c>, <c>t10k-…</c>, each with or
    /// without <c>.gz</c>.
    /// </param>
    /// <param name="classes">The names of the classes; left out: the ten digits.</param>
    /// <exception cref="DataFileException">The directory or a file is missing, truncated or of another format.</exception>
    public static (ImageDataset Training, ImageDataset Test) Load(string directory, ValueList<string>? classes = null) =>
        Load(directory, classes ?? Digits, "give the directory that holds train-images-idx3-ubyte.gz and the other three files");

    /// <summary>Reads one pair of files.</summary>
    /// <param name="imagesPath">The images.</param>
    /// <param name="labelsPath">The labels.</param>
    /// <param name="classes">The names of the classes.</param>
    /// <param name="normalization">Mean and deviation; left out: those of these images.</param>
    /// <exception cref="DataFileException">
    /// A file is missing, truncated, of another format, or the two do not belong together.
    /// </exception>
    public static ImageDataset Read(
        string imagesPath, string labelsPath, ValueList<string> classes, Normalization? normalization = null)
    {
        ArgumentNullException.ThrowIfNull(classes);
        using var images = IdxFile.Read(imagesPath, rank: 3);
        using var bytes = IdxFile.Read(labelsPath, rank: 1);
        if (images.shape[0] != bytes.shape[0])
        {
            throw new DataFileException(
                labelsPath,
                $"there are {bytes.shape[0]} labels, but {images.shape[0]} images in {imagesPath}; "
                    + "each image must have one label");
        }
        using var labels = bytes.to(torch.ScalarType.Int64);
        if (ClassLabels.FindMistake(labels, classes.Count) is { } mistake)
            throw new DataFileException(labelsPath, mistake);
        if (images.NumberOfElements == 0)
        {
            throw new DataFileException(
                imagesPath,
                $"the dimensions are [{string.Join(", ", images.shape)}]; there must be at least one pixel");
        }
        return ImageDataset.FromTensors(images, labels, classes, normalization);
    }

    internal static (ImageDataset Training, ImageDataset Test) Load(string directory, ValueList<string> classes, string remedy)
    {
        if (!Directory.Exists(directory))
            throw new DataFileException(directory, $"there is no such directory; {remedy}");
        string Find(string name) =>
            new[] { $"{name}.gz", name }.Select(file => Path.Combine(directory, file)).FirstOrDefault(File.Exists)
                ?? throw new DataFileException(Path.Combine(directory, $"{name}.gz"), $"there is no such file; {remedy}");
        var training = Read(Find("train-images-idx3-ubyte"), Find("train-labels-idx1-ubyte"), classes);
        var test = Read(Find("t10k-images-idx3-ubyte"), Find("t10k-labels-idx1-ubyte"), classes, training.Normalization);
        return (training, test);
    }
}
