using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The stem of convolutions in a row: from images <c>[B, channels, H, W]</c> to a map <c>[B, H', W', C]</c>. Each is followed
/// by a norm over the channels and, but for the last, the activation; or, where the stem is not activated between, only the
/// last by a norm. With zeros around of half the kernel, every stride <c>s</c> leaves <c>⌈H/s⌉</c> rows.
/// </summary>
/// <remarks>
/// Parameters: <c>convs.I.{weight,bias}</c>, <c>norms.I.{weight,bias}</c>; the only norm is <c>norms.0</c>.
/// </remarks>
public sealed class ConvolutionalEmbedding : nn.Module<Tensor, Tensor>
{
    private readonly Activation _activation;
    private readonly bool _activatedBetween;

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
        _activatedBetween = stem.ActivatedBetween;
        var inputs = imageChannels;
        foreach (var convolution in stem.Convolutions)
        {
            convs.Add(WeightInitialization.Convolution(
                inputs, convolution.Channels, convolution.Kernel, convolution.Stride,
                convolution.Padding ?? (convolution.Kernel / 2), stem.Bias, conventions.Initialization));
            inputs = convolution.Channels;
            if (_activatedBetween || convs.Count == stem.Convolutions.Count)
            {
                norms.Add(nn.LayerNorm(inputs, conventions.EpsilonAroundBlocks));
            }
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
            var convolved = convs[index].call(map);
            if (index == convs.Count - 1)
            {
                return Normalisation.Apply(norms[norms.Count - 1], convolved.permute(0, 2, 3, 1)).MoveToOuterDisposeScope();
            }
            map = _activatedBetween ? Activated(norms[index], convolved) : convolved;
        }
        return map.permute(0, 2, 3, 1).MoveToOuterDisposeScope();
    }

    /// <summary>The norm over the channels and the activation of a map <c>[B, C, H, W]</c>.</summary>
    private Tensor Activated(LayerNorm norm, Tensor map) =>
        Activations.Apply(Normalisation.Apply(norm, map.permute(0, 2, 3, 1)), _activation).permute(0, 3, 1, 2);
}
