namespace LocalAttention.Core.Specification;

/// <summary>A number of parameters, and how many of them are trained.</summary>
/// <param name="All">All parameters, as the official implementations count them: fixed shift weights included.</param>
/// <param name="Trainable">Those that an optimiser changes.</param>
public readonly record struct ParameterCount(long All, long Trainable)
{
    /// <summary>The sum of two counts.</summary>
    public static ParameterCount operator +(ParameterCount left, ParameterCount right) => Add(left, right);

    /// <summary>The sum of two counts.</summary>
    public static ParameterCount Add(ParameterCount left, ParameterCount right) =>
        new(left.All + right.All, left.Trainable + right.Trainable);

    /// <summary>The parameters of a model, counted from its specification alone.</summary>
    public static ParameterCount Of(Architecture architecture) =>
        Walk.Through(architecture, architecture.Resolution).Aggregate(default(ParameterCount), (sum, part) => sum + Of(part));

    internal static ParameterCount Of(Part part) => part switch
    {
        StemPart(var stem, _, var input, _) => Trained(OfStem(stem, input.Channels)),
        BlockPart(var block, _, _, var map) => OfBlock(block, map.Channels),
        TransitionPart(var transition, _, var input, var output) => Trained(OfTransition(transition, input.Channels, output.Channels)),
        EmbeddingPart(var positions, var classTokens, _, var map) =>
            Trained((positions ? (map.Tokens + classTokens) * map.Channels : 0) + ((long)classTokens * map.Channels)),
        NormPart(_, var map) => Trained(Norm(map.Channels)),
        HeadPart(var head, _, var map) => Trained(OfHead(head, map)),
        _ => throw new InvalidOperationException($"unknown part {part.GetType()}"),
    };

    private static ParameterCount Trained(long count) => new(count, count);

    private static long OfStem(Stem stem, long channels)
    {
        if (stem is PatchStem patch)
        {
            return (channels * patch.PatchSize * patch.PatchSize * patch.Channels)
                + (patch.Bias ? patch.Channels : 0)
                + (patch.Norm ? Norm(patch.Channels) : 0);
        }
        var (count, convolutional) = (0L, (ConvolutionStem)stem);
        for (var index = 0; index < convolutional.Convolutions.Count; index++)
        {
            var (kernel, _, output) = convolutional.Convolutions[index];
            count += (channels * kernel * kernel * output) + (convolutional.Bias ? output : 0)
                + (convolutional.ActivatedBetween || index == convolutional.Convolutions.Count - 1 ? Norm(output) : 0);
            channels = output;
        }
        return count;
    }

    private static ParameterCount OfBlock(Block block, long channels) =>
        OfAttention(block.Attention, channels)
        + Trained((2 * Norm(channels))
            + Mlp(channels, block.HiddenChannels((int)channels))
            + (block.MlpConvolution == MlpConvolution.None ? 0 : DepthwiseConvolution(block.HiddenChannels((int)channels)))
            + (block.LayerScale is null ? 0 : 2 * channels));

    private static ParameterCount OfAttention(Attention attention, long channels) => attention switch
    {
        QnAAttention qna => Trained(OfQnA(qna, channels, channels, Area(qna.Window), 1)),
        SlideAttention slide => OfSlide(slide, channels),
        WindowAttention window => Trained(
            Projections(channels, window.QkvBias, window.ProjectionBias)
            + (window.PositionBias ? Area((2 * window.Window) - 1) * window.Heads : 0)),
        GlobalAttention global => Trained(
            Projections(channels, global.QkvBias, global.ProjectionBias)
            + (global.LocallyEnhanced ? DepthwiseConvolution(channels) : 0)),
        SpatialReductionAttention reduced => Trained(
            Projections(channels, reduced.QkvBias, true)
            + (reduced.Reduction > 1 ? (Area(reduced.Reduction) * channels * channels) + channels + Norm(channels) : 0)),
        PooledAttention pooled => Trained(
            Projections(channels, pooled.QkvBias, true) + (channels * channels) + channels + Norm(channels)),
        CrossShapedAttention cross => Trained(Projections(channels, cross.QkvBias, true) + DepthwiseConvolution(channels)),
        NeighbourhoodAttention neighbourhood => Trained(
            Projections(channels, neighbourhood.QkvBias, true)
            + (neighbourhood.PositionBias ? Area((2 * neighbourhood.Window) - 1) * neighbourhood.Heads : 0)),
        _ => throw new InvalidOperationException($"unknown attention {attention.GetType()}"),
    };

    private static long OfQnA(QnAAttention qna, long input, long output, long area, long querySets)
    {
        var width = qna.Width ?? output;
        var queries = querySets * qna.Queries;
        return (queries * width)
            + (2 * input * width) + (width * output)
            + (qna.Bias ? (2 * width) + output : 0)
            + qna.Scale switch
            {
                AttentionScale.Normal or AttentionScale.Ones => area * queries * qna.Heads,
                AttentionScale.NormalElementwise => queries * qna.Heads,
                _ => 0,
            }
            + qna.Position switch
            {
                PositionBias.Relative => area * queries * qna.Heads,
                PositionBias.Contextual => (width * area * qna.Heads) + (area * qna.Heads),
                PositionBias.Absolute => area * queries * width,
                _ => 0,
            };
    }

    private static ParameterCount OfSlide(SlideAttention slide, long channels)
    {
        var area = Area(slide.Window);
        var samples = channels / Math.Max(1, slide.Heads) * area;
        var shiftWeights = samples * area;
        var trained = Projections(channels, slide.QkvBias, true)
            + samples
            + (slide.Deformed ? shiftWeights + samples : 0)
            + (slide.Heads * area);
        return new(trained + shiftWeights, trained);
    }

    private static long OfTransition(Transition transition, long input, long output) => transition switch
    {
        PatchMerging => Norm(4 * input) + (4 * input * output),
        StridedConvolution convolution => (Area(convolution.Kernel) * input * output) + (convolution.Bias ? output : 0) + Norm(output),
        QnADownsampling down => QnABlock(down.Attention, input, output, 1, down.MlpRatio, down.LayerScale),
        QnAUpsampling up => QnABlock(up.Attention, input, output, Area(up.Factor), up.MlpRatio, up.LayerScale),
        _ => throw new InvalidOperationException($"unknown transition {transition.GetType()}"),
    };

    private static long QnABlock(QnAAttention qna, long input, long output, long querySets, double mlpRatio, double? layerScale) =>
        Norm(input) + OfQnA(qna, input, output, Area(qna.Window), querySets)
        + (input * output)
        + Norm(output) + Mlp(output, (int)(output * mlpRatio))
        + (layerScale is null ? 0 : 2 * output);

    private static long OfHead(Head head, MapShape map)
    {
        var count = Norm(map.Channels);
        if (head is QnAPoolHead pool)
        {
            count += OfQnA(pool.Attention, map.Channels, map.Channels, map.Tokens, 1);
        }
        return count + (head.Classes == 0 ? 0 : ((long)map.Channels * head.Classes) + head.Classes);
    }

    private static long Projections(long channels, bool qkvBias, bool projectionBias) =>
        (4 * channels * channels) + (qkvBias ? 3 * channels : 0) + (projectionBias ? channels : 0);

    private static long Mlp(long channels, long hidden) => (2 * channels * hidden) + hidden + channels;

    private static long Norm(long channels) => 2 * channels;

    /// <summary>3×3 weights and a bias for each channel.</summary>
    private static long DepthwiseConvolution(long channels) => 10 * channels;

    private static long Area(long side) => side * side;
}
