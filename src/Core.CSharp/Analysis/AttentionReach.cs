using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>Which tokens of a map the attentions read.</summary>
internal static class AttentionReach
{
    /// <summary>The step of an attention on a map.</summary>
    public static MixingStep Of(Attention attention, Part part)
    {
        var map = part.Input.Size;
        MixingStep Step(string what, Func<int, AxisRule> rule, string beyond = "") =>
            new(part, what, map, map, [Both(map, rule)]) { Beyond = beyond };
        switch (attention)
        {
            case QnAAttention qna:
                return Step($"qna window of {qna.Window}", length => OfQnA(qna, length), "the window ends with the map");
            case SlideAttention slide:
                var edge = BorderOf(slide.Padding);
                return Step(
                    $"slide window of {slide.Window}", length => KernelRule.Around(length, slide.Window, edge),
                    $"{slide.Padding.ToString().ToLowerInvariant()} padding");
            case WindowAttention window:
                var shifted = window.Shifted ? "shifted " : "";
                return Step($"{shifted}window of {window.Window}", length => OfWindow(window, length), "the map cuts windows");
            case NeighbourhoodAttention neighbourhood:
                var dilated = neighbourhood.Dilation > 1 ? $" at every {neighbourhood.Dilation}th token" : "";
                return Step(
                    $"neighbourhood of {neighbourhood.Window}{dilated}", length => OfNeighbourhood(neighbourhood, length),
                    "the window is moved inwards");
            case CrossShapedAttention cross:
                return new(part, $"cross-shaped stripes of {cross.Stripe}", map, map,
                [
                    new ReadingPath(AlongStripe(map.Height), Stripe(cross.Stripe, map.Width)),
                    new ReadingPath(Stripe(cross.Stripe, map.Height), AlongStripe(map.Width)),
                ]);
            case SpatialReductionAttention reduced:
                return Step(
                    reduced.Reduction > 1 ? $"keys of all patches of {reduced.Reduction}" : "keys of all tokens",
                    length => OfReduction(reduced.Reduction, length));
            case PooledAttention { Pool: var pool }:
                return Step($"keys of all cells of a {pool}×{pool} grid", length => OfPooled(pool, length));
            case GlobalAttention global:
                return Step("keys of all tokens", length => global.LocallyEnhanced ? AlongStripe(length) : WholeRule.Rolling(length, 1));
            default:
                throw new InvalidOperationException($"unknown attention {attention.GetType()}");
        }
    }

    /// <summary>The rules of both axes, which differ in their length alone.</summary>
    public static ReadingPath Both(ImageSize map, Func<int, AxisRule> rule) => new(rule(map.Height), rule(map.Width));

    /// <summary>QnA's window from a map to one of another step, its tokens around the query's.</summary>
    public static KernelRule OfQnA(QnAAttention qna, int inputs, int outputs, int stride, int upsampling) =>
        new(inputs, outputs, qna.Window, stride, qna.Window / 2) { Upsampling = upsampling };

    private static AxisRule OfQnA(QnAAttention qna, int length) =>
        IgnoresOffsets(qna) && qna.Window / 2 >= length - 1
            ? WholeRule.Rolling(length, 1)
            : OfQnA(qna, length, length, 1, 1);

    /// <summary>Whether equal tokens count alike wherever they stand in QnA's window: one over the whole map has no places.</summary>
    private static bool IgnoresOffsets(QnAAttention qna) =>
        qna.Position == PositionBias.None && qna.Scale is not (AttentionScale.Normal or AttentionScale.Ones);

    private static BorderRule BorderOf(EdgePadding padding) => padding switch
    {
        EdgePadding.Circular => BorderRule.Circular,
        EdgePadding.Reflect => BorderRule.Reflects,
        // Zeros depend on no token, and the repeated edge token is in every window that reaches beyond it.
        _ => BorderRule.Ends,
    };

    private static AxisRule OfWindow(WindowAttention window, int length) => window.Window >= length
        ? window.PositionBias
            ? WholeRule.Fixed(length, "the window is the map, whose places its position bias tells apart")
            : WholeRule.Rolling(length, 1)
        : new PartitionRule(length, window.Window, window.Shifted ? window.Window / 2 : 0);

    private static AxisRule OfNeighbourhood(NeighbourhoodAttention neighbourhood, int length)
    {
        var (window, dilation) = (neighbourhood.Window, neighbourhood.Dilation);
        AxisRule rule = !neighbourhood.PositionBias && dilation == 1 && window >= length
            ? WholeRule.Rolling(length, 1)
            : new KernelRule(length, length, window, 1, window / 2 * dilation)
            {
                Dilation = dilation,
                Border = BorderRule.MovesInwards,
            };
        return rule;
    }

    /// <summary>Across stripes, along which everything is read: the values' convolution ends at the stripe's border too.</summary>
    private static AxisRule Stripe(int stripe, int length) => stripe >= length
        ? AlongStripe(length)
        : new PartitionRule(length, stripe, 0);

    /// <summary>Attention over the whole length, whose values pass a convolution that is padded where the length ends.</summary>
    private static WholeRule AlongStripe(int length) =>
        WholeRule.Fixed(length, "the values' convolution ends at the border with zeros");

    private static WholeRule OfReduction(int reduction, int length) => length % reduction == 0
        ? WholeRule.Rolling(length, reduction)
        : WholeRule.Fixed(length, $"patches of {reduction} do not divide {length} tokens");

    /// <summary>A roll that takes cells to cells: by n / gcd(n, p) tokens, the last of which is the whole map.</summary>
    private static WholeRule OfPooled(int pool, int length)
    {
        var step = length / GreatestCommonDivisor(length, pool);
        return step < length
            ? WholeRule.Rolling(length, step)
            : WholeRule.Fixed(length, $"a grid of {pool} cells divides {length} tokens in no equal groups");
    }

    private static int GreatestCommonDivisor(int one, int other) => other == 0 ? one : GreatestCommonDivisor(other, one % other);
}
