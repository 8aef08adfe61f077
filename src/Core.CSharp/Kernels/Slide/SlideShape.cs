using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The sizes of one Slide Attention over a projected map <c>[B, H, W, h, 3, d]</c>, and how its kernels divide them.
/// </summary>
/// <param name="Batch">Images, <c>B</c>.</param>
/// <param name="Height">Rows of the map, <c>H</c>.</param>
/// <param name="Width">Columns of the map, <c>W</c>.</param>
/// <param name="Heads">Heads, <c>h</c>.</param>
/// <param name="Depth">Channels of a head, <c>d</c>.</param>
/// <param name="Window">Side of the window, <c>k</c>, odd.</param>
/// <param name="Padding">What stands outside the map.</param>
/// <param name="Lanes">Lanes of a vector; channels are worked on in chunks of as many.</param>
internal readonly record struct SlideShape(
    int Batch, int Height, int Width, int Heads, int Depth, int Window, EdgePadding Padding, int Lanes)
{
    /// <summary>
    /// Tokens of a row whose scores are kept at a time: a constant, so that the scores of all samples of a token stand at
    /// constant distances.
    /// </summary>
    public const int Segment = 64;

    /// <summary>Tokens that a kernel takes at a time; rows are padded to a multiple of it.</summary>
    public const int Group = 4;

    /// <summary><c>r</c>, tokens of the window on each side of its middle.</summary>
    public int Radius { get; } = Window / 2;

    /// <summary><c>k²</c>.</summary>
    public int Area { get; } = Window * Window;

    /// <summary>
    /// Samples whose sums are in registers at a time: nine of two tokens, or five of four, so that each load feeds two
    /// operations or more.
    /// </summary>
    public int Block { get; } = BlockOf(Window);

    /// <summary>Samples, padded to whole blocks.</summary>
    public int PaddedArea { get; } = RoundUp(Window * Window, BlockOf(Window));

    /// <summary>Chunks of channels, the last one padded.</summary>
    public int Chunks { get; } = (Depth + Lanes - 1) / Lanes;

    /// <summary>Columns of a staged row of queries or outputs.</summary>
    public int PaddedWidth { get; } = RoundUp(Width, Group);

    /// <summary>Columns of a staged row of keys or values: with the window's reach on both sides.</summary>
    public int Columns { get; } = RoundUp(Width, Group) + Window - 1;

    /// <summary>Elements of a staged row of queries or outputs: <c>[chunks, PaddedWidth, lanes]</c>.</summary>
    public int RowSize => Chunks * PaddedWidth * Lanes;

    /// <summary>Elements of a staged row of keys or values: <c>[chunks, Columns, lanes]</c>.</summary>
    public int ExtendedRowSize => Chunks * Columns * Lanes;

    /// <summary>Elements from one token of the projected map to the next.</summary>
    public int TokenStride => 3 * Heads * Depth;

    /// <summary>Where a head's queries (part 0), keys (1) or values (2) of a token begin in the projected map.</summary>
    public long ProjectedAt(long image, int row, int column, int head, int part) =>
        ((((image * Height) + row) * Width) + column) * TokenStride + (((head * 3) + part) * Depth);

    /// <summary>Where a head's outputs of a token begin in the output <c>[B, H, W, h, d]</c>.</summary>
    public long OutputAt(long image, int row, int column, int head) =>
        (((((image * Height) + row) * Width) + column) * Heads + head) * Depth;

    /// <summary>Where the attention of a row begins in <c>[B, h, H, k², W]</c>.</summary>
    public long AttentionAt(long image, int row, int head) => ((((image * Heads) + head) * Height) + row) * Area * Width;

    /// <summary>The row or column that stands at a place of the extended map; −1 for zeros.</summary>
    /// <param name="position">The place, from <c>−r</c> to <c>length − 1 + r</c>.</param>
    /// <param name="length">Rows or columns of the map.</param>
    public int Resolve(int position, int length) =>
        (uint)position < (uint)length ? position
        : Padding switch
        {
            EdgePadding.Circular => ((position % length) + length) % length,
            EdgePadding.Reflect => position < 0 ? -position : (2 * (length - 1)) - position,
            EdgePadding.Replicate => position < 0 ? 0 : length - 1,
            _ => -1,
        };

    /// <summary>The next multiple.</summary>
    public static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    private static int BlockOf(int window) => window == 3 ? 9 : 5;
}
