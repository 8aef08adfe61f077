namespace LocalAttention.Core.Kernels.QnA;

/// <summary>The sizes of one aggregation over a projected map <c>[B, H, W, scores and values]</c>.</summary>
/// <param name="Batch">Images, <c>B</c>.</param>
/// <param name="Height">Rows of the map, <c>H</c>.</param>
/// <param name="Width">Columns of the map, <c>W</c>.</param>
/// <param name="Side">Side of the window, <c>k</c>.</param>
/// <param name="Stride">Step between windows.</param>
/// <param name="Padding">How far the first window reaches over the map's edge.</param>
/// <param name="Upsampling">Side of the square of outputs that the sets of a window make.</param>
/// <param name="Lanes">Lanes of a vector.</param>
/// <param name="Columns">Columns of scores, of all sets.</param>
/// <param name="SetColumns">Columns of one set.</param>
/// <param name="Depth">Channels of values.</param>
/// <param name="Period">Heads of a channel, padded.</param>
internal readonly record struct QnAShape(
    int Batch, int Height, int Width, int Side, int Stride, int Padding, int Upsampling,
    int Lanes, int Columns, int SetColumns, int Depth, int Period)
{
    /// <summary>Neighbouring windows whose sums are in registers at a time.</summary>
    public const int Tile = 8;

    /// <summary>Rows of windows along the map.</summary>
    public int OutputHeight { get; } = ((Height + (2 * Padding) - Side) / Stride) + 1;

    /// <summary>Columns of windows along the map.</summary>
    public int OutputWidth { get; } = ((Width + (2 * Padding) - Side) / Stride) + 1;

    /// <summary><c>k²</c>.</summary>
    public int Area => Side * Side;

    /// <summary>Vectors of a position's scores.</summary>
    public int Blocks => Columns / Lanes;

    /// <summary>Sets of queries.</summary>
    public int Sets => Upsampling * Upsampling;

    /// <summary>Elements of a token's values.</summary>
    public int ValueWidth => Depth * Period;

    /// <summary>Elements of a projected token.</summary>
    public int TokenWidth => Columns + ValueWidth;

    /// <summary>The set that a vector of scores belongs to.</summary>
    public int SetOf(int block) => block * Lanes / SetColumns;

    /// <summary>The first of the heads that a vector of scores belongs to.</summary>
    public int HeadOf(int block) => block * Lanes % SetColumns % Period;

    /// <summary>Columns of windows, padded to whole tiles.</summary>
    public int PaddedWidth => (OutputWidth + Tile - 1) / Tile * Tile;

    /// <summary>The projected token at a place of the map.</summary>
    public long Token(int image, int row, int column) => (((((long)image * Height) + row) * Width) + column) * TokenWidth;

    /// <summary>Where the output of a set of a window stands.</summary>
    public long Output(int image, int row, int column, int set)
    {
        var (down, right) = Math.DivRem(set, Upsampling);
        var line = (((long)image * OutputHeight) + row) * Upsampling + down;
        return (((line * OutputWidth) + column) * Upsampling + right) * ValueWidth;
    }

    /// <summary>Elements from a window's output to that of the window beside it, of the same set.</summary>
    public int OutputStep => Upsampling * ValueWidth;

    /// <summary>Where what is kept of a window begins: a number for each column of scores.</summary>
    public long Window(int image, int row, int column) => (((((long)image * OutputHeight) + row) * OutputWidth) + column) * Columns;
}
