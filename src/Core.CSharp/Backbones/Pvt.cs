using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Pyramid Vision Transformer: every token attends to a map that patches made smaller, stage by stage less; learned
/// embeddings of places; a class token (PVT, arXiv 2102.12122). Values only; <c>Build</c> makes the model.
/// </summary>
public static class Pvt
{
    /// <summary>13,229,288 parameters, 1.9 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } = Create("pvt-tiny", [64, 128, 320, 512], [2, 2, 2, 2], [1, 2, 5, 8], dropPath: 0.1);

    /// <summary>24,485,864 parameters, 3.8 GFLOPs at 224×224.</summary>
    public static Architecture Small { get; } = Create("pvt-small", [64, 128, 320, 512], [3, 4, 6, 3], [1, 2, 5, 8], dropPath: 0.1);

    /// <summary>44,208,104 parameters, 6.7 GFLOPs at 224×224.</summary>
    public static Architecture Medium { get; } = Create("pvt-medium", [64, 128, 320, 512], [3, 4, 18, 3], [1, 2, 5, 8], dropPath: 0.3);

    /// <summary>61,369,320 parameters, 9.8 GFLOPs at 224×224.</summary>
    public static Architecture Large { get; } = Create("pvt-large", [64, 128, 320, 512], [3, 8, 27, 3], [1, 2, 5, 8], dropPath: 0.3);

    /// <summary>A PVT of any size: patches of 4×4, then of 2×2 between stages, each stage with an embedding of places.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDims">Channels of each stage.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="reductions">
    /// Side of the patches that become one key (<c>sr_ratios</c>); none: 8, 4, 2, 1. That of the last stage must be 1, as its
    /// class token has no place in a patch.
    /// </param>
    /// <param name="mlpRatios">Hidden channels of the MLPs over the block's; none: 8, 8, 4, 4.</param>
    /// <param name="resolution">The image size, which the embeddings of places are for; none: 224×224.</param>
    /// <param name="classes">Logits; 0: the normalised class token.</param>
    /// <param name="dropPath">The rate of stochastic depth at the last block.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <exception cref="ArgumentException">The lists have different lengths.</exception>
    public static Architecture Create(
        string name,
        IReadOnlyList<int> embedDims,
        IReadOnlyList<int> depths,
        IReadOnlyList<int> heads,
        IReadOnlyList<int>? reductions = null,
        IReadOnlyList<double>? mlpRatios = null,
        ImageSize? resolution = null,
        int classes = 1000,
        double dropPath = 0,
        int imageChannels = 3)
    {
        ArgumentNullException.ThrowIfNull(embedDims);
        ArgumentNullException.ThrowIfNull(depths);
        ArgumentNullException.ThrowIfNull(heads);
        reductions ??= [8, 4, 2, 1];
        mlpRatios ??= [8, 8, 4, 4];
        Hierarchy.RequireAlike(
            name, ("channels", embedDims.Count), ("depths", depths.Count), ("heads", heads.Count),
            ("reductions", reductions.Count), ("MLP ratios", mlpRatios.Count));
        var stages = Hierarchy.Stages(
            depths,
            (stage, _) => new Block(new SpatialReductionAttention(reductions[stage], heads[stage])) { MlpRatio = mlpRatios[stage] },
            stage => new StridedConvolution { Kernel = 2, Stride = 2, Bias = true, Channels = embedDims[stage + 1] });
        return new Architecture(
            name,
            new PatchStem(4, embedDims[0]),
            ValueList.From(stages.Select(stage => stage with { PositionEmbedding = true })),
            new ClassTokenHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = resolution ?? ImageSize.Square(224),
            DropPath = dropPath,
            Conventions = Conventions.Pvt,
        };
    }
}
