namespace LocalAttention.Core.Specification;

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

    /// <summary>Hidden channels of the MLP in a block of <paramref name="channels"/>.</summary>
    public int HiddenChannels(int channels) => (int)(channels * MlpRatio);

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Block With(Attention? attention = null, double? mlpRatio = null, double? layerScale = null) => this with
    {
        Attention = attention ?? Attention,
        MlpRatio = mlpRatio ?? MlpRatio,
        LayerScale = layerScale ?? LayerScale,
    };
}

/// <summary>Blocks on maps of one size, and the transition to the next stage.</summary>
/// <param name="Blocks">The blocks, first to last.</param>
public sealed record Stage(ValueList<Block> Blocks)
{
    /// <summary>What follows the blocks; none: the next stage goes on with the same map.</summary>
    public Transition? Transition { get; init; }

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Stage With(ValueList<Block>? blocks = null, Transition? transition = null) => this with
    {
        Blocks = blocks ?? Blocks,
        Transition = transition ?? Transition,
    };
}
