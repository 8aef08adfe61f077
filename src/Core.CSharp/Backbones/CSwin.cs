using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// CSWin Transformer: half of the heads in vertical stripes, half in horizontal ones, wider stage by stage, and values that
/// a convolution enhances (arXiv 2107.00652). Values only; <c>Build</c> makes the model.
/// </summary>
public static class CSwin
{
    /// <summary>22,320,552 parameters, 4.3 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } = Create("cswin-tiny", 64, [1, 2, 21, 1], [2, 4, 8, 16], dropPath: 0.2);

    /// <summary>34,643,304 parameters, 6.8 GFLOPs at 224×224.</summary>
    public static Architecture Small { get; } = Create("cswin-small", 64, [2, 4, 32, 2], [2, 4, 8, 16], dropPath: 0.4);

    /// <summary>77,382,184 parameters, 15.0 GFLOPs at 224×224.</summary>
    public static Architecture Base { get; } = Create("cswin-base", 96, [2, 4, 32, 2], [4, 8, 16, 32], dropPath: 0.5);

    /// <summary>173,262,664 parameters, 33.1 GFLOPs at 224×224. Its rate of stochastic depth is that of fine-tuning.</summary>
    public static Architecture Large { get; } = Create("cswin-large", 144, [2, 4, 32, 2], [6, 12, 24, 24], dropPath: 0.2);

    /// <summary>
    /// A CSWin of any size: a convolution of 7×7 by steps of 4, padded by 2; channels doubled by convolutions of 3×3 after
    /// each stage; attention to the whole map in the last stage, and wherever a stripe is as wide as the map.
    /// </summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDim">Channels of the first stage.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="stripes">Width of the stripes of each stage (<c>split_size</c>); none: 1, 2, 7, and 7 that is not used.</param>
    /// <param name="resolution">The image size; none: 224×224.</param>
    /// <param name="classes">Logits; 0: pooled features.</param>
    /// <param name="dropPath">The rate of stochastic depth at the last block.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <param name="mlpRatio">Hidden channels of the MLPs over the block's.</param>
    /// <exception cref="ArgumentException">The lists have different lengths.</exception>
    public static Architecture Create(
        string name,
        int embedDim,
        IReadOnlyList<int> depths,
        IReadOnlyList<int> heads,
        IReadOnlyList<int>? stripes = null,
        ImageSize? resolution = null,
        int classes = 1000,
        double dropPath = 0,
        int imageChannels = 3,
        double mlpRatio = 4)
    {
        ArgumentNullException.ThrowIfNull(depths);
        ArgumentNullException.ThrowIfNull(heads);
        stripes ??= [1, 2, 7, 7];
        Hierarchy.RequireAlike(name, ("depths", depths.Count), ("heads", heads.Count), ("stripes", stripes.Count));
        var stem = new ConvolutionStem([new Convolution(7, 4, embedDim) { Padding = 2 }]) { Bias = true };
        var size = resolution ?? ImageSize.Square(224);
        // The official code divides the image's side, which leaves as many tokens where the steps divide it.
        Attention At(int stage) => stage == depths.Count - 1 || size.DividedBy(4 << stage) == ImageSize.Square(stripes[stage])
            ? new GlobalAttention(heads[stage]) { LocallyEnhanced = true }
            : new CrossShapedAttention(stripes[stage], heads[stage]);

        var stages = Hierarchy.Stages(
            depths,
            (stage, _) => new Block(At(stage)) { MlpRatio = mlpRatio },
            _ => new StridedConvolution { Bias = true });
        return new Architecture(name, stem, stages, new AveragePoolHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = size,
            DropPath = dropPath,
            Conventions = Conventions.CSwin,
        };
    }
}
