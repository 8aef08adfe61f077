using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>Attention of all tokens to all as nodes: <c>proj(softmax(q·kᵀ/√d)·v + get_v(v))</c>.</summary>
internal static class GlobalNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, GlobalAttention attention, OnnxValue map)
    {
        var projected = graph.QueriesKeysValues(part["qkv"], graph.InRow(map), attention.Heads, attention.Order);
        var attended = graph.OnMapOf(graph.Attend(projected[0], projected[1], projected[2], attention.Heads), map);
        if (attention.LocallyEnhanced)
        {
            attended = graph.Add(attended, graph.At("get_v").Depthwise(part["get_v"], graph.OnMapOf(projected[2], map)));
        }
        return graph.At("proj").Linear(part["proj"], attended);
    }
}
