using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>Linear layers, norms, convolutions and activations as nodes: each takes the parameters of the layer of that path.</summary>
internal static class DenseNodes
{
    /// <summary>A parameter as it is.</summary>
    public static OnnxValue Parameter(this OnnxGraph graph, ModelPart part, string name)
    {
        var parameter = part.Parameter(name);
        return graph.Weight(part.NameOf(name), parameter.shape, () => parameter);
    }

    /// <summary>A linear layer of each token: <c>x·Wᵀ + b</c>.</summary>
    public static OnnxValue Linear(this OnnxGraph graph, ModelPart linear, OnnxValue tokens)
    {
        var weight = linear.Parameter("weight");
        return graph.Linear(linear.Path, tokens, weight.size(1), weight.size(0), () => weight, linear.Find("bias") is { } bias ? () => bias : null);
    }

    /// <summary>A linear layer whose parameters are made when the file is written.</summary>
    /// <param name="graph">The graph, at the layer's place.</param>
    /// <param name="name">The parameters' name in the model.</param>
    /// <param name="tokens"><c>[…, C]</c>.</param>
    /// <param name="inputs">C.</param>
    /// <param name="outputs">C'.</param>
    /// <param name="weight"><c>[C', C]</c>.</param>
    /// <param name="bias"><c>[C']</c>, or none.</param>
    public static OnnxValue Linear(
        this OnnxGraph graph, string name, OnnxValue tokens, long inputs, long outputs, Func<torch.Tensor> weight, Func<torch.Tensor>? bias)
    {
        var product = graph.MatrixProduct(tokens, graph.Weight($"{name}.weight", [inputs, outputs], () => weight().t()));
        return bias is null ? product : graph.Add(product, graph.Weight($"{name}.bias", [outputs], bias));
    }

    /// <summary>A layer norm of the last dimension.</summary>
    public static OnnxValue Norm(this OnnxGraph graph, ModelPart norm, OnnxValue tokens, double epsilon) => graph.Apply(
        "LayerNormalization",
        [tokens, graph.Parameter(norm, "weight"), graph.Parameter(norm, "bias")],
        tokens.Shape,
        OnnxAttribute.Of("axis", -1L),
        OnnxAttribute.Of("epsilon", (float)epsilon));

    /// <summary>A convolution of <c>[B, C, H, W]</c>.</summary>
    public static OnnxValue Convolution(
        this OnnxGraph graph, ModelPart convolution, OnnxValue map, int stride = 1, int padding = 0, int groups = 1) => graph.Convolve(
        map, graph.Parameter(convolution, "weight"), convolution.Find("bias") is null ? null : graph.Parameter(convolution, "bias"),
        stride, padding, groups);

    /// <summary>A depthwise 3×3 convolution of tokens <c>[B, H, W, C]</c>, zeros around the map.</summary>
    public static OnnxValue Depthwise(this OnnxGraph graph, ModelPart convolution, OnnxValue map) =>
        graph.ChannelsLast(graph.Convolution(convolution, graph.ChannelsFirst(map), padding: 1, groups: map.Width));

    /// <summary>
    /// An activation. The exact GELU is written as the pattern that runtimes know as one; its approximation by the logistic
    /// function, as <c>½(1 + tanh u) = σ(2u)</c>.
    /// </summary>
    public static OnnxValue Activate(this OnnxGraph graph, OnnxValue value, Activation activation)
    {
        switch (activation)
        {
            case Activation.Relu:
                return graph.Each("Relu", value);
            case Activation.GeluTanh:
                var slope = 2 * Math.Sqrt(2 / Math.PI);
                var square = graph.Multiply(value, value);
                var factor = graph.Add(graph.Multiply(square, graph.Number(slope * 0.044715)), graph.Number(slope));
                return graph.Multiply(value, graph.Each("Sigmoid", graph.Multiply(value, factor)));
            default:
                var error = graph.Each("Erf", graph.Divide(value, graph.Number(Math.Sqrt(2))));
                return graph.Multiply(graph.Multiply(value, graph.Add(error, graph.Number(1))), graph.Number(0.5));
        }
    }

    /// <summary>A branch times its layer scale, where it has one.</summary>
    public static OnnxValue Scaled(this OnnxGraph graph, ModelPart block, string scale, OnnxValue branch) =>
        block.Find(scale) is null ? branch : graph.Multiply(branch, graph.Parameter(block, scale));
}
