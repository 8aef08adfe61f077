using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Where every layer applies its linear layers: <c>x·Wᵀ + b</c> on each token.</summary>
internal static class Projection
{
    /// <summary>Applies a linear layer's parameters.</summary>
    /// <param name="linear">The layer, whose parameters are used.</param>
    /// <param name="input"><c>[…, C]</c>.</param>
    /// <returns><c>[…, C']</c>.</returns>
    public static Tensor Apply(Linear linear, Tensor input) => linear.call(input);
}
