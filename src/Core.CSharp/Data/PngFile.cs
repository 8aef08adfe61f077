using System.Buffers.Binary;
using System.IO.Compression;
using LocalAttention.Core.Checkpoints;

namespace LocalAttention.Core.Data;

/// <summary>
/// PNG files: reads every colour type, bit depth and interlacing of the specification (third edition), writes 8 bits a
/// channel. Colour profiles and gamma are left out of account, as they are where models are trained.
/// </summary>
/// <remarks>
/// Written here because .NET has no image library of its own and this project takes in none; inflating is the runtime's.
/// </remarks>
public static class PngFile
{
    // The format that deflate compresses best shrinks 1032-fold; a header that promises more is wrong.
    private const long LargestCompression = 1032;

    /// <summary>Writes an image; the file appears whole or not at all.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="image">The image.</param>
    /// <exception cref="DataFileException">The file cannot be written; an existing one is unchanged.</exception>
    public static void Write(string path, PixelImage image)
    {
        ArgumentNullException.ThrowIfNull(path);
        var content = ToBytes(image);
        try
        {
            AtomicFile.Write(path, content.Length, stream => stream.Write(content));
        }
        catch (CheckpointException error)
        {
            throw new DataFileException(path, error.Mistake, error);
        }
    }

    /// <summary>The bytes of an image's file.</summary>
    public static byte[] ToBytes(PixelImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        using var file = new MemoryStream();
        file.Write(PngChunks.Signature);
        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Size.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], image.Size.Height);
        header[8] = 8;
        header[9] = (byte)ColourOf(image.Channels);
        PngChunks.Write(file, "IHDR", header);
        PngChunks.Write(file, "IDAT", Compress(image));
        PngChunks.Write(file, "IEND", []);
        return file.ToArray();
    }

    internal static bool Recognises(ReadOnlySpan<byte> content) => content.StartsWith(PngChunks.Signature);

    /// <exception cref="DataFileException">The content is damaged.</exception>
    internal static PixelImage Read(string path, byte[] content)
    {
        var chunks = PngChunks.Read(path, content);
        var header = PngHeader.Read(path, content.AsSpan(chunks.Header));
        if (header.RawLength > chunks.DataLength * LargestCompression)
        {
            throw new DataFileException(
                path,
                $"an image of {header.Height}×{header.Width} has {header.RawLength:N0} bytes before compression; "
                    + $"{chunks.DataLength:N0} compressed ones cannot hold more than {chunks.DataLength * LargestCompression:N0}; "
                    + "the file is truncated or its header wrong");
        }
        var palette = PngPalette.Read(path, header, content, chunks);
        try
        {
            using var packed = new MemoryStream(chunks.JoinData(content), writable: false);
            using var stream = new ZLibStream(packed, CompressionMode.Decompress);
            var image = ReadRows(path, stream, header, palette);
            return stream.ReadByte() < 0
                ? image
                : throw new DataFileException(
                    path, $"there is compressed data after the {header.RawLength:N0} bytes that the header promises");
        }
        catch (InvalidDataException error)
        {
            throw new DataFileException(path, $"the compressed data is damaged or truncated: {error.Message}", error);
        }
    }

    private static PixelImage ReadRows(string path, Stream stream, PngHeader header, PngPalette palette)
    {
        var channels = palette.Channels;
        var pixels = new byte[(long)header.Height * header.Width * channels];
        foreach (var pass in header.Passes)
        {
            var columns = pass.Columns(header.Width);
            var (row, above) = (new byte[header.RowLength(columns)], new byte[header.RowLength(columns)]);
            for (var y = pass.Y; y < header.Height; y += pass.StepY)
            {
                var filter = stream.ReadByte();
                if (filter < 0 || stream.ReadAtLeast(row, row.Length, throwOnEndOfStream: false) < row.Length)
                    throw new DataFileException(path, $"the compressed data ends inside row {y + 1} of {header.Height}");
                if (filter >= PngScanline.Filters)
                {
                    throw new DataFileException(
                        path, $"the filter of row {y + 1} is {filter}; filters go from 0 to {PngScanline.Filters - 1}");
                }
                PngScanline.Undo(filter, row, above, header.FilterDistance);
                for (var column = 0; column < columns; column++)
                {
                    var x = pass.X + (column * pass.StepX);
                    palette.Paint(path, row, column, pixels.AsSpan(((y * header.Width) + x) * channels, channels));
                }
                (row, above) = (above, row);
            }
        }
        return new PixelImage(new(header.Height, header.Width), channels, pixels);
    }

    private static byte[] Compress(PixelImage image)
    {
        using var packed = new MemoryStream();
        using (var stream = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            var length = image.Size.Width * image.Channels;
            var row = new byte[1 + length];
            for (var y = 0; y < image.Size.Height; y++)
            {
                var pixels = image.Pixels.Span.Slice(y * length, length);
                // The difference to the pixel on the left: small numbers wherever a picture is smooth.
                row[0] = 1;
                for (var i = 0; i < length; i++)
                    row[i + 1] = (byte)(pixels[i] - (i < image.Channels ? 0 : pixels[i - image.Channels]));
                stream.Write(row);
            }
        }
        return packed.ToArray();
    }

    private static PngColour ColourOf(int channels) => channels switch
    {
        1 => PngColour.Grey,
        2 => PngColour.GreyAndOpacity,
        3 => PngColour.Colours,
        _ => PngColour.ColoursAndOpacity,
    };
}
