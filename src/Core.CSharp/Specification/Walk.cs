namespace LocalAttention.Core.Specification;

/// <summary>A part of an architecture at its place, with the maps that enter and leave it.</summary>
internal abstract record Part(string Place, MapShape Input, MapShape Output);

internal sealed record StemPart(Stem Stem, string Place, MapShape Input, MapShape Output) : Part(Place, Input, Output);

internal sealed record BlockPart(Block Block, string Place, MapShape Map) : Part(Place, Map, Map);

internal sealed record TransitionPart(Transition Transition, string Place, MapShape Input, MapShape Output) : Part(Place, Input, Output);

internal sealed record HeadPart(Head Head, string Place, MapShape Map) : Part(Place, Map, Map);

/// <summary>
/// The one traversal behind shape inference, parameter counts and validation. It also walks through architectures that
/// cannot be built, taking a step or factor below 1 for 1, so that all their mistakes are found at once.
/// </summary>
internal static class Walk
{
    public static IEnumerable<Part> Through(Architecture architecture, ImageSize image)
    {
        var map = new MapShape(StemSize(architecture.Stem, image), architecture.Stem.OutputChannels);
        yield return new StemPart(architecture.Stem, "stem", new MapShape(image, architecture.ImageChannels), map);
        for (var stage = 0; stage < architecture.Stages.Count; stage++)
        {
            var blocks = architecture.Stages[stage].Blocks;
            for (var block = 0; block < blocks.Count; block++)
            {
                yield return new BlockPart(blocks[block], $"stage {stage + 1}, block {block + 1}", map);
            }
            if (architecture.Stages[stage].Transition is { } transition)
            {
                var output = new MapShape(TransitionSize(transition, map.Size), transition.OutputChannels(map.Channels));
                yield return new TransitionPart(transition, $"stage {stage + 1}, transition", map, output);
                map = output;
            }
        }
        yield return new HeadPart(architecture.Head, "head", map);
    }

    private static ImageSize StemSize(Stem stem, ImageSize image) => stem switch
    {
        PatchStem patch => image.DividedBy(Math.Max(1, patch.PatchSize)),
        ConvolutionStem { Convolutions: var convolutions } =>
            convolutions.Aggregate(image, (size, convolution) => size.DividedBy(Math.Max(1, convolution.Stride))),
        _ => throw new InvalidOperationException($"unknown stem {stem.GetType()}"),
    };

    private static ImageSize TransitionSize(Transition transition, ImageSize size) => transition switch
    {
        StridedConvolution { Stride: < 1 } or QnADownsampling { Stride: < 1 } or QnAUpsampling { Factor: < 1 } => size,
        // A factor this large is a mistake that validation names; the product must not wrap meanwhile.
        QnAUpsampling { Factor: > Limits.Side } => size,
        QnAUpsampling when Math.Max(size.Height, size.Width) > Limits.Side => size,
        _ => transition.OutputSize(size),
    };
}
