using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Dense;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Where every layer applies its layer norms, over the last dimension.</summary>
internal static class Normalisation
{
    /// <summary><c>norm(x)</c>.</summary>
    /// <param name="norm">The norm, whose parameters are used.</param>
    /// <param name="input"><c>[…, C]</c>.</param>
    public static Tensor Apply(LayerNorm norm, Tensor input) => IsFused(input)
        ? FusedNorm.Apply(input, norm.weight!, norm.bias!, norm.eps)
        : norm.call(input);

    /// <summary><c>x + r</c> and <c>norm(x + r)</c>.</summary>
    /// <param name="norm">The norm, whose parameters are used.</param>
    /// <param name="input"><c>x</c>, <c>[…, C]</c>.</param>
    /// <param name="residual"><c>r</c>, of the same shape.</param>
    public static (Tensor Sum, Tensor Normalised) Add(LayerNorm norm, Tensor input, Tensor residual)
    {
        if (IsFused(input))
        {
            return FusedNorm.Add(input, residual, norm.weight!, norm.bias!, norm.eps);
        }
        var sum = input + residual;
        return (sum, norm.call(sum));
    }

    private static bool IsFused(Tensor input) => FusedNorm.Takes(input) && Backends.For(input) == Backend.FusedCpu;
}
