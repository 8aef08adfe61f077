using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>The layers that turn an image into the first map of tokens. Closed: patches or convolutions.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PatchStem), "patch")]
[JsonDerivedType(typeof(ConvolutionStem), "convolution")]
public abstract record Stem
{
    private protected Stem()
    {
    }

    /// <summary>Channels of the tokens that leave the stem.</summary>
    public abstract int OutputChannels { get; }

    /// <summary>Pixels between neighbouring tokens.</summary>
    public abstract int Stride { get; }
}

/// <summary>Non-overlapping patches, each projected to a token: a convolution whose stride is its kernel.</summary>
/// <param name="PatchSize">Side of a patch in pixels.</param>
/// <param name="Channels">Channels of a token.</param>
public sealed record PatchStem(int PatchSize, int Channels) : Stem
{
    /// <summary>Whether the projection has a bias.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Whether tokens are normalised after the projection.</summary>
    public bool Norm { get; init; } = true;

    /// <inheritdoc/>
    public override int OutputChannels => Channels;

    /// <inheritdoc/>
    public override int Stride => PatchSize;

    /// <summary>A copy in which the given properties are replaced.</summary>
    public PatchStem With(int? patchSize = null, int? channels = null, bool? bias = null, bool? norm = null) => this with
    {
        PatchSize = patchSize ?? PatchSize,
        Channels = channels ?? Channels,
        Bias = bias ?? Bias,
        Norm = norm ?? Norm,
    };
}

/// <summary>One convolution of a stem.</summary>
/// <param name="Kernel">Side of the kernel in pixels, odd.</param>
/// <param name="Stride">Step of the kernel.</param>
/// <param name="Channels">Output channels.</param>
public sealed record Convolution(int Kernel, int Stride, int Channels)
{
    /// <summary>Zeros on each side of the map; none: half the kernel, so that only the stride shrinks the map.</summary>
    public int? Padding { get; init; }

    /// <summary>Size after the convolution of a map of <paramref name="size"/>; less than 1 where the kernel does not fit.</summary>
    public ImageSize OutputSize(ImageSize size) => size.Convolved(Kernel, Stride, Padding ?? (Kernel / 2));
}

/// <summary>
/// Convolutions in a row, followed by a norm over the channels each, or the last one only.
/// </summary>
/// <param name="Convolutions">The convolutions, first to last.</param>
public sealed record ConvolutionStem(ValueList<Convolution> Convolutions) : Stem
{
    /// <summary>Whether the convolutions have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>
    /// Whether a norm and the activation follow each convolution but the last, after which stands a norm alone. Without,
    /// convolution follows convolution, as in NAT.
    /// </summary>
    public bool ActivatedBetween { get; init; } = true;

    /// <inheritdoc/>
    public override int OutputChannels => Convolutions.Count == 0 ? 0 : Convolutions[^1].Channels;

    /// <inheritdoc/>
    public override int Stride => Convolutions.Aggregate(1, (stride, convolution) => stride * convolution.Stride);

    /// <summary>A copy in which the given properties are replaced.</summary>
    public ConvolutionStem With(ValueList<Convolution>? convolutions = null, bool? bias = null, bool? activatedBetween = null) =>
        this with
        {
            Convolutions = convolutions ?? Convolutions,
            Bias = bias ?? Bias,
            ActivatedBetween = activatedBetween ?? ActivatedBetween,
        };
}
