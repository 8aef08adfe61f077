using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Two linear layers with an activation between them, on every token alone: <c>fc2(activation(fc1(x)))</c>.</summary>
/// <remarks>Parameters: <c>fc1.{weight,bias}</c>, <c>fc2.{weight,bias}</c>.</remarks>
public sealed class Mlp : nn.Module<Tensor, Tensor>
{
    private readonly Activation _activation;

    private readonly Linear fc1;
    private readonly Linear fc2;

    /// <summary>An MLP with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="channels">Channels that enter and leave.</param>
    /// <param name="hidden">Channels between.</param>
    /// <param name="conventions">The activation, and how weights start; none: PyTorch's.</param>
    public Mlp(int channels, int hidden, Conventions? conventions = null)
        : base(nameof(Mlp))
    {
        conventions ??= Conventions.PyTorch;
        _activation = conventions.Activation;
        fc1 = WeightInitialization.Linear(channels, hidden, bias: true, conventions.Initialization);
        fc2 = WeightInitialization.Linear(hidden, channels, bias: true, conventions.Initialization);
        RegisterComponents();
    }

    /// <summary>From <c>[…, C]</c> to <c>[…, C]</c>.</summary>
    public override Tensor forward(Tensor input)
    {
        using var hidden = Projection.Apply(fc1, input);
        using var activated = Activations.Apply(hidden, _activation);
        return Projection.Apply(fc2, activated);
    }
}
