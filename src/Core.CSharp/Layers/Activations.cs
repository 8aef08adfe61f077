using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Dense;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>The activations by name.</summary>
internal static class Activations
{
    /// <summary>Applies an activation to every element, by the kernel where the backend has one.</summary>
    public static Tensor Fused(Tensor input, Activation activation) =>
        activation != Activation.Relu && FusedGelu.Takes(input) && Backends.For(input) == Backend.FusedCpu
            ? FusedGelu.Apply(input, activation == Activation.GeluTanh)
            : Apply(input, activation);

    /// <summary>Applies an activation to every element.</summary>
    public static Tensor Apply(Tensor input, Activation activation) => activation switch
    {
        Activation.Gelu => nn.functional.gelu(input),
        Activation.GeluTanh => nn.functional.gelu(input, GELU.Approximate.tanh),
        Activation.Relu => nn.functional.relu(input),
        _ => throw new ArgumentException(
            $"'{activation}' is no activation; use one of {string.Join(", ", Enum.GetNames<Activation>())}"),
    };
}
