using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Neighborhood Attention Transformer: every token attends to the window around it, moved inwards at the border (NAT, arXiv
/// 2204.07143). Values only; <c>Build</c> makes the model.
/// </summary>
public static class Nat
{
    /// <summary>19,984,174 parameters, 2.7 GFLOPs at 224×224.</summary>
    public static Architecture Mini { get; } = Create("nat-mini", 64, [3, 4, 6, 5], [2, 4, 8, 16], 3, dropPath: 0.2);

    /// <summary>27,901,582 parameters, 4.3 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } = Create("nat-tiny", 64, [3, 4, 18, 5], [2, 4, 8, 16], 3, dropPath: 0.2);

    /// <summary>50,743,297 parameters, 7.8 GFLOPs at 224×224.</summary>
    public static Architecture Small { get; } =
        Create("nat-small", 96, [3, 4, 18, 5], [3, 6, 12, 24], 2, layerScale: 1e-5, dropPath: 0.3);

    /// <summary>89,769,652 parameters, 13.7 GFLOPs at 224×224.</summary>
    public static Architecture Base { get; } =
        Create("nat-base", 128, [3, 4, 18, 5], [4, 8, 16, 32], 2, layerScale: 1e-5, dropPath: 0.5);

    /// <summary>
    /// A NAT of any size: two convolutions of 3×3 by steps of 2, nothing between them; channels doubled by a convolution of 3×3
    /// after each stage.
    /// </summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDim">Channels of the first stage, an even number.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="mlpRatio">Hidden channels of the MLPs over the block's.</param>
    /// <param name="window">Side of the windows (<c>kernel_size</c>).</param>
    /// <param name="dilations">
    /// The dilation of every second block of each stage; the others, the first among them, have 1. None: 1 everywhere.
    /// </param>
    /// <param name="layerScale">Initial value of the layer scales; none: no scale.</param>
    /// <param name="resolution">The image size; none: 224×224.</param>
    /// <param name="classes">Logits; 0: pooled features.</param>
    /// <param name="dropPath">The rate of stochastic depth at the last block.</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <exception cref="ArgumentException">The lists have different lengths.</exception>
    public static Architecture Create(
        string name,
        int embedDim,
        IReadOnlyList<int> depths,
        IReadOnlyList<int> heads,
        double mlpRatio = 3,
        int window = 7,
        IReadOnlyList<int>? dilations = null,
        double? layerScale = null,
        ImageSize? resolution = null,
        int classes = 1000,
        double dropPath = 0,
        int imageChannels = 3)
    {
        ArgumentNullException.ThrowIfNull(depths);
        ArgumentNullException.ThrowIfNull(heads);
        dilations ??= [.. depths.Select(_ => 1)];
        Hierarchy.RequireAlike(name, ("depths", depths.Count), ("heads", heads.Count), ("dilations", dilations.Count));
        var stem = new ConvolutionStem([new Convolution(3, 2, embedDim / 2), new Convolution(3, 2, embedDim)])
        {
            Bias = true,
            ActivatedBetween = false,
        };
        var stages = Hierarchy.Stages(
            depths,
            (stage, block) => new Block(new NeighbourhoodAttention(window, heads[stage])
            {
                Dilation = block % 2 == 1 ? dilations[stage] : 1,
            })
            {
                MlpRatio = mlpRatio,
                LayerScale = layerScale,
            },
            _ => new StridedConvolution());
        return new Architecture(name, stem, stages, new AveragePoolHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = resolution ?? ImageSize.Square(224),
            DropPath = dropPath,
            Conventions = Conventions.Nat,
        };
    }
}
