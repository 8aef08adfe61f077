using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>
/// Multiply-accumulates of one image's forward pass, by what does them. Counted are linear layers, convolutions and the
/// products of attention; not norms, activations, softmax, biases, pooling, sums and interpolation. The papers' GFLOPs are
/// these, those of Slide models with <c>mergedShifts</c>.
/// </summary>
/// <remarks>
/// <para>
/// A linear layer counts <c>tokens · in · out</c>, a convolution <c>outputs · in / groups · kernel area</c>. Attention of N
/// queries to M keys each counts <c>2·N·M·C</c>; windows and stripes so, one by one; neighbourhoods <c>2·k²·C</c> a token; Slide
/// <c>2·k²·C</c>, and <c>2·k⁴·C</c> for each of its convolutions, which keys and values both pass. QnA counts <c>C·Nq·h</c> for the
/// scores of an input token and <c>k²·Nq·(C' + h)</c> for the aggregation of an output token; the product of queries and
/// <c>Wk</c>, which no token enters, is left out.
/// </para>
/// <para>
/// Where <see cref="SizePolicy.Pad"/> adds tokens, they count wherever the composite layers compute with them, as in the
/// official code: whole windows, stripes and neighbourhoods with their projections, patches that hang over the border. The
/// MLP never sees them. The fused kernels skip the padding of windows, so they do a little less.
/// </para>
/// </remarks>
/// <param name="Projection">
/// Linear layers: queries, keys, values, outputs of attention; patch merging; the head's classifier.
/// </param>
/// <param name="Mlp">The two linear layers of the blocks' MLPs.</param>
/// <param name="Convolution">
/// Convolutions: stems, transitions, spatial reduction, depthwise ones in MLPs and of values, Slide's shifts.
/// </param>
/// <param name="Attention">Logits or scores, and the weighted sums of values.</param>
public readonly record struct MultiplyAccumulates(long Projection, long Mlp, long Convolution, long Attention)
{
    /// <summary>All of them.</summary>
    public long Total => Projection + Mlp + Convolution + Attention;

    /// <summary>The sum of two costs.</summary>
    public static MultiplyAccumulates operator +(MultiplyAccumulates left, MultiplyAccumulates right) => Add(left, right);

    /// <summary>What the left has more than the right, kind by kind; negative where it has less.</summary>
    public static MultiplyAccumulates operator -(MultiplyAccumulates left, MultiplyAccumulates right) => Subtract(left, right);

    /// <summary>The sum of two costs.</summary>
    public static MultiplyAccumulates Add(MultiplyAccumulates left, MultiplyAccumulates right) => new(
        left.Projection + right.Projection, left.Mlp + right.Mlp,
        left.Convolution + right.Convolution, left.Attention + right.Attention);

    /// <summary>What the left has more than the right, kind by kind; negative where it has less.</summary>
    public static MultiplyAccumulates Subtract(MultiplyAccumulates left, MultiplyAccumulates right) => new(
        left.Projection - right.Projection, left.Mlp - right.Mlp,
        left.Convolution - right.Convolution, left.Attention - right.Attention);

    /// <summary>The cost of one image, computed from the value alone.</summary>
    /// <param name="architecture">The architecture; one with mistakes gives a number without a meaning.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <param name="mergedShifts">Whether the two convolutions of each Slide layer are one, as after <c>merge_shifts</c>.</param>
    public static MultiplyAccumulates Of(Architecture architecture, ImageSize? image = null, bool mergedShifts = false)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        return Walk.Through(architecture, image ?? architecture.Resolution)
            .Aggregate(default(MultiplyAccumulates), (sum, part) => sum + Of(part, mergedShifts));
    }

    /// <summary>The cost of one image in its stem, stages and transitions: what a dense task pays for its backbone.</summary>
    /// <param name="architecture">The architecture; its class token, if it has one, is left out, as dense tasks leave it out.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <param name="mergedShifts">Whether the two convolutions of each Slide layer are one.</param>
    public static MultiplyAccumulates OfFeatures(Architecture architecture, ImageSize? image = null, bool mergedShifts = false)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        return Of(architecture with { Head = new AveragePoolHead(0) }, image, mergedShifts);
    }

    /// <summary>The cost of each part, in the order in which the image passes through them.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <param name="mergedShifts">Whether the two convolutions of each Slide layer are one.</param>
    public static ValueList<PartCost> Trace(Architecture architecture, ImageSize? image = null, bool mergedShifts = false)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        return ValueList.From(Walk.Through(architecture, image ?? architecture.Resolution)
            .Select(part => new PartCost(part.Place, Of(part, mergedShifts))));
    }

    internal static MultiplyAccumulates Of(Part part, bool mergedShifts) => part switch
    {
        StemPart { Stem: PatchStem patch } stem => Convolved(stem.Output, stem.Input.Channels, patch.PatchSize),
        StemPart { Stem: ConvolutionStem convolutions } stem => OfStem(convolutions, stem.Input),
        BlockPart block => OfBlock(block, mergedShifts),
        TransitionPart transition => OfTransition(transition),
        EmbeddingPart or NormPart => default,
        HeadPart head => OfHead(head.Head, head.Map),
        _ => throw new InvalidOperationException($"unknown part {part.GetType()}"),
    };

    private static MultiplyAccumulates OfStem(ConvolutionStem stem, MapShape map)
    {
        var sum = default(MultiplyAccumulates);
        foreach (var convolution in stem.Convolutions)
        {
            var output = new MapShape(Walk.AfterConvolution(convolution, map.Size), convolution.Channels);
            (sum, map) = (sum + Convolved(output, map.Channels, convolution.Kernel), output);
        }
        return sum;
    }

    private static MultiplyAccumulates OfBlock(BlockPart part, bool mergedShifts)
    {
        var (block, channels) = (part.Block, part.Map.Channels);
        long hidden = block.HiddenChannels(channels);
        return AttentionCost.Of(block.Attention, part.Map, part.ClassTokens, mergedShifts)
            + new MultiplyAccumulates(
                0, 2 * part.Tokens * channels * hidden,
                block.MlpConvolution == MlpConvolution.None ? 0 : 9 * part.Tokens * hidden, 0);
    }

    private static MultiplyAccumulates OfTransition(TransitionPart part) => part.Transition switch
    {
        PatchMerging => new(4 * part.Output.Tokens * part.Input.Channels * part.Output.Channels, 0, 0, 0),
        StridedConvolution convolution => Convolved(part.Output, part.Input.Channels, convolution.Kernel),
        QnADownsampling down => QnABlock(part, down.Attention, 1, down.MlpRatio),
        QnAUpsampling up => QnABlock(part, up.Attention, up.Factor, up.MlpRatio),
        var transition => throw new InvalidOperationException($"unknown transition {transition.GetType()}"),
    };

    /// <summary>The attention, the 1×1 convolution of the skip path, and the MLP on what leaves.</summary>
    private static MultiplyAccumulates QnABlock(TransitionPart part, QnAAttention qna, int factor, double mlpRatio) =>
        AttentionCost.OfQnA(qna, part.Input, part.Output, (long)factor * factor, (long)qna.Window * qna.Window)
        + Convolved(part.Output, part.Input.Channels, 1)
        + new MultiplyAccumulates(
            0, 2 * part.Output.Tokens * part.Output.Channels * (int)(part.Output.Channels * mlpRatio), 0, 0);

    private static MultiplyAccumulates OfHead(Head head, MapShape map)
    {
        var classifier = new MultiplyAccumulates((long)map.Channels * head.Classes, 0, 0, 0);
        // One window, which is the map.
        return head is QnAPoolHead pool
            ? classifier + AttentionCost.OfQnA(
                pool.Attention, map, new MapShape(ImageSize.Square(1), map.Channels), 1, map.Tokens)
            : classifier;
    }

    private static MultiplyAccumulates Convolved(MapShape output, long inputChannels, long kernel) =>
        new(0, 0, output.Tokens * output.Channels * inputChannels * kernel * kernel, 0);
}

/// <summary>The multiply-accumulates of one part of a model.</summary>
/// <param name="Place">Where it stands, as <see cref="LayerTrace.Place"/> says.</param>
/// <param name="Cost">What one image costs there.</param>
public sealed record PartCost(string Place, MultiplyAccumulates Cost);
