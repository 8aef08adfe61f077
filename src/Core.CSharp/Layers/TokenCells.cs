using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Cells that a side of a map is summed up by, which may overlap: from what cells receive to what their tokens do, each
/// cell's part spread evenly over its tokens.
/// </summary>
/// <param name="Length">Tokens of the side.</param>
/// <param name="Count">Cells along it.</param>
/// <param name="Bounds">A cell's first token, and the one behind its last.</param>
internal readonly record struct TokenCells(long Length, long Count, Func<long, (long First, long End)> Bounds)
{
    /// <summary>Patches of <paramref name="side"/> tokens; the last one holds what is left.</summary>
    public static TokenCells Patches(long length, long side) =>
        new(length, (length + side - 1) / side, cell => (cell * side, Math.Min(length, (cell + 1) * side)));

    /// <summary>The cells of adaptive average pooling: as even as they can be, overlapping where they must.</summary>
    public static TokenCells Pools(long length, long count) =>
        new(length, count, cell => (cell * length / count, (((cell + 1) * length) + count - 1) / count));

    /// <summary>From cells <c>[B, h, w]</c> to tokens <c>[B, H, W]</c>.</summary>
    public static Tensor Spread(Tensor cells, TokenCells rows, TokenCells columns) =>
        rows.Shares(cells).transpose(0, 1).matmul(cells).matmul(columns.Shares(cells));

    /// <summary>The share that each token has in each cell, <c>[cells, tokens]</c>.</summary>
    private Tensor Shares(Tensor like)
    {
        var shares = new double[Count * Length];
        for (long cell = 0; cell < Count; cell++)
        {
            var (first, end) = Bounds(cell);
            shares.AsSpan((int)((cell * Length) + first), (int)(end - first)).Fill(1.0 / (end - first));
        }
        return tensor(shares, [Count, Length], dtype: like.dtype, device: like.device);
    }
}
