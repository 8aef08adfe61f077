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

/// <summary>One convolution of a stem: padded by half its kernel, so that only the stride shrinks the map.</summary>
/// <param name="Kernel">Side of the kernel in pixels, odd.</param>
/// <param name="Stride">Step of the kernel.</param>
/// <param name="Channels">Output channels.</param>
public sealed record Convolution(int Kernel, int Stride, int Channels);

/// <summary>
/// Convolutions in a row, each without a bias and followed by a norm over the channels and, but for the last, the
/// activation.
/// </summary>
/// <param name="Convolutions">The convolutions, first to last.</param>
public sealed record ConvolutionStem(ValueList<Convolution> Convolutions) : Stem
{
    /// <inheritdoc/>
    public override int OutputChannels => Convolutions.Count == 0 ? 0 : Convolutions[^1].Channels;

    /// <inheritdoc/>
    public override int Stride => Convolutions.Aggregate(1, (stride, convolution) => stride * convolution.Stride);
}
