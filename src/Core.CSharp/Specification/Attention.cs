using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>
/// A way in which the tokens of a map attend to each other. The hierarchy is closed: <see cref="QnAAttention"/>,
/// <see cref="SlideAttention"/>, <see cref="WindowAttention"/>, <see cref="GlobalAttention"/>; F# matches it through one
/// complete active pattern.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(QnAAttention), "qna")]
[JsonDerivedType(typeof(SlideAttention), "slide")]
[JsonDerivedType(typeof(WindowAttention), "window")]
[JsonDerivedType(typeof(GlobalAttention), "global")]
public abstract record Attention
{
    private protected Attention(int heads) => Heads = heads;

    /// <summary>Heads that the channels are divided among.</summary>
    public int Heads { get; init; }

    /// <summary>The short name of the kind, as files and tables write it: <c>qna</c>, <c>slide</c>, <c>window</c>, <c>global</c>.</summary>
    public abstract string Kind { get; }

    /// <summary>The same attention with another number of heads.</summary>
    public Attention WithHeads(int heads) => this with { Heads = heads };
}

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

/// <summary>In which order a joint projection lays out queries, keys and values.</summary>
public enum QkvOrder
{
    /// <summary>All queries, all keys, all values, each divided into heads: Swin.</summary>
    QkvMajor,

    /// <summary>For each head its query, key and value: QnA-ViT's window attention, Slide Attention.</summary>
    HeadMajor,
}

/// <summary>
/// Self-attention inside non-overlapping windows, plain or shifted by half a window with a mask
/// (Swin, arXiv 2103.14030, section 3.2). A window that covers the map is global attention, and is never shifted.
/// </summary>
public sealed record WindowAttention : Attention
{
    /// <param name="window">Side of the window in tokens.</param>
    /// <param name="heads">Heads; they divide the channels.</param>
    public WindowAttention(int window, int heads)
        : base(heads) => Window = window;

    /// <summary>Side of the window in tokens. Where the map is smaller, the window is the map.</summary>
    public int Window { get; init; }

    /// <summary>Whether the windows are shifted by half their side (rounded down) in both directions.</summary>
    public bool Shifted { get; init; }

    /// <summary>The layout of the joint projection.</summary>
    public QkvOrder Order { get; init; } = QkvOrder.QkvMajor;

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; } = true;

    /// <summary>Whether the output projection has a bias.</summary>
    public bool ProjectionBias { get; init; } = true;

    /// <summary>Whether logits have a learned bias for each relative position and head.</summary>
    public bool PositionBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => "window";

    /// <summary>Whether one window holds a whole map of <paramref name="size"/>, so that nothing is divided or shifted.</summary>
    public bool Covers(ImageSize size) => Window >= size.Height && Window >= size.Width;

    /// <summary>A copy in which the given properties are replaced.</summary>
    public WindowAttention With(
        int? window = null,
        int? heads = null,
        bool? shifted = null,
        QkvOrder? order = null,
        bool? qkvBias = null,
        bool? projectionBias = null,
        bool? positionBias = null) => this with
        {
            Window = window ?? Window,
            Heads = heads ?? Heads,
            Shifted = shifted ?? Shifted,
            Order = order ?? Order,
            QkvBias = qkvBias ?? QkvBias,
            ProjectionBias = projectionBias ?? ProjectionBias,
            PositionBias = positionBias ?? PositionBias,
        };
}

/// <summary>Self-attention of all tokens to all tokens, without a position bias, so that it takes maps of any size.</summary>
public sealed record GlobalAttention : Attention
{
    /// <param name="heads">Heads; they divide the channels.</param>
    public GlobalAttention(int heads)
        : base(heads)
    {
    }

    /// <summary>The layout of the joint projection.</summary>
    public QkvOrder Order { get; init; } = QkvOrder.QkvMajor;

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; } = true;

    /// <summary>Whether the output projection has a bias.</summary>
    public bool ProjectionBias { get; init; } = true;

    /// <inheritdoc/>
    public override string Kind => "global";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public GlobalAttention With(int? heads = null, QkvOrder? order = null, bool? qkvBias = null, bool? projectionBias = null) =>
        this with
        {
            Heads = heads ?? Heads,
            Order = order ?? Order,
            QkvBias = qkvBias ?? QkvBias,
            ProjectionBias = projectionBias ?? ProjectionBias,
        };
}
