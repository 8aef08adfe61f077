using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>
/// What stands between a stage and the next and changes the map's size and channels. Closed:
/// <see cref="PatchMerging"/>, <see cref="StridedConvolution"/>, <see cref="QnADownsampling"/>, <see cref="QnAUpsampling"/>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PatchMerging), "patchMerging")]
[JsonDerivedType(typeof(StridedConvolution), "stridedConvolution")]
[JsonDerivedType(typeof(QnADownsampling), "qnaDownsampling")]
[JsonDerivedType(typeof(QnAUpsampling), "qnaUpsampling")]
public abstract record Transition
{
    private protected Transition()
    {
    }

    /// <summary>Channels after the transition; none: the kind's own rule.</summary>
    public int? Channels { get; init; }

    /// <summary>The short name of the kind, as tables write it.</summary>
    public abstract string Kind { get; }

    /// <summary>Channels after the transition of a map of <paramref name="inputChannels"/> channels.</summary>
    public abstract int OutputChannels(int inputChannels);

    /// <summary>Size after the transition of a map of <paramref name="size"/>.</summary>
    public abstract ImageSize OutputSize(ImageSize size);
}

/// <summary>
/// Swin's: the four tokens of each 2×2 square side by side, normalised and projected without a bias
/// (arXiv 2103.14030, section 3.1). Doubles the channels unless told otherwise.
/// </summary>
public sealed record PatchMerging : Transition
{
    /// <inheritdoc/>
    public override string Kind => "patch merging";

    /// <inheritdoc/>
    public override int OutputChannels(int inputChannels) => Channels ?? 2 * inputChannels;

    /// <inheritdoc/>
    public override ImageSize OutputSize(ImageSize size) => size.DividedBy(2);
}

/// <summary>
/// A strided convolution, then a norm. Doubles the channels unless told otherwise. An odd kernel is padded by half its side;
/// an even one is the stride: patches that do not overlap, as in PVT.
/// </summary>
public sealed record StridedConvolution : Transition
{
    /// <summary>Side of the kernel: odd, or equal to the stride.</summary>
    public int Kernel { get; init; } = 3;

    /// <summary>Step of the kernel.</summary>
    public int Stride { get; init; } = 2;

    /// <summary>Whether the convolution has a bias.</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the kernel's places do not overlap and need no padding: an even kernel of the stride's length.</summary>
    public bool IsPatches => Kernel % 2 == 0;

    /// <inheritdoc/>
    public override string Kind => "convolution";

    /// <inheritdoc/>
    public override int OutputChannels(int inputChannels) => Channels ?? 2 * inputChannels;

    /// <inheritdoc/>
    public override ImageSize OutputSize(ImageSize size) => size.DividedBy(Stride);
}

/// <summary>The path around a strided QnA layer.</summary>
public enum SkipPath
{
    /// <summary>A 1×1 convolution with the same stride, without a bias.</summary>
    Convolution,

    /// <summary>Average pooling over the layer's window, then a 1×1 convolution without a bias.</summary>
    AveragePool,
}

/// <summary>
/// A QnA block whose queries stand only at every <see cref="Stride"/>-th position, with a skip path of the same stride
/// (arXiv 2112.11435, section 4.3). Doubles the channels unless told otherwise.
/// </summary>
/// <param name="Attention">The attention; its heads are those after the transition.</param>
public sealed record QnADownsampling(QnAAttention Attention) : Transition
{
    /// <summary>Step between queries.</summary>
    public int Stride { get; init; } = 2;

    /// <summary>The path around the attention.</summary>
    public SkipPath Skip { get; init; } = SkipPath.Convolution;

    /// <summary>Hidden channels of the MLP over the output's.</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Initial value of the learned scale of both branches; none: no scale.</summary>
    public double? LayerScale { get; init; }

    /// <inheritdoc/>
    public override string Kind => "qna";

    /// <inheritdoc/>
    public override int OutputChannels(int inputChannels) => Channels ?? 2 * inputChannels;

    /// <inheritdoc/>
    public override ImageSize OutputSize(ImageSize size) => size.DividedBy(Stride);
}

/// <summary>
/// A QnA block with one set of queries for each of the <c>Factor²</c> positions that a token becomes, arranged as pixel
/// shuffle; the skip path repeats tokens and projects them (arXiv 2112.11435, section 4.3). Halves the channels unless
/// told otherwise.
/// </summary>
/// <param name="Attention">The attention; its heads are those after the transition.</param>
public sealed record QnAUpsampling(QnAAttention Attention) : Transition
{
    /// <summary>How many times larger each side becomes.</summary>
    public int Factor { get; init; } = 2;

    /// <summary>Hidden channels of the MLP over the output's.</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Initial value of the learned scale of both branches; none: no scale.</summary>
    public double? LayerScale { get; init; }

    /// <inheritdoc/>
    public override string Kind => "qna upsampling";

    /// <inheritdoc/>
    public override int OutputChannels(int inputChannels) => Channels ?? Math.Max(1, inputChannels / 2);

    /// <inheritdoc/>
    public override ImageSize OutputSize(ImageSize size) => size.Times(Factor);
}
