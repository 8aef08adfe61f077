using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>Cross-shaped window attention as nodes; what <see cref="CrossShapedLayer"/> computes.</summary>
internal static class CrossShapedNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, CrossShapedAttention attention, OnnxValue map)
    {
        var (height, width) = ((int)map.Shape[1], (int)map.Shape[2]);
        var vertical = new WindowPartition(height, Math.Min(attention.Stripe, width), 0, 0);
        var horizontal = new WindowPartition(Math.Min(attention.Stripe, height), width, 0, 0);
        var attended = graph.Join(
            3,
            Half(graph.At("vertical"), part, "get_v_vertical", 0, attention.Heads / 2, new(vertical, height, width), map),
            Half(graph.At("horizontal"), part, "get_v_horizontal", 1, attention.Heads / 2, new(horizontal, height, width), map));
        return graph.At("proj").Linear(part["proj"], attended);
    }

    /// <summary>The output of half of the heads, <c>[B, H, W, C/2]</c>.</summary>
    private static OnnxValue Half(
        OnnxGraph graph, ModelPart part, string enhancement, int half, int heads, WindowsOfMap stripes, OnnxValue map)
    {
        var (channels, own) = (map.Width, map.Width / 2);
        var (weight, bias) = (part.Parameter("qkv.weight"), part.Find("qkv.bias"));

        // Of queries, keys and values, the rows of this half; the queries' scaled.
        torch.Tensor Rows(torch.Tensor all)
        {
            var rows = all.view(3, 2, own, -1).select(1, half).unbind(0);
            return torch.cat([rows[0] * DotProductNodes.ScaleOf(own, heads), rows[1], rows[2]]);
        }

        var joint = graph.At("qkv").Linear(
            part.NameOf("qkv"), map, channels, 3L * own, () => Rows(weight), bias is null ? null : () => Rows(bias).squeeze(1));
        // Padded behind the projection, so that the convolution finds zeros beyond the map.
        var projected = graph.Split(stripes.Divide(graph, joint), 3);
        var attended = graph.Attend(projected[0], projected[1], projected[2], heads, stripes.Bias(graph, bias: null));
        var values = graph.Reshape(
            projected[2], OnnxValue.FromBatch, stripes.Partition.Height, stripes.Partition.Width, own);
        var enhanced = graph.InRow(graph.At("get_v").Depthwise(part[enhancement], values));
        return stripes.Join(graph, graph.Add(attended, enhanced));
    }
}
