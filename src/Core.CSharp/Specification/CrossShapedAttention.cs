namespace LocalAttention.Core.Specification;

/// <summary>
/// Half of the heads attend inside vertical stripes of <see cref="Stripe"/> columns and the whole height, half inside
/// horizontal ones; in each, a depthwise 3×3 convolution of the values, which ends at the stripe's border, is added to the
/// output: locally enhanced position encoding (CSwin, arXiv 2107.00652, sections 3.2 and 3.3).
/// </summary>
public sealed record CrossShapedAttention : Attention
{
    /// <param name="stripe">Width of a stripe in tokens.</param>
    /// <param name="heads">Heads, an even number; they divide the channels.</param>
    public CrossShapedAttention(int stripe, int heads)
        : base(heads) => Stripe = stripe;

    /// <summary>Width of a stripe in tokens. Where the map is narrower, the stripe is the map.</summary>
    public int Stripe { get; init; }

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => "cross-shaped";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public CrossShapedAttention With(int? stripe = null, int? heads = null, bool? qkvBias = null) => this with
    {
        Stripe = stripe ?? Stripe,
        Heads = heads ?? Heads,
        QkvBias = qkvBias ?? QkvBias,
    };
}
