namespace LocalAttention.Core.Specification;

/// <summary>A part of an architecture at its place, with the maps that enter and leave it.</summary>
internal abstract record Part(string Place, MapShape Input, MapShape Output);

internal sealed record StemPart(Stem Stem, string Place, MapShape Input, MapShape Output) : Part(Place, Input, Output);

/// <summary>What stands before a stage's blocks: the embedding of places, the class token, or both.</summary>
internal sealed record EmbeddingPart(bool Positions, int ClassTokens, string Place, MapShape Map) : Part(Place, Map, Map);

/// <summary>A block, on the tokens of a map and, in the last stage before a class token's head, that token.</summary>
internal sealed record BlockPart(Block Block, int ClassTokens, string Place, MapShape Map) : Part(Place, Map, Map)
{
    public long Tokens => Map.Tokens + ClassTokens;
}

/// <summary>The norm at the end of a stage.</summary>
internal sealed record NormPart(string Place, MapShape Map) : Part(Place, Map, Map);

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
            var (blocks, place) = (architecture.Stages[stage].Blocks, $"stage {stage + 1}");
            var classTokens = stage == architecture.Stages.Count - 1 && architecture.Head is ClassTokenHead ? 1 : 0;
            if (architecture.Stages[stage].PositionEmbedding || classTokens > 0)
            {
                yield return new EmbeddingPart(
                    architecture.Stages[stage].PositionEmbedding, classTokens, $"{place}, embedding", map);
            }
            for (var block = 0; block < blocks.Count; block++)
            {
                yield return new BlockPart(blocks[block], classTokens, $"{place}, block {block + 1}", map);
            }
            if (architecture.Stages[stage].Norm)
            {
                yield return new NormPart($"{place}, norm", map);
            }
            if (architecture.Stages[stage].Transition is { } transition)
            {
                var output = new MapShape(TransitionSize(transition, map.Size), transition.OutputChannels(map.Channels));
                yield return new TransitionPart(transition, $"{place}, transition", map, output);
                map = output;
            }
        }
        yield return new HeadPart(architecture.Head, "head", map);
    }

    private static ImageSize StemSize(Stem stem, ImageSize image) => stem switch
    {
        PatchStem patch => image.DividedBy(Math.Max(1, patch.PatchSize)),
        ConvolutionStem { Convolutions: var convolutions } =>
            convolutions.Aggregate(image, (size, convolution) => AfterConvolution(convolution, size)),
        _ => throw new InvalidOperationException($"unknown stem {stem.GetType()}"),
    };

    /// <summary>What cannot be convolved is a mistake that validation names; meanwhile the map keeps at least one token.</summary>
    public static ImageSize AfterConvolution(Convolution convolution, ImageSize size)
    {
        if (convolution.Kernel is < 1 or > Limits.Window || convolution.Padding is < 0 or > Limits.Window)
        {
            return size.DividedBy(Math.Max(1, convolution.Stride));
        }
        var (height, width) = (convolution with { Stride = Math.Max(1, convolution.Stride) }).OutputSize(size);
        return new(Math.Max(1, height), Math.Max(1, width));
    }

    private static ImageSize TransitionSize(Transition transition, ImageSize size) => transition switch
    {
        StridedConvolution { Stride: < 1 } or QnADownsampling { Stride: < 1 } or QnAUpsampling { Factor: < 1 } => size,
        // A factor this large is a mistake that validation names; the product must not wrap meanwhile.
        QnAUpsampling { Factor: > Limits.Side } => size,
        QnAUpsampling when Math.Max(size.Height, size.Width) > Limits.Side => size,
        _ => transition.OutputSize(size),
    };
}
