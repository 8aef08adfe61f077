using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>
/// Neighbourhood attention, plain or dilated, as nodes; what <see cref="NeighbourhoodLayer"/> computes. A row of tokens attends
/// to the whole rows that its windows lie in, by two matrix products, and a mask leaves the columns of each token's window:
/// more products than needed, but of large matrices.
/// </summary>
internal static class NeighbourhoodNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, NeighbourhoodAttention attention, OnnxValue map)
    {
        var (heads, window, channels) = (attention.Heads, attention.Window, map.Shape[3]);
        var needed = (long)window * attention.Dilation;
        var padded = graph.Pad(map, 1, 0, 0, Math.Max(0, needed - map.Shape[1]), Math.Max(0, needed - map.Shape[2]));
        var (height, width) = (padded.Shape[1], padded.Shape[2]);
        var rows = new NeighbourhoodAxis((int)height, window, attention.Dilation);
        var columns = new NeighbourhoodAxis((int)width, window, attention.Dilation);

        var projected = graph.QueriesKeysValues(part["qkv"], padded, heads, QkvOrder.QkvMajor);
        var queries = graph.Transpose(
            graph.Reshape(projected[0], OnnxValue.FromBatch, height, width, heads, channels / heads), 0, 1, 3, 2, 4);

        // The rows of each row's windows, side by side: [B, H, k·W, h, d].
        OnnxValue RowsOf(OnnxValue value) => graph.Reshape(
            graph.Gather(value, 1, rows.Keys()), OnnxValue.FromBatch, height, window * width, heads, channels / heads);

        var logits = graph.Add(
            graph.MatrixProduct(queries, graph.Transpose(RowsOf(projected[1]), 0, 1, 3, 4, 2)),
            Bias(graph, part, attention, rows, columns));
        var attended = graph.MatrixProduct(graph.Softmax(logits), graph.Transpose(RowsOf(projected[2]), 0, 1, 3, 2, 4));
        var joined = graph.Reshape(
            graph.Transpose(attended, 0, 1, 3, 2, 4), OnnxValue.FromBatch, height, width, channels);
        return graph.At("proj").Linear(part["proj"], Cut(graph, joined, map.Shape[1], map.Shape[2]));
    }

    private static OnnxValue Cut(OnnxGraph graph, OnnxValue map, long height, long width)
    {
        var tall = map.Shape[1] == height ? map : graph.Slice(map, 1, 0, height);
        return map.Shape[2] == width ? tall : graph.Slice(tall, 2, 0, width);
    }

    /// <summary>
    /// The bias of each pair's offset, −∞ for columns that are not in the window, <c>[H, h, W, k·W]</c>, or <c>[W, k·W]</c>
    /// without a table. It follows from constants alone, so that a runtime computes it once and the file does not hold it.
    /// </summary>
    private static OnnxValue Bias(
        OnnxGraph graph, ModelPart part, NeighbourhoodAttention attention, NeighbourhoodAxis rows, NeighbourhoodAxis columns)
    {
        var (height, width, window, heads) = ((long)rows.Length, (long)columns.Length, attention.Window, attention.Heads);
        var (keys, offsets) = (columns.Keys(), columns.Offsets());
        // Of each pair of columns: whether it is in the window, and its offset there.
        var (mask, places) = (new float[width * width], new long[width * width]);
        Array.Fill(mask, float.NegativeInfinity);
        for (var index = 0; index < keys.Length; index++)
        {
            var pair = (index / window * width) + keys[index];
            (mask[pair], places[pair]) = (0, offsets[index]);
        }
        if (!attention.PositionBias)
        {
            var repeated = Enumerable.Range(0, (int)(width * window * width))
                .Select(place => mask[(place / (window * width) * width) + (place % width)]);
            return graph.Constant("mask", [width, window * width], [.. repeated]);
        }
        var table = graph.At("rpb").Gather(
            graph.Gather(graph.Parameter(part, "rpb"), 1, rows.Offsets()), 2, places);
        var pairs = graph.Transpose(
            graph.Reshape(table, heads, height, window, width, width), 1, 0, 3, 2, 4);
        var masked = graph.Add(pairs, graph.Constant("mask", [width, 1, width], mask));
        return graph.Reshape(masked, height, heads, width, window * width);
    }
}
