using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>
/// Query-and-attend as nodes; what <see cref="QnALayer"/> computes. What follows from the learned queries alone is computed when
/// the file is written: the matrix of all scores, the position table, the scale.
/// </summary>
internal static class QnANodes
{
    /// <summary><c>[B, H, W, C_in]</c> to <c>[B, H', W', C_out]</c>.</summary>
    /// <param name="graph">The graph, at the attention's place.</param>
    /// <param name="part">The layer's parameters.</param>
    /// <param name="attention">What the layer does.</param>
    /// <param name="map">What enters it.</param>
    /// <param name="stride">Step between queries.</param>
    /// <param name="upsampling">How many times larger each side becomes.</param>
    /// <param name="pooling">Whether windows stay inside the map.</param>
    public static OnnxValue Of(
        OnnxGraph graph, ModelPart part, QnAAttention attention, OnnxValue map, int stride = 1, int upsampling = 1, bool pooling = false)
    {
        var layer = part.Layer<QnALayer>();
        var width = part.Parameter("query").size(1);
        var (sets, heads, side) = (upsampling * upsampling, attention.Heads, attention.Window);
        var (columns, area) = ((long)sets * attention.Queries * heads, (long)side * side);
        var windows = new WindowGrid(side, stride, pooling ? 0 : (side - 1) / 2);
        var (height, breadth) = (windows.CountAlong(map.Shape[1]), windows.CountAlong(map.Shape[2]));

        var scores = graph.At("scores").Linear(
            part.NameOf("scores"), map, map.Width, columns, () => layer.InferenceTables().Keys,
            attention.Bias ? () => layer.InferenceTables().KeyBias! : null);
        var values = graph.At("to_v").Linear(part["to_v"], map);

        // Softmax over each window: [B, H', W', columns, k²].
        var logits = graph.Reshape(
            graph.Transpose(Windows(graph.At("scores"), scores, windows, double.NegativeInfinity), 0, 2, 4, 5, 1, 3),
            OnnxValue.FromBatch, height, breadth, columns, area);
        if (attention.Position != PositionBias.None)
        {
            logits = graph.Add(
                logits, graph.Weight(part.NameOf("position"), [columns, area], () => layer.InferenceTables().Position!.t()));
        }
        var weights = graph.Softmax(logits);
        if (attention.Scale != AttentionScale.None)
        {
            var perPlace = attention.Scale is AttentionScale.Normal or AttentionScale.Ones ? area : 1;
            weights = graph.Multiply(
                weights, graph.Weight(part.NameOf("scale"), [columns, perPlace], () => layer.InferenceTables().Scale!.t()));
        }

        // The sum over queries, and a head's weight beside each of its channels, are one product: [B, k, H', k, W', sets·F].
        var apart = graph.Transpose(
            graph.Reshape(weights, OnnxValue.FromBatch, height, breadth, columns, side, side), 0, 4, 1, 5, 2, 3);
        var spread = graph.MatrixProduct(
            apart, graph.Constant("channels of heads", [columns, sets * width], Spread(sets, attention.Queries, heads, width)));
        var gathered = Windows(graph.At("values"), values, windows, 0);
        if (sets > 1)
        {
            spread = graph.Reshape(spread, OnnxValue.FromBatch, side, height, side, breadth, sets, width);
            gathered = graph.Reshape(gathered, OnnxValue.FromBatch, side, height, side, breadth, 1, width);
        }
        var aggregated = graph.Sum(graph.Multiply(spread, gathered), 1, 3);
        return graph.At("to_out").Linear(part["to_out"], Arranged(graph, aggregated, upsampling));
    }

    /// <summary>What each window sees: <c>[B, k, H', k, W', C]</c>.</summary>
    private static OnnxValue Windows(OnnxGraph graph, OnnxValue map, WindowGrid windows, double outside)
    {
        long[] Places(long length) =>
        [
            .. from place in Enumerable.Range(0, windows.Side)
               from window in Enumerable.Range(0, (int)windows.CountAlong(length))
               select (long)place + ((long)window * windows.Stride)
        ];

        var (height, width, padding) = (map.Shape[1], map.Shape[2], windows.Padding);
        var extended = graph.Pad(map, 1, padding, padding, padding, padding, outside);
        var rows = graph.Gather(extended, 1, Places(height), (int)windows.CountAlong(height));
        return graph.Gather(rows, 3, Places(width), (int)windows.CountAlong(width));
    }

    /// <summary>1 where a column is of the set and head of a channel: <c>[sets·Nq·h, sets·F]</c>.</summary>
    private static float[] Spread(int sets, int queries, int heads, long width)
    {
        var spread = new float[sets * queries * heads * sets * width];
        for (var column = 0; column < sets * queries * heads; column++)
        {
            var (set, head) = (column / (queries * heads), column % heads);
            var first = ((column * sets) + set) * width;
            spread.AsSpan((int)(first + (head * width / heads)), (int)(width / heads)).Fill(1);
        }
        return spread;
    }

    /// <summary>From <c>[B, H, W, u², F]</c> to tokens <c>[B, H·u, W·u, F]</c>.</summary>
    private static OnnxValue Arranged(OnnxGraph graph, OnnxValue aggregated, int upsampling)
    {
        if (upsampling == 1)
        {
            return aggregated;
        }
        var (height, width, channels) = (aggregated.Shape[1], aggregated.Shape[2], aggregated.Shape[4]);
        var squares = graph.Reshape(aggregated, OnnxValue.FromBatch, height, width, upsampling, upsampling, channels);
        return graph.Reshape(
            graph.Transpose(squares, 0, 1, 3, 2, 4, 5),
            OnnxValue.FromBatch, height * upsampling, width * upsampling, channels);
    }
}
