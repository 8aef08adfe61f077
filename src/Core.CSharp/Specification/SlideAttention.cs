namespace LocalAttention.Core.Specification;

/// <summary>What stands outside the map for Slide Attention's shifts.</summary>
public enum EdgePadding
{
    /// <summary>Zeros, as the paper does.</summary>
    Zeros,

    /// <summary>The opposite edge: the map is a torus.</summary>
    Circular,

    /// <summary>The map mirrored at the edge token, which is not repeated.</summary>
    Reflect,

    /// <summary>The edge token, repeated.</summary>
    Replicate,
}

/// <summary>
/// Slide Attention: each query attends to its window through depthwise convolutions that shift keys and values, beside
/// which a learned pair deforms the shifts and merges with them at inference (CVPR 2023, arXiv 2304.04237, section 3).
/// </summary>
public sealed record SlideAttention : Attention
{
    /// <param name="window">Side of the window in tokens, odd.</param>
    /// <param name="heads">Heads; they divide the channels.</param>
    public SlideAttention(int window, int heads)
        : base(heads) => Window = window;

    /// <summary>Side of the window in tokens, odd.</summary>
    public int Window { get; init; }

    /// <summary>What stands outside the map.</summary>
    public EdgePadding Padding { get; init; } = EdgePadding.Zeros;

    /// <summary>Whether the learned convolution deforms the fixed shifts; without it this is plain local attention.</summary>
    public bool Deformed { get; init; } = true;

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; } = true;

    /// <summary>The factor of the logits; none: 1/√d.</summary>
    public double? Scale { get; init; }

    /// <inheritdoc/>
    public override string Kind => "slide";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public SlideAttention With(
        int? window = null,
        int? heads = null,
        EdgePadding? padding = null,
        bool? deformed = null,
        bool? qkvBias = null,
        double? scale = null) => this with
        {
            Window = window ?? Window,
            Heads = heads ?? Heads,
            Padding = padding ?? Padding,
            Deformed = deformed ?? Deformed,
            QkvBias = qkvBias ?? QkvBias,
            Scale = scale ?? Scale,
        };
}
