using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>Attention inside windows, plain or shifted, as nodes; what <see cref="WindowLayer"/> computes.</summary>
internal static class WindowNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, WindowAttention attention, OnnxValue map)
    {
        var (height, width) = ((int)map.Shape[1], (int)map.Shape[2]);
        var (side, shift) = (attention.Window, attention.Shifted ? attention.Window / 2 : 0);
        var windows = new WindowsOfMap(
            new WindowPartition(Math.Min(side, height), Math.Min(side, width), side < height ? shift : 0, side < width ? shift : 0),
            height, width);
        var projected = graph.QueriesKeysValues(part["qkv"], windows.Divide(graph, map), attention.Heads, attention.Order);
        var attended = graph.Attend(
            projected[0], projected[1], projected[2], attention.Heads, windows.Bias(graph, Bias(graph, part, attention, windows.Partition)));
        return windows.Join(graph, graph.At("proj").Linear(part["proj"], attended));
    }

    private static OnnxValue? Bias(OnnxGraph graph, ModelPart part, WindowAttention attention, WindowPartition windows)
    {
        const string name = "relative_position_bias_table";
        if (part.Find(name) is not { } table)
        {
            return null;
        }
        var tokens = windows.Height * windows.Width;
        return graph.Weight(
            part.NameOf(name), [attention.Heads, tokens, tokens],
            () => RelativePositionBias.Of(table, attention.Window, windows.Height, windows.Width));
    }
}
