using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Overlapping windows over a map: side <paramref name="Side"/>, one at every <paramref name="Stride"/>-th token, on a map
/// that is extended by <paramref name="Padding"/> tokens on each side.
/// </summary>
internal readonly record struct WindowGrid(int Side, int Stride, int Padding)
{
    /// <summary>Positions of a window.</summary>
    public long Area => (long)Side * Side;

    /// <summary>Windows along a side of <paramref name="length"/> tokens.</summary>
    public long CountAlong(long length) => ((length + (2 * Padding) - Side) / Stride) + 1;

    /// <summary>A map <c>[B, H, W, C]</c> extended by a constant.</summary>
    public Tensor Extend(Tensor map, double value = 0) =>
        Padding == 0 ? map : nn.functional.pad(map, [0, 0, Padding, Padding, Padding, Padding], value: value);

    /// <summary>
    /// For each position of the window, row by row, the token that every window has there: <c>k²</c> views
    /// <c>[B, H', W', …]</c> of an extended map <c>[B, H + 2·padding, W + 2·padding, …]</c>.
    /// </summary>
    public IEnumerable<Tensor> Neighbours(Tensor extended)
    {
        var rows = ((extended.size(1) - Side) / Stride) * Stride;
        var columns = ((extended.size(2) - Side) / Stride) * Stride;
        for (var y = 0; y < Side; y++)
        {
            var row = extended.slice(1, y, y + rows + 1, Stride);
            for (var x = 0; x < Side; x++)
            {
                yield return row.slice(2, x, x + columns + 1, Stride);
            }
        }
    }

    /// <summary>
    /// What each place of an extended map receives from the windows that hold it: the sum of what each of them gives to the
    /// token at that place, <c>[B, H + 2·padding, W + 2·padding]</c>.
    /// </summary>
    /// <param name="given">For each position of the window, row by row, <c>[B, H', W']</c>: <c>[k², B, H', W']</c>.</param>
    /// <param name="height">Rows before extending.</param>
    /// <param name="width">Columns before extending.</param>
    public Tensor Gather(Tensor given, long height, long width)
    {
        var received = zeros(
            [given.size(1), height + (2 * Padding), width + (2 * Padding)], dtype: given.dtype, device: given.device);
        foreach (var (position, neighbour) in Neighbours(received).Index())
        {
            neighbour.add_(given[position]);
        }
        return received;
    }
}
