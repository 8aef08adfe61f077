using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>A transformer block and its MLP as nodes; evaluation mode, so without stochastic depth.</summary>
internal static class BlockNodes
{
    /// <summary>
    /// A block: <c>x + γ₁·attention(norm₁(x))</c>, then <c>x + γ₂·mlp(norm₂(x))</c>. <c>[B, H, W, C]</c> to the same shape.
    /// </summary>
    /// <param name="graph">The graph, at the block's place.</param>
    /// <param name="part">The block's parameters.</param>
    /// <param name="block">What the block is.</param>
    /// <param name="map">What enters it.</param>
    /// <param name="conventions">Norm and activation.</param>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, Block block, OnnxValue map, Conventions conventions)
    {
        var normalised = graph.At("norm 1").Norm(part["norm1"], map, conventions.NormEpsilon);
        var attended = Attend(graph.At("attention"), part["attn"], part["norm1"], block.Attention, normalised, conventions);
        var joined = graph.Add(map, graph.Scaled(part, "gamma_1", attended));
        return graph.Mixed(part, joined, conventions, block.MlpConvolution);
    }

    /// <summary>The second half of a block: <c>x + γ₂·mlp(norm₂(x))</c>.</summary>
    public static OnnxValue Mixed(
        this OnnxGraph graph, ModelPart part, OnnxValue map, Conventions conventions, MlpConvolution convolution)
    {
        var normalised = graph.At("norm 2").Norm(part["norm2"], map, conventions.NormEpsilon);
        var mixed = Mlp(graph.At("mlp"), part["mlp"], normalised, conventions.Activation, convolution);
        return graph.Add(map, graph.Scaled(part, "gamma_2", mixed));
    }

    private static OnnxValue Mlp(
        OnnxGraph graph, ModelPart part, OnnxValue map, Activation activation, MlpConvolution convolution)
    {
        var hidden = graph.At("fc1").Linear(part["fc1"], map);
        if (convolution == MlpConvolution.DepthwiseAfterRelu)
        {
            hidden = graph.Activate(hidden, Activation.Relu);
        }
        if (convolution != MlpConvolution.None)
        {
            hidden = graph.At("dwconv").Depthwise(part["dwconv"], hidden);
        }
        return graph.At("fc2").Linear(part["fc2"], graph.At("activation").Activate(hidden, activation));
    }

    private static OnnxValue Attend(
        OnnxGraph graph, ModelPart part, ModelPart norm, Attention attention, OnnxValue map, Conventions conventions) => attention switch
        {
            QnAAttention qna => QnANodes.Of(graph, part, qna, norm, map),
            SlideAttention slide => SlideNodes.Of(graph, part, slide, map),
            WindowAttention window => WindowNodes.Of(graph, part, window, map),
            GlobalAttention whole => GlobalNodes.Of(graph, part, whole, map),
            SpatialReductionAttention reduced => ReductionNodes.Of(graph, part, reduced, map, conventions),
            PooledAttention pooled => PooledNodes.Of(graph, part, pooled, map, conventions),
            CrossShapedAttention cross => CrossShapedNodes.Of(graph, part, cross, map),
            NeighbourhoodAttention near => NeighbourhoodNodes.Of(graph, part, near, map),
            _ => throw new InvalidOperationException($"unknown attention {attention.GetType()}"),
        };
}
