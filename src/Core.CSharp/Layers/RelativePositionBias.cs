using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Swin's bias for each pair of a window's tokens, by their true offset (arXiv 2103.14030, section 3.2):
/// <c>bias[n, (y,x), (y',x')] = table[(y − y' + w − 1) · (2w − 1) + (x − x' + w − 1), n]</c>.
/// </summary>
internal static class RelativePositionBias
{
    /// <summary>The bias of all pairs.</summary>
    /// <param name="table">One row for each offset of a window of <paramref name="window"/>: <c>[(2w−1)², h]</c>.</param>
    /// <param name="window">The window that the table was made for, <c>w</c>.</param>
    /// <param name="height">Rows of the window in use, at most <paramref name="window"/>.</param>
    /// <param name="width">Columns of the window in use, at most <paramref name="window"/>.</param>
    /// <returns><c>[h, height·width, height·width]</c>.</returns>
    /// <remarks>
    /// The offsets <c>y − y'</c> of a fixed <c>y</c>, with <c>y'</c> running backwards, are a run of the table, so all
    /// pairs are the table's sliding windows: no index is needed, and the gradient is a plain sum.
    /// </remarks>
    public static Tensor Of(Tensor table, int window, long height, long width)
    {
        var offsets = (2L * window) - 1;
        return table.view(offsets, offsets, -1)
            .narrow(0, window - height, (2 * height) - 1)
            .narrow(1, window - width, (2 * width) - 1)
            .unfold(0, height, 1)
            .unfold(1, width, 1)
            .flip(3, 4)
            .permute(2, 0, 1, 3, 4)
            .reshape(-1, height * width, height * width);
    }
}
