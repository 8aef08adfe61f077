using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The steps in which an image's pixels come together, in the order of the forward pass.</summary>
internal static class Mixing
{
    /// <summary>The steps of each part; norms and heads have none.</summary>
    public static IEnumerable<MixingStep> StepsOf(Part part) => part switch
    {
        StemPart { Stem: PatchStem patch } => [Patches(part, patch.PatchSize, "pixels")],
        StemPart { Stem: ConvolutionStem stem } => OfStem(part, stem),
        EmbeddingPart { Positions: true } => [Positions(part)],
        BlockPart block => OfBlock(block),
        TransitionPart transition => [OfTransition(transition)],
        EmbeddingPart or NormPart or HeadPart => [],
        _ => throw new InvalidOperationException($"unknown part {part.GetType()}"),
    };

    private static MixingStep Patches(Part part, int side, string of)
    {
        var (input, output) = (part.Input.Size, part.Output.Size);
        return new(part, $"patches of {side} {of}", input, output,
            [Between(input, output, (inputs, outputs) => new KernelRule(inputs, outputs, side, side, 0))])
        {
            Scale = (side, 1),
            Beyond = "zero padding of the last patch",
        };
    }

    private static List<MixingStep> OfStem(Part part, ConvolutionStem stem)
    {
        var steps = new List<MixingStep>();
        var input = part.Input.Size;
        foreach (var convolution in stem.Convolutions)
        {
            var output = convolution.OutputSize(input);
            var padding = convolution.Padding ?? (convolution.Kernel / 2);
            steps.Add(Convolution(part, input, output, convolution.Kernel, convolution.Stride, padding));
            input = output;
        }
        return steps;
    }

    private static MixingStep Convolution(Part part, ImageSize input, ImageSize output, int kernel, int stride, int padding) =>
        new(part, $"convolution of {kernel}×{kernel}{(stride > 1 ? $" and stride {stride}" : "")}", input, output,
            [Between(input, output, (inputs, outputs) => new KernelRule(inputs, outputs, kernel, stride, padding))])
        {
            Scale = (stride, 1),
        };

    private static MixingStep Positions(Part part) => new(part, "position embedding", part.Input.Size, part.Output.Size,
        [Each(part.Input.Size)])
    {
        TellsPlacesApart = "each place of the map has its own learned embedding",
    };

    private static IEnumerable<MixingStep> OfBlock(BlockPart part)
    {
        yield return AttentionReach.Of(part.Block.Attention, part);
        if (part.Block.MlpConvolution != MlpConvolution.None)
        {
            var map = part.Map.Size;
            yield return new(
                part, "MLP's 3×3 convolution", map, map, [AttentionReach.Both(map, length => KernelRule.Around(length, 3))]);
        }
    }

    private static MixingStep OfTransition(TransitionPart part)
    {
        var (input, output) = (part.Input.Size, part.Output.Size);
        switch (part.Transition)
        {
            case PatchMerging:
                return Patches(part, 2, "tokens") with { What = "patch merging of 2×2 tokens" };
            case StridedConvolution { IsPatches: true } patches:
                return Patches(part, patches.Kernel, "tokens");
            case StridedConvolution convolution:
                return Convolution(part, input, output, convolution.Kernel, convolution.Stride, convolution.Kernel / 2);
            case QnADownsampling down:
                ReadingPath attended = Between(
                    input, output, (inputs, outputs) => AttentionReach.OfQnA(down.Attention, inputs, outputs, down.Stride, 1));
                // The 1×1 convolution of the other path reads a token that the window holds; the mean reads its own window.
                return new(part, $"qna downsampling of stride {down.Stride}", input, output, down.Skip == SkipPath.AveragePool
                    ? [attended, Between(input, output, (inputs, outputs) => Mean(inputs, outputs, down.Attention.Window, down.Stride))]
                    : [attended])
                {
                    Scale = (down.Stride, 1),
                    Beyond = "the window ends with the map",
                };
            case QnAUpsampling up:
                return new(part, $"qna upsampling of {up.Factor}", input, output,
                    [Between(input, output, (inputs, outputs) => AttentionReach.OfQnA(up.Attention, inputs, outputs, 1, up.Factor))])
                {
                    Scale = (1, up.Factor),
                    Beyond = "the window ends with the map",
                };
            default:
                throw new InvalidOperationException($"unknown transition {part.Transition.GetType()}");
        }
    }

    /// <summary>Average pooling to <c>⌈n / stride⌉</c> tokens: what padding it needs stands half before, the larger half after.</summary>
    private static KernelRule Mean(int inputs, int outputs, int window, int stride)
    {
        var padding = Math.Max(0, ((outputs - 1) * stride) + window - inputs);
        return new(inputs, outputs, window, stride, padding / 2);
    }

    private static ReadingPath Each(ImageSize map) => AttentionReach.Both(map, length => KernelRule.Around(length, 1));

    private static ReadingPath Between(ImageSize input, ImageSize output, Func<int, int, AxisRule> rule) =>
        new(rule(input.Height, output.Height), rule(input.Width, output.Width));
}
