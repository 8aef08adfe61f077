using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The transition of a strided convolution and a norm: <c>[B, H, W, C]</c> to <c>[B, ⌈H/s⌉, ⌈W/s⌉, C']</c>. An odd kernel is
/// padded by half its side. An even one projects patches that do not overlap: where they do not divide the map and the size
/// policy allows it, zeros are added at the bottom and the right.
/// </summary>
/// <remarks>Parameters: <c>reduction.{weight,bias}</c>, <c>norm.{weight,bias}</c>.</remarks>
public sealed class StridedConvolutionLayer : nn.Module<Tensor, Tensor>
{
    private readonly StridedConvolution _convolution;
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly Conv2d reduction;
    private readonly LayerNorm norm;

    /// <summary>A transition with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="convolution">What the transition is.</param>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="sizePolicy">What is done with maps that patches do not divide.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the transition stands, as messages name it.</param>
    public StridedConvolutionLayer(
        StridedConvolution convolution,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "convolution")
        : base(nameof(StridedConvolutionLayer))
    {
        ArgumentNullException.ThrowIfNull(convolution);
        conventions ??= Conventions.PyTorch;
        _convolution = convolution;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        var output = convolution.OutputChannels(channels);
        reduction = WeightInitialization.Convolution(
            channels, output, convolution.Kernel, convolution.Stride, convolution.IsPatches ? 0 : convolution.Kernel / 2,
            convolution.Bias, conventions.Initialization);
        norm = nn.LayerNorm(output, conventions.EpsilonAroundBlocks);
        RegisterComponents();
    }

    /// <summary>From <c>[B, H, W, C]</c> to <c>[B, ⌈H/s⌉, ⌈W/s⌉, C']</c>.</summary>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or patches do not divide it and the size policy is exact.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, reduction.weight, _place);
        using var scope = NewDisposeScope();
        var whole = _convolution.IsPatches
            ? TokenPadding.ToMultiple(map, (1, 2), _convolution.Stride, _sizePolicy, _place, "map")
            : map;
        return Normalisation.Apply(norm, reduction.call(whole.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)).MoveToOuterDisposeScope();
    }
}
