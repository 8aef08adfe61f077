using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// PVTv2: overlapping patches, MLPs with a depthwise convolution in place of embeddings of places, a norm after each stage
/// and no class token (arXiv 2106.13797). Values only; <c>Build</c> makes the model.
/// </summary>
/// <remarks>
/// Freshly built, the convolutions of its stem, between its stages and of its reductions start as every <c>Conv2d</c> does;
/// the official code draws those too from a normal distribution of variance 2/fan-out. Loaded parameters are not concerned.
/// </remarks>
public static class PvtV2
{
    /// <summary>3,666,760 parameters, 0.6 GFLOPs at 224×224.</summary>
    public static Architecture B0 { get; } = Create("pvt-v2-b0", [32, 64, 160, 256], [2, 2, 2, 2], [1, 2, 5, 8], dropPath: 0.1);

    /// <summary>14,009,000 parameters, 2.1 GFLOPs at 224×224.</summary>
    public static Architecture B1 { get; } = Create("pvt-v2-b1", [64, 128, 320, 512], [2, 2, 2, 2], [1, 2, 5, 8], dropPath: 0.1);

    /// <summary>25,362,856 parameters, 4.0 GFLOPs at 224×224.</summary>
    public static Architecture B2 { get; } = Create("pvt-v2-b2", [64, 128, 320, 512], [3, 4, 6, 3], [1, 2, 5, 8], dropPath: 0.1);

    /// <summary>22,553,512 parameters, 3.9 GFLOPs at 224×224: <see cref="B2"/> whose keys are 7×7 pooled tokens.</summary>
    public static Architecture B2Linear { get; } =
        Create("pvt-v2-b2-li", [64, 128, 320, 512], [3, 4, 6, 3], [1, 2, 5, 8], linear: true, dropPath: 0.1);

    /// <summary>45,238,696 parameters, 6.9 GFLOPs at 224×224.</summary>
    public static Architecture B3 { get; } = Create("pvt-v2-b3", [64, 128, 320, 512], [3, 4, 18, 3], [1, 2, 5, 8], dropPath: 0.3);

    /// <summary>62,556,072 parameters, 10.1 GFLOPs at 224×224.</summary>
    public static Architecture B4 { get; } = Create("pvt-v2-b4", [64, 128, 320, 512], [3, 8, 27, 3], [1, 2, 5, 8], dropPath: 0.3);

    /// <summary>81,956,008 parameters, 11.7 GFLOPs at 224×224.</summary>
    public static Architecture B5 { get; } =
        Create("pvt-v2-b5", [64, 128, 320, 512], [3, 6, 40, 3], [1, 2, 5, 8], mlpRatios: [4, 4, 4, 4], dropPath: 0.3);

    /// <summary>
    /// A PVTv2 of any size: a convolution of 7×7 by steps of 4, then of 3×3 by steps of 2 between stages.
    /// </summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDims">Channels of each stage.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="linear">Whether keys and values are 7×7 pooled tokens (<c>linear</c>), whatever the reductions.</param>
    /// <param name="reductions">Side of the patches that become one key (<c>sr_ratios</c>); none: 8, 4, 2, 1.</param>
    /// <param name="mlpRatios">Hidden channels of the MLPs over the block's; none: 8, 8, 4, 4.</param>
    /// <param name="resolution">The image size; none: 224×224.</param>
    /// <param name="classes">Logits; 0: pooled features.</param>
    /// <param name="dropPath">The rate of stochastic depth at the last block.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <exception cref="ArgumentException">The lists have different lengths.</exception>
    public static Architecture Create(
        string name,
        IReadOnlyList<int> embedDims,
        IReadOnlyList<int> depths,
        IReadOnlyList<int> heads,
        bool linear = false,
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
        Attention At(int stage) =>
            linear ? new PooledAttention(7, heads[stage]) : new SpatialReductionAttention(reductions[stage], heads[stage]);

        var stages = Hierarchy.Stages(
            depths,
            (stage, _) => new Block(At(stage))
            {
                MlpRatio = mlpRatios[stage],
                MlpConvolution = linear ? MlpConvolution.DepthwiseAfterRelu : MlpConvolution.Depthwise,
            },
            stage => new StridedConvolution { Bias = true, Channels = embedDims[stage + 1] });
        return new Architecture(
            name,
            new ConvolutionStem([new Convolution(7, 4, embedDims[0])]) { Bias = true },
            // The norm after the last stage is the head's.
            ValueList.From(stages.Select(stage => stage with { Norm = stage.Transition is not null })),
            new AveragePoolHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = resolution ?? ImageSize.Square(224),
            DropPath = dropPath,
            Conventions = Conventions.Pvt,
        };
    }
}
