using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Export;

/// <summary>Spatial-reduction attention as nodes; what <see cref="SpatialReductionLayer"/> computes.</summary>
internal static class ReductionNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(
        OnnxGraph graph, ModelPart part, SpatialReductionAttention attention, OnnxValue map, Conventions conventions)
    {
        var keys = attention.Reduction == 1
            ? map
            : graph.At("norm").Norm(part["norm"], Reduced(graph, part, attention.Reduction, map), conventions.EpsilonAroundBlocks);
        return graph.AttendTo(part, attention.Heads, map, keys);
    }

    /// <summary>Attention of the tokens of a map to those of another: <c>proj(softmax(q(x)·kᵀ/√d)·v)</c> with <c>k, v = kv(other)</c>.</summary>
    public static OnnxValue AttendTo(this OnnxGraph graph, ModelPart part, int heads, OnnxValue map, OnnxValue other)
    {
        var (weight, bias) = (part.Parameter("q.weight"), part.Find("q.bias"));
        var scale = DotProductNodes.ScaleOf(map.Width, heads);
        Func<Tensor>? scaledBias = bias is null ? null : () => bias * scale;
        var queries = graph.At("q").Linear(part.NameOf("q"), graph.InRow(map), map.Width, map.Width, () => weight * scale, scaledBias);
        var others = graph.Split(graph.At("kv").Linear(part["kv"], graph.InRow(other)), 2);
        var attended = graph.Attend(queries, others[0], others[1], heads);
        return graph.At("proj").Linear(part["proj"], graph.OnMapOf(attended, map));
    }

    private static OnnxValue Reduced(OnnxGraph graph, ModelPart part, int side, OnnxValue map)
    {
        var padded = graph.Pad(map, 1, 0, 0, TokenPadding.Missing(map.Shape[1], side), TokenPadding.Missing(map.Shape[2], side));
        return graph.ChannelsLast(graph.At("sr").Convolution(part["sr"], graph.ChannelsFirst(padded), stride: side));
    }
}
