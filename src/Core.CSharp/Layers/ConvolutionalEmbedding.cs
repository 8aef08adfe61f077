using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The stem of convolutions in a row, each followed by a norm over the channels and, but for the last, the activation:
/// from images <c>[B, channels, H, W]</c> to a map <c>[B, H', W', C]</c>. Every stride <c>s</c> leaves <c>⌈H/s⌉</c> rows.
/// </summary>
/// <remarks>Parameters: <c>convs.I.weight</c>, <c>norms.I.{weight,bias}</c>.</remarks>
public sealed class ConvolutionalEmbedding : nn.Module<Tensor, Tensor>
{
    private readonly Activation _activation;

    private readonly ModuleList<Conv2d> convs = new();
    private readonly ModuleList<LayerNorm> norms = new();

    /// <summary>A stem with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="stem">What the stem is.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <param name="conventions">Norm, activation and how weights start; none: PyTorch's.</param>
    public ConvolutionalEmbedding(ConvolutionStem stem, int imageChannels, Conventions? conventions = null)
        : base(nameof(ConvolutionalEmbedding))
    {
        ArgumentNullException.ThrowIfNull(stem);
        conventions ??= Conventions.PyTorch;
        _activation = conventions.Activation;
        var inputs = imageChannels;
        foreach (var (kernel, stride, channels) in stem.Convolutions)
        {
            convs.Add(WeightInitialization.Convolution(
                inputs, channels, kernel, stride, kernel / 2, bias: false, conventions.Initialization));
            norms.Add(nn.LayerNorm(channels, conventions.NormEpsilon));
            inputs = channels;
        }
        RegisterComponents();
    }

    /// <summary>From images <c>[B, channels, H, W]</c> to tokens <c>[B, H', W', C]</c>.</summary>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var map = images;
        for (var index = 0; index < convs.Count; index++)
        {
            var tokens = norms[index].call(convs[index].call(map).permute(0, 2, 3, 1));
            if (index == convs.Count - 1)
            {
                return tokens.MoveToOuterDisposeScope();
            }
            map = Activations.Apply(tokens, _activation).permute(0, 3, 1, 2);
        }
        return map.permute(0, 2, 3, 1).MoveToOuterDisposeScope();
    }
}
