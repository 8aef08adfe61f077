using LocalAttention.Core.Specification;

namespace LocalAttention.Bench.Roofline;

/// <summary>The passes of a whole model.</summary>
public static class ModelPasses
{
    /// <summary>From the stem to the head.</summary>
    /// <param name="architecture">The model; its stem is patches.</param>
    /// <param name="images">Images of the batch.</param>
    public static IEnumerable<Pass> Of(Architecture architecture, int images)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        var stem = (PatchStem)architecture.Stem;
        var (size, channels) = (architecture.Resolution.DividedBy(stem.PatchSize), stem.Channels);
        var pixels = architecture.ImageChannels * stem.PatchSize * stem.PatchSize;
        yield return LayerPasses.Linear("stem", Tokens(images, size), pixels, channels);
        foreach (var stage in architecture.Stages)
        {
            foreach (var pass in stage.Blocks.SelectMany(block => Block(block, images, size, channels)))
            {
                yield return pass;
            }
            if (stage.Transition is not { } transition)
            {
                continue;
            }
            foreach (var pass in Between(transition, images, size, channels))
            {
                yield return pass;
            }
            (size, channels) = (transition.OutputSize(size), transition.OutputChannels(channels));
        }
        yield return LayerPasses.Linear("head", images, channels, architecture.Head.Classes);
    }

    private static IEnumerable<Pass> Block(Block block, int images, ImageSize size, int channels) =>
        LayerPasses.Of(block.Attention, images, size, channels, channels)
            .Concat(Mlp(Tokens(images, size), channels, block.HiddenChannels(channels)));

    private static Pass[] Mlp(double tokens, double channels, double hidden) =>
        [LayerPasses.Linear("fc1", tokens, channels, hidden), LayerPasses.Linear("fc2", tokens, hidden, channels)];

    private static IEnumerable<Pass> Between(Transition transition, int images, ImageSize size, int channels)
    {
        var (left, outputs) = (Tokens(images, transition.OutputSize(size)), transition.OutputChannels(channels));
        return transition switch
        {
            PatchMerging => [LayerPasses.Linear("patch merging", left, 4 * channels, outputs)],
            QnADownsampling down =>
            [
                LayerPasses.Linear("skip", left, channels, outputs),
                .. LayerPasses.Of(down.Attention, images, size, channels, outputs, down.Stride),
                .. Mlp(left, outputs, outputs * down.MlpRatio),
            ],
            _ => throw new ArgumentException($"no roofline for '{transition.Kind}'", nameof(transition)),
        };
    }

    private static double Tokens(int images, ImageSize size) => (double)images * size.Height * size.Width;
}
