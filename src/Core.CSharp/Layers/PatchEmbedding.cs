using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The stem that projects each non-overlapping patch to a token (arXiv 2010.11929, section 3.1), and normalises it where
/// asked: from images <c>[B, channels, H, W]</c> to a map <c>[B, ⌈H/p⌉, ⌈W/p⌉, C]</c>. Images whose sides the patch does not
/// divide are padded with zeros at the bottom and the right, where the size policy allows it.
/// </summary>
/// <remarks>Parameters: <c>proj.{weight,bias}</c>, <c>norm.{weight,bias}</c>.</remarks>
public sealed class PatchEmbedding : nn.Module<Tensor, Tensor>
{
    private readonly int _patchSize;
    private readonly SizePolicy _sizePolicy;

    private readonly Conv2d proj;
    private readonly LayerNorm? norm;

    /// <summary>A stem with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="stem">What the stem is.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <param name="sizePolicy">What is done with images that patches do not divide.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    public PatchEmbedding(PatchStem stem, int imageChannels, SizePolicy sizePolicy = SizePolicy.Pad, Conventions? conventions = null)
        : base(nameof(PatchEmbedding))
    {
        ArgumentNullException.ThrowIfNull(stem);
        conventions ??= Conventions.PyTorch;
        _patchSize = stem.PatchSize;
        _sizePolicy = sizePolicy;
        proj = WeightInitialization.Convolution(
            imageChannels, stem.Channels, stem.PatchSize, stem.PatchSize, padding: 0, stem.Bias, conventions.Initialization);
        norm = stem.Norm ? nn.LayerNorm(stem.Channels, conventions.EpsilonAroundBlocks) : null;
        RegisterComponents();
    }

    /// <summary>From images <c>[B, channels, H, W]</c> to tokens <c>[B, H', W', C]</c>.</summary>
    /// <exception cref="ArgumentException">Patches do not divide the images and the size policy is exact.</exception>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var padded = TokenPadding.ToMultiple(images, (2, 3), _patchSize, _sizePolicy, "stem", "image");
        var tokens = proj.call(padded).permute(0, 2, 3, 1);
        return (norm is null ? tokens.contiguous() : Normalisation.Apply(norm, tokens)).MoveToOuterDisposeScope();
    }
}
