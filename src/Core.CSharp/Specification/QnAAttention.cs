using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>How QnA weighs each offset and query in the numerator of its aggregation (the scale <c>A</c>).</summary>
public enum AttentionScale
{
    /// <summary>Learned, one for each offset and query·head, initialised N(0, 0.02).</summary>
    Normal,

    /// <summary>Learned, one for each query·head, initialised N(0, 0.02).</summary>
    NormalElementwise,

    /// <summary>Fixed: +1 for the first half of the query·head axis, −1 for the second.</summary>
    PositiveNegative,

    /// <summary>Learned, one for each offset, query and head, initialised 1.</summary>
    Ones,

    /// <summary>Fixed: one over the number of queries.</summary>
    Average,

    /// <summary>No scale: plain softmax attention, summed over queries.</summary>
    None,
}

/// <summary>How QnA's scores depend on the offset in the window (the bias <c>P</c>).</summary>
public enum PositionBias
{
    /// <summary>A learned table, one value for each offset and query·head.</summary>
    Relative,

    /// <summary>A learned linear map of the query to one value for each offset and head (arXiv 2107.14222).</summary>
    Contextual,

    /// <summary>The product of the query with a learned embedding of each offset.</summary>
    Absolute,

    /// <summary>No bias.</summary>
    None,
}

/// <summary>What is done to QnA's learned queries before they are divided by √d: nothing, unit norm, or a largest norm.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(FreeNorm), "free")]
[JsonDerivedType(typeof(UnitNorm), "unit")]
[JsonDerivedType(typeof(LargestNorm), "largest")]
public abstract record QueryNorm
{
    private protected QueryNorm()
    {
    }

    /// <summary>Queries as they are.</summary>
    public static QueryNorm Free { get; } = new FreeNorm();

    /// <summary>Queries divided by their norm, the norm inside the gradient: the default.</summary>
    public static QueryNorm Unit { get; } = new UnitNorm();
}

/// <summary>Queries as they are.</summary>
public sealed record FreeNorm : QueryNorm;

/// <summary>Each head's query divided by its L2 norm plus 1e-6 (<c>normalize_q</c>).</summary>
public sealed record UnitNorm : QueryNorm
{
    /// <summary>Whether the norm is held constant in the gradient (<c>qna_normalize_stop_grads</c>).</summary>
    public bool StopGradient { get; init; }
}

/// <summary>Each head's query scaled down to a norm of at most <paramref name="Limit"/> (<c>max_norm</c>).</summary>
/// <param name="Limit">The largest L2 norm, above 0.</param>
public sealed record LargestNorm(double Limit) : QueryNorm;

/// <summary>
/// Query-and-attend: learned queries shared by all windows attend to each position's neighbourhood
/// (QnA, CVPR 2022, arXiv 2112.11435, section 4).
/// </summary>
public sealed record QnAAttention : Attention
{
    /// <param name="window">Side of the window in tokens, odd.</param>
    /// <param name="heads">Heads; they divide <see cref="Width"/>.</param>
    public QnAAttention(int window, int heads)
        : base(heads) => Window = window;

    /// <summary>Side of the window in tokens, odd.</summary>
    public int Window { get; init; }

    /// <summary>Learned queries, each with all heads; their outputs are summed.</summary>
    public int Queries { get; init; } = 2;

    /// <summary>Channels of queries and values; none: those of the output.</summary>
    public int? Width { get; init; }

    /// <summary>The scale <c>A</c> in the numerator.</summary>
    public AttentionScale Scale { get; init; } = AttentionScale.Normal;

    /// <summary>The bias <c>P</c> of the scores.</summary>
    public PositionBias Position { get; init; } = PositionBias.Relative;

    /// <summary>Whether the relative bias is divided by √d (<c>scale_rpe_bias</c>).</summary>
    public bool ScalePositionBias { get; init; }

    /// <summary>What is done to the queries' norm.</summary>
    public QueryNorm Norm { get; init; } = QueryNorm.Unit;

    /// <summary>Whether the projections of keys, values and outputs have biases.</summary>
    public bool Bias { get; init; }

    /// <inheritdoc/>
    public override string Kind => "qna";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public QnAAttention With(
        int? window = null,
        int? heads = null,
        int? queries = null,
        int? width = null,
        AttentionScale? scale = null,
        PositionBias? position = null,
        bool? scalePositionBias = null,
        QueryNorm? norm = null,
        bool? bias = null) => this with
        {
            Window = window ?? Window,
            Heads = heads ?? Heads,
            Queries = queries ?? Queries,
            Width = width ?? Width,
            Scale = scale ?? Scale,
            Position = position ?? Position,
            ScalePositionBias = scalePositionBias ?? ScalePositionBias,
            Norm = norm ?? Norm,
            Bias = bias ?? Bias,
        };
}
