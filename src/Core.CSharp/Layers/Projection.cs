using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Dense;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Where every layer applies its linear layers: <c>x·Wᵀ + b</c> on each token, by the fastest route.</summary>
internal static class Projection
{
    /// <summary>Applies a linear layer's parameters.</summary>
    /// <param name="linear">The layer, whose parameters are used.</param>
    /// <param name="input"><c>[…, C]</c>.</param>
    /// <returns><c>[…, C']</c>.</returns>
    public static Tensor Apply(Linear linear, Tensor input) => Apply(linear.weight, linear.bias, input);

    /// <summary>Applies a weight and a bias.</summary>
    /// <param name="weight"><c>[C', C]</c>.</param>
    /// <param name="bias"><c>[C']</c>, or none.</param>
    /// <param name="input"><c>[…, C]</c>.</param>
    /// <returns><c>[…, C']</c>.</returns>
    public static Tensor Apply(Tensor weight, Tensor? bias, Tensor input) => Backends.For(input) == Backend.FusedCpu
        ? LinearRoutes.Apply(input, weight, bias)
        : nn.functional.linear(input, weight, bias);
}
