using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Data;

/// <summary>
/// Fashion-MNIST (arXiv 1708.07747): 60,000 training and 10,000 test images of clothes, 28×28 grey pixels, ten classes.
/// </summary>
public static class FashionMnist
{
    /// <summary>Where Debian's package <c>dataset-fashion-mnist</c> puts the files.</summary>
    public const string DebianDirectory = "/usr/share/datasets/fashion-mnist";

    /// <summary>The names of the classes.</summary>
    public static ValueList<string> Classes { get; } =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    /// <summary>Reads both sets; the test images are normalised like the training images.</summary>
    /// <param name="directory">Where the files are; left out: <see cref="DebianDirectory"/>.</param>
    /// <exception cref="DataFileException">The directory or a file is missing, truncated or of another format.</exception>
    public static (ImageDataset Training, ImageDataset Test) Load(string? directory = null) =>
        Mnist.Load(
            directory ?? DebianDirectory,
            Classes,
            "install the Debian package dataset-fashion-mnist, or give the directory that holds "
                + "train-images-idx3-ubyte.gz and the other three files");
}
