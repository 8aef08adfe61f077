using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Swin with Slide Attention in its first stages (CVPR 2023, arXiv 2304.04237). Values only; <c>Build</c> makes the model.
/// </summary>
/// <remarks>
/// The official configurations ask for windows of 56, which no later stage holds: stages 3 and 4 attend to their whole
/// maps of 14×14 and 7×7. So do these. The paper's FLOPs (4.6, 8.9, 15.5) fit windows of 7 better, as in Swin and in the
/// variants named after them (4.56, 8.81 and 15.53 with both convolutions merged, against 4.70, 9.21 and 16.06); its
/// parameters of small and base, 51 and 89 million, fit neither.
/// </remarks>
public static class SlideSwin
{
    private const int OfficialWindow = 56;

    /// <summary>28,348,834 parameters, of them 10,368 fixed shift weights.</summary>
    public static Architecture Tiny { get; } =
        Create("slide-swin-tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24], OfficialWindow, dropPath: 0.2);

    /// <summary>49,747,378 parameters, of them 10,368 fixed shift weights.</summary>
    public static Architecture Small { get; } =
        Create("slide-swin-small", 96, [2, 2, 18, 2], [3, 6, 12, 24], OfficialWindow, dropPath: 0.3);

    /// <summary>87,948,704 parameters, of them 10,368 fixed shift weights.</summary>
    public static Architecture Base { get; } =
        Create("slide-swin-base", 128, [2, 2, 18, 2], [4, 8, 16, 32], OfficialWindow, dropPath: 0.5);

    /// <summary>28,308,514 parameters: <see cref="Tiny"/> with Swin's windows of 7 in its last stages.</summary>
    public static Architecture TinyWindow7 { get; } = Variants.Slide(Swin.Tiny, "slide-swin-tiny-window7");

    /// <summary>49,626,418 parameters: <see cref="Small"/> with Swin's windows of 7 in its last stages.</summary>
    public static Architecture SmallWindow7 { get; } = Variants.Slide(Swin.Small, "slide-swin-small-window7");

    /// <summary>87,787,424 parameters: <see cref="Base"/> with Swin's windows of 7 in its last stages.</summary>
    public static Architecture BaseWindow7 { get; } = Variants.Slide(Swin.Base, "slide-swin-base-window7");

    /// <summary>A Slide-Swin of any size: <see cref="Swin.Create"/> with Slide Attention in the first stages.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="embedDim">Channels of the first stage.</param>
    /// <param name="depths">Blocks of each stage.</param>
    /// <param name="heads">Heads of each stage.</param>
    /// <param name="window">
    /// Side of the windows in the other stages. Where a stage's map at <paramref name="resolution"/> is no larger, its
    /// window is the map's shorter side and no block is shifted, as in the official code.
    /// </param>
    /// <param name="resolution">The image size; none: 224×224.</param>
    /// <param name="classes">Logits; 0: pooled features.</param>
    /// <param name="slideWindow">Side of the Slide windows (<c>KA</c>).</param>
    /// <param name="slideStages">Stages with Slide Attention (<c>NUM_SLIDE_STAGES</c>).</param>
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
        int slideWindow = 3,
        int slideStages = 2,
        double dropPath = 0,
        int imageChannels = 3,
        double mlpRatio = 4) =>
        Swin.Hierarchical(
            name, embedDim, depths, heads, resolution, classes, dropPath, imageChannels, mlpRatio,
            (stage, block, stageHeads, map) => stage < slideStages
                ? new SlideAttention(slideWindow, stageHeads)
                : Swin.Window(window, stageHeads, shifted: block % 2 == 1, map));
}
