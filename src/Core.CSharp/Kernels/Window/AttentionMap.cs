using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>A map of projected tokens, <c>[B, H, W, 3C]</c>, how it is divided into windows, and where heads stand in it.</summary>
/// <param name="Batch">Images.</param>
/// <param name="Rows">How the height is divided.</param>
/// <param name="Columns">How the width is divided.</param>
/// <param name="Heads">Heads, <c>h</c>.</param>
/// <param name="HeadWidth">Channels of a head, <c>d = C / h</c>.</param>
/// <param name="Order">How the <c>3C</c> channels are laid out.</param>
internal readonly record struct AttentionMap(
    long Batch, WindowAxis Rows, WindowAxis Columns, int Heads, int HeadWidth, QkvOrder Order)
{
    /// <summary>Channels, <c>C</c>.</summary>
    public int Channels => Heads * HeadWidth;

    /// <summary>Windows of an image.</summary>
    public long Windows => (long)Rows.Count * Columns.Count;

    /// <summary>Tokens of all images.</summary>
    public long Tokens => Batch * Rows.Length * Columns.Length;

    /// <summary>Tokens of the largest window, <c>L</c>.</summary>
    public int Longest => Rows.Longest * Columns.Longest;

    /// <summary>The first channel of part 0 (query), 1 (key) or 2 (value) of a head.</summary>
    public long Offset(int part, int head) => Order == QkvOrder.HeadMajor
        ? (head * 3L + part) * HeadWidth
        : (long)part * Channels + (long)head * HeadWidth;

    /// <summary>A window of an image.</summary>
    public WindowTokens WindowOf(long image, long window)
    {
        var (row, column) = ((int)(window / Columns.Count), (int)(window % Columns.Count));
        var (top, left) = (Rows.Start(row), Columns.Start(column));
        return new WindowTokens(
            (image * Rows.Length + top) * Columns.Length + left, Columns.Length,
            Rows.End(row) - top, Columns.End(column) - left);
    }
}

/// <summary>The tokens of one window.</summary>
/// <param name="First">The upper left token, counted from the batch's first.</param>
/// <param name="Stride">From a token to the one below it.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
internal readonly record struct WindowTokens(long First, int Stride, int Height, int Width)
{
    /// <summary>How many.</summary>
    public int Count => Height * Width;
}
