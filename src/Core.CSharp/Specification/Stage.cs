namespace LocalAttention.Core.Specification;

/// <summary>A depthwise 3×3 convolution of an MLP's hidden channels (PVTv2, arXiv 2106.13797, section 3.3).</summary>
public enum MlpConvolution
{
    /// <summary>None: every token alone.</summary>
    None,

    /// <summary>Between the first linear layer and the activation.</summary>
    Depthwise,

    /// <summary>The same after a ReLU, as PVTv2's linear models have it.</summary>
    DepthwiseAfterRelu,
}

/// <summary>
/// A pre-norm transformer block: <c>x + attention(norm(x))</c>, then <c>x + mlp(norm(x))</c>.
/// </summary>
/// <param name="Attention">How tokens attend to each other.</param>
public sealed record Block(Attention Attention)
{
    /// <summary>Hidden channels of the MLP over the block's, rounded down.</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Initial value of the learned scale of both branches (arXiv 2103.17239); none: no scale.</summary>
    public double? LayerScale { get; init; }

    /// <summary>Whether the MLP mixes neighbouring tokens.</summary>
    public MlpConvolution MlpConvolution { get; init; }

    /// <summary>Hidden channels of the MLP in a block of <paramref name="channels"/>.</summary>
    public int HiddenChannels(int channels) => (int)(channels * MlpRatio);

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Block With(
        Attention? attention = null,
        double? mlpRatio = null,
        double? layerScale = null,
        MlpConvolution? mlpConvolution = null) => this with
        {
            Attention = attention ?? Attention,
            MlpRatio = mlpRatio ?? MlpRatio,
            LayerScale = layerScale ?? LayerScale,
            MlpConvolution = mlpConvolution ?? MlpConvolution,
        };
}

/// <summary>Blocks on maps of one size, and the transition to the next stage.</summary>
/// <param name="Blocks">The blocks, first to last.</param>
public sealed record Stage(ValueList<Block> Blocks)
{
    /// <summary>
    /// Whether a learned embedding of each token's place is added before the blocks (PVT, arXiv 2102.12122, section 3.2). It is
    /// of the stage's map at the architecture's resolution, and interpolated bilinearly for other sizes.
    /// </summary>
    public bool PositionEmbedding { get; init; }

    /// <summary>Whether the map is normalised after the blocks, before the transition. After the last stage the head does it.</summary>
    public bool Norm { get; init; }

    /// <summary>What follows the blocks; none: the next stage goes on with the same map.</summary>
    public Transition? Transition { get; init; }

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Stage With(
        ValueList<Block>? blocks = null,
        Transition? transition = null,
        bool? positionEmbedding = null,
        bool? norm = null) => this with
        {
            Blocks = blocks ?? Blocks,
            Transition = transition ?? Transition,
            PositionEmbedding = positionEmbedding ?? PositionEmbedding,
            Norm = norm ?? Norm,
        };
}
