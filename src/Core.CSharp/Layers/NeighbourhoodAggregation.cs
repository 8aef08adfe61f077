using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>The core of neighbourhood attention in standard operators; it keeps <c>k²·C</c> numbers for each token.</summary>
internal static class NeighbourhoodAggregation
{
    /// <summary>Attends: <c>softmax(q·kᵀ/√d + rpb) · v</c> over each token's window.</summary>
    /// <param name="projected">All queries, all keys, all values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="window">Side of the window, <c>k</c>.</param>
    /// <param name="dilation">Step between the tokens of a window.</param>
    /// <param name="rpb">A bias for each head and offset, <c>[h, 2k − 1, 2k − 1]</c>, or none.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor Attend(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        var (weights, values) = Weights(projected, heads, window, dilation, rpb);
        return (weights.unsqueeze(-1) * values).sum([2, 4]).view(
            projected.size(0), projected.size(1), projected.size(2), projected.size(3) / 3);
    }

    /// <summary>What every token receives from those of a part of the map, averaged over heads: <c>[B, H, W]</c>.</summary>
    /// <param name="projected">All queries, all keys, all values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="window">Side of the window, <c>k</c>.</param>
    /// <param name="dilation">Step between the tokens of a window.</param>
    /// <param name="rpb">A bias for each head and offset, <c>[h, 2k − 1, 2k − 1]</c>, or none.</param>
    /// <param name="part">Rows and columns, from the top left, whose tokens give: the map without its padding.</param>
    public static Tensor Received(
        Tensor projected, int heads, int window, int dilation, Tensor? rpb, (long Height, long Width) part)
    {
        var (batch, height, width) = (projected.size(0), projected.size(1), projected.size(2));
        var (rows, columns) = (part.Height * window, part.Width * window);
        long[] Keys(long length, long given) =>
            new NeighbourhoodAxis((int)length, window, dilation).Keys()[..(int)given];
        Tensor Zeros(long across) => zeros([batch, height, across], dtype: projected.dtype, device: projected.device);
        var (weights, _) = Weights(projected, heads, window, dilation, rpb);
        var given = weights.narrow(1, 0, part.Height).narrow(3, 0, part.Width).mean([5L]).reshape(batch, rows, columns);
        var byRow = Zeros(columns).index_add(1, Indices(Keys(height, rows), projected), given, 1);
        return Zeros(width).index_add(2, Indices(Keys(width, columns), projected), byRow, 1);
    }

    /// <summary>The weights of each token's window, and its values.</summary>
    /// <returns><c>[B, H, k, W, k, h]</c> and <c>[B, H, k, W, k, h, C/h]</c>.</returns>
    private static (Tensor Weights, Tensor Values) Weights(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        var (batch, height, width) = (projected.size(0), projected.size(1), projected.size(2));
        var channels = projected.size(3) / 3;
        var depth = channels / heads;
        var (rows, columns) = (
            new NeighbourhoodAxis((int)height, window, dilation), new NeighbourhoodAxis((int)width, window, dilation));

        var queries = projected.narrow(3, 0, channels).reshape(batch, height, 1, width, 1, heads, depth) / Math.Sqrt(depth);
        var gathered = projected.narrow(3, channels, 2 * channels)
            .index_select(1, Indices(rows.Keys(), projected))
            .index_select(2, Indices(columns.Keys(), projected))
            .view(batch, height, window, width, window, 2, heads, depth)
            .unbind(5);

        var logits = (queries * gathered[0]).sum(-1);
        if (rpb is not null)
        {
            logits = logits + rpb
                .index_select(1, Indices(rows.Offsets(), projected))
                .index_select(2, Indices(columns.Offsets(), projected))
                .view(heads, height, window, width, window)
                .permute(1, 2, 3, 4, 0);
        }
        var weights = logits.permute(0, 1, 3, 5, 2, 4).flatten(4).softmax(-1)
            .view(batch, height, width, heads, window, window)
            .permute(0, 1, 4, 2, 5, 3);
        return (weights, gathered[1]);
    }

    private static Tensor Indices(long[] places, Tensor like) => tensor(places, ScalarType.Int64, device: like.device);
}
