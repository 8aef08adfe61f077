using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The transition of a strided convolution without a bias, padded by half its kernel, and a norm:
/// <c>[B, H, W, C]</c> to <c>[B, ⌈H/s⌉, ⌈W/s⌉, C']</c>.
/// </summary>
/// <remarks>Parameters: <c>reduction.weight</c>, <c>norm.{weight,bias}</c>.</remarks>
public sealed class StridedConvolutionLayer : nn.Module<Tensor, Tensor>
{
    private readonly int _channels;
    private readonly string _place;

    private readonly Conv2d reduction;
    private readonly LayerNorm norm;

    /// <summary>A transition with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="convolution">What the transition is.</param>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the transition stands, as messages name it.</param>
    public StridedConvolutionLayer(
        StridedConvolution convolution, int channels, Conventions? conventions = null, string place = "convolution")
        : base(nameof(StridedConvolutionLayer))
    {
        ArgumentNullException.ThrowIfNull(convolution);
        conventions ??= Conventions.PyTorch;
        _channels = channels;
        _place = place;
        var output = convolution.OutputChannels(channels);
        reduction = WeightInitialization.Convolution(
            channels, output, convolution.Kernel, convolution.Stride, convolution.Kernel / 2, bias: false,
            conventions.Initialization);
        norm = nn.LayerNorm(output, conventions.NormEpsilon);
        RegisterComponents();
    }

    /// <summary>From <c>[B, H, W, C]</c> to <c>[B, ⌈H/s⌉, ⌈W/s⌉, C']</c>.</summary>
    /// <exception cref="ArgumentException">The map has another rank, width, element type or device.</exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, reduction.weight, _place);
        using var scope = NewDisposeScope();
        return Normalisation.Apply(norm, reduction.call(map.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)).MoveToOuterDisposeScope();
    }
}
