using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>
/// Slide Attention as nodes; what <see cref="SlideLayer"/> computes, its two convolutions merged into one (arXiv 2304.04237,
/// section 3.4), which runs as a grouped convolution over the heads' channels.
/// </summary>
internal static class SlideNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, SlideAttention attention, OnnxValue map)
    {
        var (height, width, channels, heads) = (map.Shape[1], map.Shape[2], map.Shape[3], attention.Heads);
        var (depth, samples, tokens) = (channels / heads, (long)attention.Window * attention.Window, height * width);
        var projected = graph.QueriesKeysValues(part["qkv"], map, heads, QkvOrder.HeadMajor, attention.Scale);

        var layer = part.Layer<SlideLayer>();
        var weight = graph.Weight(
            part.NameOf("dep_conv.weight"), [depth * samples, 1, attention.Window, attention.Window],
            () => layer.CurrentConvolution().Weight.view(depth * samples, 1, attention.Window, attention.Window));
        var bias = graph.Weight(
            part.NameOf("dep_conv.bias"), [depth * samples], () => layer.CurrentConvolution().Bias.view(depth * samples));

        // The samples of every token's window, [B, h, d, k², H·W].
        OnnxValue Sampled(OnnxGraph at, OnnxValue value)
        {
            var extended = Extend(at, value, attention);
            var perHead = at.Reshape(
                at.ChannelsFirst(extended), OnnxValue.FromBatch, depth, extended.Shape[1], extended.Shape[2]);
            var padding = attention.Padding == EdgePadding.Zeros ? attention.Window / 2 : 0;
            return at.Reshape(
                at.Convolve(perHead, weight, bias, padding: padding, groups: (int)depth),
                OnnxValue.FromBatch, heads, depth, samples, tokens);
        }

        var queries = graph.Reshape(graph.ChannelsFirst(projected[0]), OnnxValue.FromBatch, heads, depth, 1, tokens);
        var table = part.Parameter("relative_position_bias_table");
        var positionBias = graph.Weight(
            part.NameOf("relative_position_bias_table"), [heads, samples, 1], () => table.view(heads, samples, 1));
        var logits = graph.Add(
            graph.Sum(graph.Multiply(queries, Sampled(graph.At("keys"), projected[1])), 2),
            graph.Multiply(graph.Sum(queries, 2), positionBias));
        // Runtimes take the softmax of the last dimension best.
        var weights = graph.Transpose(graph.Softmax(graph.Transpose(logits, 0, 1, 3, 2)), 0, 1, 3, 2);
        var shares = graph.Reshape(weights, OnnxValue.FromBatch, heads, 1, samples, tokens);
        var attended = graph.Sum(graph.Multiply(shares, Sampled(graph.At("values"), projected[2])), 3);
        var joined = graph.ChannelsLast(graph.Reshape(attended, OnnxValue.FromBatch, channels, height, width));
        return graph.At("proj").Linear(part["proj"], joined);
    }

    /// <summary>A map with what stands outside it, unless that is the convolution's zeros.</summary>
    private static OnnxValue Extend(OnnxGraph graph, OnnxValue map, SlideAttention attention)
    {
        var radius = attention.Window / 2;
        if (radius == 0 || attention.Padding == EdgePadding.Zeros)
        {
            return map;
        }
        long[] Places(long length) =>
            [.. Enumerable.Range(-radius, (int)length + (2 * radius)).Select(place => Inside(place, length, attention.Padding))];

        return graph.Gather(graph.Gather(map, 1, Places(map.Shape[1])), 2, Places(map.Shape[2]));
    }

    /// <summary>The token that stands for a place outside the map.</summary>
    private static long Inside(long place, long length, EdgePadding padding) => padding switch
    {
        EdgePadding.Circular => (place + length) % length,
        EdgePadding.Reflect => place < 0 ? -place : place >= length ? (2 * (length - 1)) - place : place,
        _ => Math.Clamp(place, 0, length - 1),
    };
}
