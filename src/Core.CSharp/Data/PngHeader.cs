using System.Buffers.Binary;

namespace LocalAttention.Core.Data;

/// <summary>How the pixels of a PNG file are laid out: its chunk <c>IHDR</c>.</summary>
/// <param name="Width">Pixels of a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Depth">Bits of a sample.</param>
/// <param name="Colour">What the samples of a pixel are.</param>
/// <param name="Interlaced">Whether the pixels come in the seven passes of Adam7.</param>
internal readonly record struct PngHeader(int Width, int Height, int Depth, PngColour Colour, bool Interlaced)
{
    private const int Length = 13;

    private static readonly PngPass[] Adam7 =
    [
        new(0, 0, 8, 8), new(4, 0, 8, 8), new(0, 4, 4, 8), new(2, 0, 4, 4), new(0, 2, 2, 4), new(1, 0, 2, 2), new(0, 1, 1, 2),
    ];

    /// <summary>Samples of a pixel.</summary>
    public int Samples => Colour switch
    {
        PngColour.Grey or PngColour.Palette => 1,
        PngColour.GreyAndOpacity => 2,
        PngColour.Colours => 3,
        _ => 4,
    };

    /// <summary>The distance of a byte from that of the pixel before it, as filters see it.</summary>
    public int FilterDistance => Math.Max(1, Samples * Depth / 8);

    /// <summary>The passes that have pixels, in order.</summary>
    public IEnumerable<PngPass> Passes
    {
        get
        {
            if (!Interlaced)
                return [new PngPass(0, 0, 1, 1)];
            var (width, height) = (Width, Height);
            return Adam7.Where(pass => pass.Columns(width) > 0 && pass.Rows(height) > 0);
        }
    }

    /// <summary>Bytes of all rows with their filters' numbers, before they are compressed.</summary>
    public long RawLength
    {
        get
        {
            long length = 0;
            foreach (var pass in Passes)
                length += pass.Rows(Height) * (1 + RowLength(pass.Columns(Width)));
            return length;
        }
    }

    /// <summary>Bytes of a row of some pixels, without its filter's number.</summary>
    public long RowLength(int columns) => (((long)columns * Samples * Depth) + 7) / 8;

    /// <exception cref="DataFileException">A number is none that the format has, or the image is too large.</exception>
    public static PngHeader Read(string path, ReadOnlySpan<byte> chunk)
    {
        if (chunk.Length != Length)
            throw new DataFileException(path, $"the chunk IHDR has {chunk.Length} bytes; it must have {Length}");
        var (width, height) = (BinaryPrimitives.ReadUInt32BigEndian(chunk), BinaryPrimitives.ReadUInt32BigEndian(chunk[4..]));
        if (ImageFile.SizeMistake(width, height) is { } mistake)
            throw new DataFileException(path, mistake);
        var (depth, colour) = (chunk[8], (PngColour)chunk[9]);
        var depths = DepthsOf(colour);
        if (!depths.Contains(depth))
        {
            throw new DataFileException(
                path,
                depths.Length == 0
                    ? $"the colour type is {chunk[9]}; it must be 0, 2, 3, 4 or 6"
                    : $"the bit depth is {depth}; with colour type {chunk[9]} it must be {string.Join(", ", depths)}");
        }
        if (chunk[10] != 0 || chunk[11] != 0 || chunk[12] > 1)
        {
            throw new DataFileException(
                path,
                $"the methods of compression, filtering and interlacing are {chunk[10]}, {chunk[11]} and {chunk[12]}; "
                    + "they must be 0, 0, and 0 or 1");
        }
        return new PngHeader((int)width, (int)height, depth, colour, chunk[12] == 1);
    }

    private static int[] DepthsOf(PngColour colour) => colour switch
    {
        PngColour.Grey => [1, 2, 4, 8, 16],
        PngColour.Palette => [1, 2, 4, 8],
        PngColour.Colours or PngColour.GreyAndOpacity or PngColour.ColoursAndOpacity => [8, 16],
        _ => [],
    };
}

/// <summary>What the samples of a pixel are, with the format's numbers.</summary>
internal enum PngColour
{
    /// <summary>A grey.</summary>
    Grey = 0,

    /// <summary>Red, green, blue.</summary>
    Colours = 2,

    /// <summary>A place in the palette.</summary>
    Palette = 3,

    /// <summary>A grey and an opacity.</summary>
    GreyAndOpacity = 4,

    /// <summary>Red, green, blue and an opacity.</summary>
    ColoursAndOpacity = 6,
}

/// <summary>The pixels that one pass brings: every <paramref name="StepX"/>-th of every <paramref name="StepY"/>-th row.</summary>
/// <param name="X">The first column.</param>
/// <param name="Y">The first row.</param>
/// <param name="StepX">Columns from one to the next.</param>
/// <param name="StepY">Rows from one to the next.</param>
internal readonly record struct PngPass(int X, int Y, int StepX, int StepY)
{
    /// <summary>Pixels of a row of the pass.</summary>
    public int Columns(int width) => (width - X + StepX - 1) / StepX;

    /// <summary>Rows of the pass.</summary>
    public int Rows(int height) => (height - Y + StepY - 1) / StepY;
}
