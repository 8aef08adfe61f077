using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Overlapping windows over a map: side <paramref name="Side"/>, one at every <paramref name="Stride"/>-th token, the
/// map extended by <paramref name="Padding"/> positions of zeros.
/// </summary>
internal readonly record struct WindowGrid(int Side, int Stride, int Padding)
{
    /// <summary>Positions of a window.</summary>
    public long Area => (long)Side * Side;

    /// <summary>Windows along a side of <paramref name="length"/> tokens.</summary>
    public long CountAlong(long length) => ((length + (2 * Padding) - Side) / Stride) + 1;

    /// <summary>
    /// Every window of a map <c>[B, C, H, W]</c>, zeros outside it: <c>[B, C, k², L]</c>, windows and positions row by row.
    /// </summary>
    public Tensor Unfold(Tensor map) =>
        nn.functional.unfold(map, Side, padding: Padding, stride: Stride).view(map.size(0), map.size(1), Area, -1);

    /// <summary>0 at window positions inside the map and −∞ at those outside: <c>[k², L]</c>.</summary>
    public Tensor OutsideBias(long height, long width, Tensor like)
    {
        var inside = Unfold(ones(1, 1, height, width, dtype: like.dtype, device: like.device)).squeeze(0).squeeze(0);
        return zeros_like(inside).masked_fill(inside.eq(0), float.NegativeInfinity);
    }
}
