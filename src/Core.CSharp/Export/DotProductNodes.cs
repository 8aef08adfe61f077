using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Export;

/// <summary>Multi-head dot-product attention as nodes, <c>softmax(q·kᵀ + bias) · v</c>, with scaled queries.</summary>
internal static class DotProductNodes
{
    /// <summary>
    /// Queries, keys and values of each token by one product, each <c>[…, C]</c> with heads side by side. The queries are scaled
    /// and the rows put in order in the weights, so that the graph need not.
    /// </summary>
    /// <param name="graph">The graph, at the attention's place.</param>
    /// <param name="qkv">The joint projection.</param>
    /// <param name="tokens"><c>[…, C_in]</c>.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="order">How the projection lays queries, keys and values out.</param>
    /// <param name="scale">The queries' factor; none: 1/√d.</param>
    public static OnnxValue[] QueriesKeysValues(
        this OnnxGraph graph, ModelPart qkv, OnnxValue tokens, int heads, QkvOrder order, double? scale = null)
    {
        var (weight, bias) = (qkv.Parameter("weight"), qkv.Find("bias"));
        var (rows, columns) = (weight.size(0), weight.size(1));
        var factor = scale ?? ScaleOf(rows / 3, heads);
        var joint = graph.At("qkv").Linear(
            qkv.Path, tokens, columns, rows,
            () => InOrder(weight, heads, order, factor),
            bias is null ? null : () => InOrder(bias.unsqueeze(1), heads, order, factor).squeeze(1));
        return graph.At("qkv").Split(joint, 3);
    }

    /// <summary>1/√d.</summary>
    public static double ScaleOf(long channels, int heads) => 1 / Math.Sqrt((double)channels / heads);

    /// <summary>Attends: from tokens <c>[N, L, C]</c> to <c>[N, L, C]</c>.</summary>
    /// <param name="graph">The graph, at the attention's place.</param>
    /// <param name="queries">Scaled, <c>[N, L, C]</c>.</param>
    /// <param name="keys"><c>[N, L', C]</c>.</param>
    /// <param name="values"><c>[N, L', C]</c>.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="bias">What is done to the logits <c>[N, h, L, L']</c>, or none.</param>
    public static OnnxValue Attend(
        this OnnxGraph graph, OnnxValue queries, OnnxValue keys, OnnxValue values, int heads, Func<OnnxValue, OnnxValue>? bias = null)
    {
        var (length, others, channels) = (queries.Shape[1], keys.Shape[1], queries.Shape[2]);
        OnnxValue Divided(OnnxValue value, long tokens) => graph.Reshape(value, OnnxValue.FromBatch, tokens, heads, channels / heads);

        var logits = graph.MatrixProduct(
            graph.Transpose(Divided(queries, length), 0, 2, 1, 3), graph.Transpose(Divided(keys, others), 0, 2, 3, 1));
        var weights = graph.Softmax(bias is null ? logits : bias(logits));
        var attended = graph.MatrixProduct(weights, graph.Transpose(Divided(values, others), 0, 2, 1, 3));
        return graph.Reshape(graph.Transpose(attended, 0, 2, 1, 3), OnnxValue.FromBatch, length, channels);
    }

    /// <summary>The tokens of a map <c>[B, H, W, C]</c> in a row, <c>[B, H·W, C]</c>.</summary>
    public static OnnxValue InRow(this OnnxGraph graph, OnnxValue map) =>
        graph.Reshape(map, OnnxValue.FromBatch, map.Shape[1] * map.Shape[2], map.Shape[3]);

    /// <summary>Tokens <c>[B, H·W, C]</c> on the map of another value.</summary>
    public static OnnxValue OnMapOf(this OnnxGraph graph, OnnxValue tokens, OnnxValue map) =>
        graph.Reshape(tokens, OnnxValue.FromBatch, map.Shape[1], map.Shape[2], tokens.Shape[2]);

    /// <summary>Rows <c>[3C, …]</c> of a joint projection: all queries, scaled, all keys, all values.</summary>
    private static Tensor InOrder(Tensor rows, int heads, QkvOrder order, double factor)
    {
        var (width, columns) = (rows.size(0) / (3 * heads), rows.size(1));
        var parts = order == QkvOrder.HeadMajor
            ? rows.view(heads, 3, width, columns).transpose(0, 1).unbind(0)
            : rows.view(3, heads, width, columns).unbind(0);
        return cat([parts[0] * factor, parts[1], parts[2]]).view(rows.shape);
    }
}
