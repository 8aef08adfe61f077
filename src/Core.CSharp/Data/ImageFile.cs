namespace LocalAttention.Core.Data;

/// <summary>Image files, told apart by their first bytes: PNG, and PPM and PGM, binary or as text.</summary>
/// <remarks>
/// Files are not trusted. Nothing is allocated for pixels before the declared size is compared with what a file of this
/// length can hold, so that memory stays within 32 bytes for each byte that the file's data can unpack to, and deflate
/// unpacks a byte to 1032 at most.
/// </remarks>
public static class ImageFile
{
    /// <summary>The most bytes that a file may have: 1 GiB.</summary>
    public const long LargestFile = 1L << 30;

    /// <summary>The endings of names that <see cref="Read(string)"/> reads, in lower case.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".png", ".ppm", ".pgm", ".pnm"];

    /// <summary>Reads an image.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="DataFileException">The file is missing, damaged, too large or of another format.</exception>
    public static PixelImage Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Read(path, ReadBytes(path));
    }

    /// <summary>Reads an image from the bytes of a file.</summary>
    /// <param name="path">The file's name, for messages.</param>
    /// <param name="content">All of the file.</param>
    /// <exception cref="DataFileException">The content is damaged, too large or of another format.</exception>
    public static PixelImage Read(string path, byte[] content)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(content);
        if (PngFile.Recognises(content))
            return PngFile.Read(path, content);
        if (PortableMapFile.Recognises(content))
            return PortableMapFile.Read(path, content);
        var start = content.Length == 0
            ? "the file is empty"
            : $"the file begins with 0x{Convert.ToHexString(content.AsSpan(0, Math.Min(4, content.Length)))}";
        throw new DataFileException(
            path,
            $"{start}; PNG begins with 0x89504E47, PGM and PPM with P2, P3, P5 or P6; convert the image to one of these");
    }

    /// <summary>The error that an image cannot be as large as it says; none: it can.</summary>
    internal static string? SizeMistake(long width, long height)
    {
        if (width < 1 || height < 1)
            return $"the image is {height}×{width}; each side must be at least 1";
        return (Int128)width * height > PixelImage.LargestPixels
            ? $"the image is {height}×{width}; at most {PixelImage.LargestPixels:N0} pixels are read"
            : null;
    }

    private static byte[] ReadBytes(string path)
    {
        if (Directory.Exists(path))
            throw new DataFileException(path, "this is a directory; name an image in it");
        if (!File.Exists(path))
            throw new DataFileException(path, "there is no such file");
        try
        {
            using var file = File.OpenRead(path);
            if (!file.CanSeek)
                throw new DataFileException(path, "this is no regular file; copy it to one first");
            if (file.Length > LargestFile)
            {
                throw new DataFileException(
                    path, $"the file has {file.Length:N0} bytes; images of at most {LargestFile:N0} bytes are read");
            }
            var content = new byte[file.Length];
            file.ReadExactly(content);
            return content;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DataFileException(path, $"the file cannot be read: {error.Message}", error);
        }
    }
}
