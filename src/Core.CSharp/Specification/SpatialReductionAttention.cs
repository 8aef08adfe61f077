namespace LocalAttention.Core.Specification;

/// <summary>
/// Every token attends to a smaller map: keys and values come from patches of <see cref="Reduction"/>×<see cref="Reduction"/>
/// tokens, each projected to one token and normalised (PVT, arXiv 2102.12122, section 3.3). No position bias.
/// </summary>
public sealed record SpatialReductionAttention : Attention
{
    /// <param name="reduction">Side of the patches; 1: none, every token attends to every other.</param>
    /// <param name="heads">Heads; they divide the channels.</param>
    public SpatialReductionAttention(int reduction, int heads)
        : base(heads) => Reduction = reduction;

    /// <summary>Side of the patches in tokens; 1: keys and values of all tokens, without a norm.</summary>
    public int Reduction { get; init; }

    /// <summary>Whether the projections to queries and to keys and values have biases.</summary>
    public bool QkvBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => "reduction";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public SpatialReductionAttention With(int? reduction = null, int? heads = null, bool? qkvBias = null) => this with
    {
        Reduction = reduction ?? Reduction,
        Heads = heads ?? Heads,
        QkvBias = qkvBias ?? QkvBias,
    };
}

/// <summary>
/// Every token attends to a map of fixed size, whatever its own: the average of <see cref="Pool"/>×<see cref="Pool"/> cells, a
/// 1×1 convolution, a norm and GELU (linear spatial reduction, PVTv2, arXiv 2106.13797, section 3.3). No position bias.
/// </summary>
public sealed record PooledAttention : Attention
{
    /// <param name="pool">Side of the map of keys and values.</param>
    /// <param name="heads">Heads; they divide the channels.</param>
    public PooledAttention(int pool, int heads)
        : base(heads) => Pool = pool;

    /// <summary>Side of the map of keys and values, in tokens: 7 in PVTv2.</summary>
    public int Pool { get; init; }

    /// <summary>Whether the projections to queries and to keys and values have biases.</summary>
    public bool QkvBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => "pooled";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public PooledAttention With(int? pool = null, int? heads = null, bool? qkvBias = null) => this with
    {
        Pool = pool ?? Pool,
        Heads = heads ?? Heads,
        QkvBias = qkvBias ?? QkvBias,
    };
}
