using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Swin's transition (arXiv 2103.14030, section 3.1): the four tokens of each 2×2 square side by side, in the order upper
/// left, lower left, upper right, lower right, normalised, and projected without a bias. <c>[B, H, W, C]</c> to
/// <c>[B, ⌈H/2⌉, ⌈W/2⌉, C']</c>; odd sides are padded with zeros where the size policy allows it.
/// </summary>
/// <remarks>Parameters: <c>norm.{weight,bias}</c>, <c>reduction.weight</c>.</remarks>
public sealed class PatchMergingLayer : nn.Module<Tensor, Tensor>
{
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly LayerNorm norm;
    private readonly Linear reduction;

    /// <summary>A transition with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="outputChannels">Channels that leave.</param>
    /// <param name="sizePolicy">What is done with odd sides.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the transition stands, as messages name it.</param>
    public PatchMergingLayer(
        int channels,
        int outputChannels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "patch merging")
        : base(nameof(PatchMergingLayer))
    {
        conventions ??= Conventions.PyTorch;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        norm = nn.LayerNorm(4L * channels, conventions.EpsilonAroundBlocks);
        reduction = WeightInitialization.Linear(4L * channels, outputChannels, bias: false, conventions.Initialization);
        RegisterComponents();
    }

    /// <summary>From <c>[B, H, W, C]</c> to <c>[B, ⌈H/2⌉, ⌈W/2⌉, C']</c>.</summary>
    /// <exception cref="ArgumentException">The map does not fit, or a side is odd and the size policy is exact.</exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, reduction.weight, _place);
        using var scope = NewDisposeScope();
        var padded = TokenPadding.ToMultiple(map, (1, 2), 2, _sizePolicy, _place, "map");
        var (batch, height, width) = (padded.size(0), padded.size(1) / 2, padded.size(2) / 2);
        var squares = padded.view(batch, height, 2, width, 2, _channels)
            .permute(0, 1, 3, 4, 2, 5)
            .reshape(batch, height, width, 4L * _channels);
        return Projection.Apply(reduction, Normalisation.Apply(norm, squares)).MoveToOuterDisposeScope();
    }
}
