namespace LocalAttention.Core.Specification;

/// <summary>
/// Every token attends to the window around it; at the border the window is shifted inwards, so that it always holds
/// <see cref="Window"/>² tokens (NAT, arXiv 2204.07143, section 3.1). Dilated, it takes every <see cref="Dilation"/>-th
/// token, and shifts among the tokens of its own residue (DiNAT, arXiv 2209.15001, section 3.1). The bias of a logit is
/// that of the true offset, <c>[heads, 2k−1, 2k−1]</c>.
/// </summary>
public sealed record NeighbourhoodAttention : Attention
{
    /// <param name="window">Side of the window in tokens, odd.</param>
    /// <param name="heads">Heads; they divide the channels.</param>
    public NeighbourhoodAttention(int window, int heads)
        : base(heads) => Window = window;

    /// <summary>
    /// Side of the window in tokens, odd. A map must have at least <see cref="Window"/>·<see cref="Dilation"/> tokens each
    /// way; a smaller one is padded at the bottom and the right, where the size policy allows it, with zeros that are attended to
    /// like all other tokens, as in the official code.
    /// </summary>
    public int Window { get; init; }

    /// <summary>Step between the tokens of a window.</summary>
    public int Dilation { get; init; } = 1;

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; } = true;

    /// <summary>Whether logits have a learned bias for each offset and head.</summary>
    public bool PositionBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => Dilation > 1 ? "dilated neighbourhood" : "neighbourhood";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public NeighbourhoodAttention With(
        int? window = null, int? heads = null, int? dilation = null, bool? qkvBias = null, bool? positionBias = null) => this with
        {
            Window = window ?? Window,
            Heads = heads ?? Heads,
            Dilation = dilation ?? Dilation,
            QkvBias = qkvBias ?? QkvBias,
            PositionBias = positionBias ?? PositionBias,
        };
}
