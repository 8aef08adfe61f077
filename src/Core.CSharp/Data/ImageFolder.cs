using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>
/// Labelled images in folders: <c>train/CLASS/*.png</c> and <c>test/CLASS/*.png</c>, the names of the folders being those of
/// the classes. Images of all sizes are brought to one: see <see cref="PixelImage.Fit"/>.
/// </summary>
public static class ImageFolder
{
    /// <summary>Reads both sets; the test images are normalised like the training images.</summary>
    /// <param name="directory">The directory with <c>train</c> and <c>test</c>.</param>
    /// <param name="size">The size that all images get.</param>
    /// <param name="channels">1: grey; 3: red, green, blue.</param>
    /// <param name="training">The most images to learn from; left out: all.</param>
    /// <param name="test">The most images to be tested on; left out: all.</param>
    /// <exception cref="DataFileException">A directory or an image is missing, damaged or of another format.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The channels or a limit are not possible.</exception>
    public static (ImageDataset Training, ImageDataset Test) Load(
        string directory, ImageSize size, int channels = 3, long? training = null, long? test = null)
    {
        var root = Existing(directory, "give the directory that holds train and test");
        var folder = Existing(Path.Combine(root, "train"), "it must hold a folder of training images for each class");
        var classes = ValueList.From(Subfolders(folder));
        if (classes.Count == 0)
            throw new DataFileException(folder, "there is no folder in it; it must hold one for each class");
        var learned = Read(folder, classes, size, channels, training);
        try
        {
            var tests = Existing(Path.Combine(root, "test"), "it must hold a folder of test images for each class");
            return (learned, Read(tests, classes, size, channels, test, learned.Normalization));
        }
        catch
        {
            learned.Dispose();
            throw;
        }
    }

    /// <summary>Reads one set.</summary>
    /// <param name="directory">The directory with a folder for each class; a class without a folder has no images.</param>
    /// <param name="classes">The names of the classes.</param>
    /// <param name="size">The size that all images get.</param>
    /// <param name="channels">1: grey; 3: red, green, blue.</param>
    /// <param name="limit">The most images, taken from the classes in turn; left out: all.</param>
    /// <param name="normalization">Mean and deviation; left out: those of these images.</param>
    /// <returns>
    /// The images by the order of their names, from the classes in turn, so that the first ones are of all classes.
    /// </returns>
    /// <exception cref="DataFileException">
    /// There is a folder of no class, no image, or one that is damaged or of another format.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The channels or the limit are not possible.</exception>
    public static ImageDataset Read(
        string directory,
        ValueList<string> classes,
        ImageSize size,
        int channels = 3,
        long? limit = null,
        Normalization? normalization = null)
    {
        ArgumentNullException.ThrowIfNull(classes);
        if (channels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(channels), channels, "images have 1 channel or 3");
        if (limit < 1)
            throw new ArgumentOutOfRangeException(nameof(limit), limit, "at least one image must be taken");
        Existing(directory, "it must hold a folder of images for each class");
        if (Subfolders(directory).FirstOrDefault(name => !classes.Contains(name)) is { } unknown)
        {
            throw new DataFileException(
                Path.Combine(directory, unknown),
                $"this folder is of no class; the classes are {string.Join(", ", classes)}");
        }
        var files = InTurn(classes.Select(name => FilesOf(Path.Combine(directory, name))).ToList());
        if (files.Count == 0)
        {
            throw new DataFileException(
                directory, $"there is no image in the folders of its classes; put {string.Join(", ", ImageFile.Extensions)} there");
        }
        return Read(directory, files[..(int)Math.Min(files.Count, limit ?? files.Count)], classes, size, channels, normalization);
    }

    private static ImageDataset Read(
        string directory,
        List<(string Path, int Class)> files,
        ValueList<string> classes,
        ImageSize size,
        int channels,
        Normalization? normalization)
    {
        var bytes = (Int128)files.Count * channels * size.Height * size.Width;
        if (bytes > int.MaxValue)
        {
            throw new DataFileException(
                directory,
                $"{files.Count:N0} images of {size} with {channels} channels take {bytes:N0} bytes; at most {int.MaxValue:N0} "
                    + "are held in memory; take fewer images or a smaller size");
        }
        using var scope = torch.NewDisposeScope();
        var images = torch.empty([files.Count, channels, size.Height, size.Width], dtype: torch.ScalarType.Byte);
        for (var index = 0; index < files.Count; index++)
        {
            using var inner = torch.NewDisposeScope();
            images[index].copy_(ImageFile.Read(files[index].Path).WithChannels(channels).Fit(size).ToTensor());
        }
        var labels = torch.tensor(files.Select(file => (long)file.Class).ToArray());
        return ImageDataset.FromTensors(images, labels, classes, normalization);
    }

    /// <summary>The first of each class, then the second of each, and so on.</summary>
    private static List<(string Path, int Class)> InTurn(List<List<string>> byClass)
    {
        var longest = byClass.Count == 0 ? 0 : byClass.Max(files => files.Count);
        return
        [
            .. from place in Enumerable.Range(0, longest)
               from index in Enumerable.Range(0, byClass.Count)
               where place < byClass[index].Count
               select (byClass[index][place], index),
        ];
    }

    private static List<string> FilesOf(string folder)
    {
        if (!Directory.Exists(folder))
            return [];
        var files = Listed(folder, () => Directory.EnumerateFileSystemEntries(folder));
        // What is no image is named, not passed over: a folder of photographs in another format must not look empty.
        var other = files.Find(
            file => Directory.Exists(file) || !ImageFile.Extensions.Contains(Path.GetExtension(file).ToLowerInvariant()));
        return other is null
            ? files
            : throw new DataFileException(
                other, $"a class's folder holds images alone, {string.Join(", ", ImageFile.Extensions)}; convert or remove this");
    }

    private static List<string> Subfolders(string directory) =>
        Listed(directory, () => Directory.EnumerateDirectories(directory)).ConvertAll(path => Path.GetFileName(path)!);

    /// <summary>By name, without hidden ones.</summary>
    private static List<string> Listed(string directory, Func<IEnumerable<string>> entries)
    {
        try
        {
            return
            [
                .. entries()
                    .Where(path => !Path.GetFileName(path).StartsWith('.'))
                    .Order(StringComparer.Ordinal),
            ];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DataFileException(directory, $"the directory cannot be read: {error.Message}", error);
        }
    }

    private static string Existing(string directory, string remedy)
    {
        ArgumentNullException.ThrowIfNull(directory);
        return Directory.Exists(directory)
            ? directory
            : throw new DataFileException(directory, $"there is no such directory; {remedy}");
    }
}
