namespace LocalAttention.Core.Specification;

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
