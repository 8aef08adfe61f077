namespace LocalAttention.Core.Data;

/// <summary>
/// PGM and PPM files of Netpbm, binary (<c>P5</c>, <c>P6</c>) or as text (<c>P2</c>, <c>P3</c>), of any largest value.
/// </summary>
public static class PortableMapFile
{
    private const int LargestValue = ushort.MaxValue;

    internal static bool Recognises(ReadOnlySpan<byte> content) =>
        content is [(byte)'P', (byte)'2' or (byte)'3' or (byte)'5' or (byte)'6', ..];

    /// <exception cref="DataFileException">The content is damaged.</exception>
    internal static PixelImage Read(string path, byte[] content)
    {
        var kind = content[1];
        var channels = kind is (byte)'2' or (byte)'5' ? 1 : 3;
        var position = 2;
        var width = Number(path, content, ref position, "the width", int.MaxValue);
        var height = Number(path, content, ref position, "the height", int.MaxValue);
        if (ImageFile.SizeMistake(width, height) is { } mistake)
            throw new DataFileException(path, mistake);
        var largest = Number(path, content, ref position, "the largest value", LargestValue);
        if (largest < 1)
            throw new DataFileException(path, $"the largest value is {largest}; it must be from 1 to {LargestValue}");

        var samples = (long)width * height * channels;
        var asText = kind is (byte)'2' or (byte)'3';
        var left = content.Length - position - 1L;
        // As text a sample is a digit at least, and a space after all but the last.
        var needed = asText ? (2 * samples) - 1 : samples * (largest > byte.MaxValue ? 2 : 1);
        if (left < needed)
        {
            throw new DataFileException(
                path,
                $"an image of {height}×{width} with {channels} channels needs {needed:N0} bytes or more; "
                    + $"{Math.Max(0, left):N0} are left; the file is truncated or its header wrong");
        }
        var pixels = new byte[samples];
        if (asText)
            ReadText(path, content, ref position, largest, pixels);
        else
            ReadBinary(path, content, ref position, largest, pixels);
        SkipSpace(content, ref position);
        if (position < content.Length)
            throw new DataFileException(path, $"there is data after the image, at byte {position:N0}; one image is read");
        return new PixelImage(new(height, width), channels, pixels);
    }

    private static void ReadText(string path, byte[] content, ref int position, int largest, byte[] pixels)
    {
        for (var i = 0; i < pixels.Length; i++)
            pixels[i] = Scaled(Number(path, content, ref position, $"sample {i + 1}", largest), largest);
    }

    private static void ReadBinary(string path, byte[] content, ref int position, int largest, byte[] pixels)
    {
        // One space ends the header; the next byte is the first pixel's, whatever it is.
        if (!IsSpace(content[position]))
            throw new DataFileException(path, $"at byte {position:N0} stands 0x{content[position]:x2}; a space must end the header");
        position++;
        var isWide = largest > byte.MaxValue;
        for (var i = 0; i < pixels.Length; i++)
        {
            var value = isWide ? (content[position] << 8) | content[position + 1] : content[position];
            if (value > largest)
                throw new DataFileException(path, $"sample {i + 1} is {value}; the largest value is {largest}");
            pixels[i] = Scaled(value, largest);
            position += isWide ? 2 : 1;
        }
    }

    private static byte Scaled(int value, int largest) => (byte)(((value * 255) + (largest / 2)) / largest);

    /// <summary>Passes over spaces and comments, which go from <c>#</c> to the end of the line.</summary>
    private static void SkipSpace(byte[] content, ref int position)
    {
        while (position < content.Length && (IsSpace(content[position]) || content[position] == (byte)'#'))
        {
            if (content[position] == (byte)'#')
            {
                while (position < content.Length && content[position] is not ((byte)'\n' or (byte)'\r'))
                    position++;
            }
            else
            {
                position++;
            }
        }
    }

    /// <summary>The next number, behind spaces and comments.</summary>
    private static int Number(string path, byte[] content, ref int position, string what, int most)
    {
        SkipSpace(content, ref position);
        if (position == content.Length)
            throw new DataFileException(path, $"the file ends before {what}; it is truncated");
        long number = 0;
        var start = position;
        for (; position < content.Length && char.IsAsciiDigit((char)content[position]); position++)
        {
            number = (number * 10) + (content[position] - (byte)'0');
            if (number > most)
                throw new DataFileException(path, $"{what} is above {most}, the largest that is possible here");
        }
        return position > start
            ? (int)number
            : throw new DataFileException(path, $"at byte {position:N0}, in place of {what}, stands 0x{content[position]:x2}, no digit");
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (>= 9 and <= 13);
}
