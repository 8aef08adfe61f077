namespace LocalAttention.Core.Specification;

/// <summary>Height and width of an image in pixels, or of a map in tokens.</summary>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
public readonly record struct ImageSize(int Height, int Width)
{
    /// <summary>A square of the given side.</summary>
    public static ImageSize Square(int side) => new(side, side);

    /// <summary>Whether both sides are equal.</summary>
    public bool IsSquare => Height == Width;

    /// <summary>The shorter side.</summary>
    public int Shorter => Math.Min(Height, Width);

    /// <summary>Both sides divided by <paramref name="divisor"/>, rounded up: what a stride leaves of a map.</summary>
    public ImageSize DividedBy(int divisor) => new(CeilingOf(Height, divisor), CeilingOf(Width, divisor));

    /// <summary>
    /// What a convolution leaves: <c>⌊(n + 2·padding − kernel) / stride⌋ + 1</c> of each side, less than 1 where the kernel does
    /// not fit.
    /// </summary>
    public ImageSize Convolved(int kernel, int stride, int padding) =>
        new(FloorOf(Height + (2 * padding) - kernel, stride) + 1, FloorOf(Width + (2 * padding) - kernel, stride) + 1);

    /// <summary>Both sides times <paramref name="factor"/>.</summary>
    public ImageSize Times(int factor) => new(Height * factor, Width * factor);

    /// <summary>Whether both sides are multiples of <paramref name="divisor"/>.</summary>
    public bool IsMultipleOf(int divisor) => Height % divisor == 0 && Width % divisor == 0;

    /// <summary><c>224×224</c>.</summary>
    public override string ToString() => $"{Height}×{Width}";

    private static int FloorOf(int length, int divisor) => length < 0 ? -1 : length / divisor;

    private static int CeilingOf(int length, int divisor) => (length + divisor - 1) / divisor;
}

/// <summary>The shape of one image's feature map: <c>[Height, Width, Channels]</c>, tokens row by row.</summary>
/// <param name="Size">Height and width in tokens.</param>
/// <param name="Channels">Channels of a token.</param>
public readonly record struct MapShape(ImageSize Size, int Channels)
{
    /// <summary>Tokens of the map.</summary>
    public long Tokens => (long)Size.Height * Size.Width;

    /// <summary><c>56×56×64</c>.</summary>
    public override string ToString() => $"{Size}×{Channels}";
}
