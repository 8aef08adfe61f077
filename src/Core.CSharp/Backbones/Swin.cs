using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Swin Transformer: windows, every second one shifted (arXiv 2103.14030). Values only; <c>Build</c> makes the model.
/// </summary>
public static class Swin
{
    /// <summary>28,288,354 parameters, 4.5 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } = Create("swin-tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24], dropPath: 0.2);

    /// <summary>49,606,258 parameters, 8.7 GFLOPs at 224×224.</summary>
    public static Architecture Small { get; } = Create("swin-small", 96, [2, 2, 18, 2], [3, 6, 12, 24], dropPath: 0.3);

    /// <summary>87,768,224 parameters, 15.4 GFLOPs at 224×224.</summary>
    public static Architecture Base { get; } = Create("swin-base", 128, [2, 2, 18, 2], [4, 8, 16, 32], dropPath: 0.5);

    /// <summary>A Swin of any size: patches of 4×4, channels doubled by patch merging after each stage.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDim">Channels of the first stage.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="window">
    /// Side of the windows. Where a stage's map at <paramref name="resolution"/> is no larger, its window is the map's
    /// shorter side and no block is shifted, as in the official code.
    /// </param>
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
        int window = 7,
        ImageSize? resolution = null,
        int classes = 1000,
        double dropPath = 0,
        int imageChannels = 3,
        double mlpRatio = 4) =>
        Hierarchical(
            name, embedDim, depths, heads, resolution, classes, dropPath, imageChannels, mlpRatio,
            (_, block, stageHeads, map) => Window(window, stageHeads, shifted: block % 2 == 1, map));

    /// <summary>The layout that Swin and its variants share; they differ in the attention of each block.</summary>
    internal static Architecture Hierarchical(
        string name,
        int embedDim,
        IReadOnlyList<int> depths,
        IReadOnlyList<int> heads,
        ImageSize? resolution,
        int classes,
        double dropPath,
        int imageChannels,
        double mlpRatio,
        Func<int, int, int, ImageSize, Attention> attention)
    {
        ArgumentNullException.ThrowIfNull(depths);
        ArgumentNullException.ThrowIfNull(heads);
        if (depths.Count != heads.Count)
        {
            throw new ArgumentException(
                $"'{name}' has depths for {depths.Count} stages and heads for {heads.Count}; give one of each for every stage");
        }
        const int patch = 4;
        var size = resolution ?? ImageSize.Square(224);
        var map = size.DividedBy(patch);
        var stages = new List<Stage>();
        for (var stage = 0; stage < depths.Count; stage++)
        {
            var blocks = Enumerable.Range(0, depths[stage])
                .Select(block => new Block(attention(stage, block, heads[stage], map)) { MlpRatio = mlpRatio });
            stages.Add(new Stage(ValueList.From(blocks)) { Transition = stage < depths.Count - 1 ? new PatchMerging() : null });
            map = map.DividedBy(2);
        }
        return new Architecture(name, new PatchStem(patch, embedDim), ValueList.From(stages), new AveragePoolHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = size,
            DropPath = dropPath,
        };
    }

    /// <summary>A window of the given side, or as much of it as the map holds, then unshifted.</summary>
    internal static WindowAttention Window(int side, int heads, bool shifted, ImageSize map) =>
        map.Shorter <= side
            ? new WindowAttention(map.Shorter, heads)
            : new WindowAttention(side, heads) { Shifted = shifted };
}
