namespace LocalAttention.Core.Specification;

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

    /// <summary>
    /// Whether a depthwise 3×3 convolution of the values is added to the output, heads side by side: locally enhanced
    /// position encoding (CSwin, arXiv 2107.00652, section 3.3), in CSwin's last stage.
    /// </summary>
    public bool LocallyEnhanced { get; init; }

    /// <inheritdoc/>
    public override string Kind => "global";

    /// <summary>A copy in which the given properties are replaced.</summary>
    public GlobalAttention With(
        int? heads = null,
        QkvOrder? order = null,
        bool? qkvBias = null,
        bool? projectionBias = null,
        bool? locallyEnhanced = null) => this with
        {
            Heads = heads ?? Heads,
            Order = order ?? Order,
            QkvBias = qkvBias ?? QkvBias,
            ProjectionBias = projectionBias ?? ProjectionBias,
            LocallyEnhanced = locallyEnhanced ?? LocallyEnhanced,
        };
}
