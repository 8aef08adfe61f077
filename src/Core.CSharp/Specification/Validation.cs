namespace LocalAttention.Core.Specification;

/// <summary>
/// Finds every mistake of an architecture at once. What has none builds; what has one does not: both are tested as
/// properties over generated architectures.
/// </summary>
public static class Validation
{
    /// <summary>All mistakes of an architecture at its own resolution; empty when it builds.</summary>
    public static ValueList<Problem> Check(Architecture architecture)
    {
        var problems = new Problems();
        CheckWhole(architecture, problems);
        foreach (var part in Walk.Through(architecture, architecture.Resolution))
        {
            CheckPart(part, problems.At(part.Place));
        }
        if (problems.IsEmpty && ParameterCount.Of(architecture).All is > Limits.Parameters and var parameters)
        {
            problems.At("whole model").Add($"{parameters:N0} parameters", $"make it smaller: at most {Limits.Parameters:N0}");
        }
        CheckSizes(architecture, architecture.Resolution, problems);
        return problems.ToList();
    }

    /// <summary>
    /// The mistakes of an image size for an architecture that is otherwise right; empty when the model takes such images.
    /// </summary>
    public static ValueList<Problem> CheckSize(Architecture architecture, ImageSize image)
    {
        var problems = new Problems();
        if (CheckSide(problems.At("image"), image))
        {
            CheckSizes(architecture, image, problems);
        }
        return problems.ToList();
    }

    /// <summary>Throws when an architecture has mistakes; the message lists all of them.</summary>
    /// <exception cref="SpecificationException">The architecture cannot be built.</exception>
    public static void EnsureValid(Architecture architecture)
    {
        var problems = Check(architecture);
        if (problems.Count > 0)
        {
            throw new SpecificationException($"'{architecture.Name}'", problems);
        }
    }

    private static void CheckWhole(Architecture architecture, Problems problems)
    {
        var whole = problems.At("whole model");
        if (string.IsNullOrWhiteSpace(architecture.Name))
        {
            whole.Add("the name is empty", "give it one, such as 'qna-small'");
        }
        whole.CheckRange("image channels", architecture.ImageChannels, 1, Limits.Channels);
        CheckSide(whole, architecture.Resolution);
        if (architecture.Stages.Count == 0)
        {
            whole.Add("it has no stage", "add at least one stage with a block");
        }
        if (architecture.DropPath is not (>= 0 and < 1))
        {
            whole.Add($"the drop path rate is {architecture.DropPath}", "use a rate from 0 to below 1, such as 0.1");
        }
        CheckEpsilon("norm's", architecture.Conventions.NormEpsilon, whole);
        if (architecture.Conventions.EmbeddingNormEpsilon is { } around)
        {
            CheckEpsilon("embedding norm's", around, whole);
        }
        if (architecture.Head is ClassTokenHead && architecture.Stages is [.., { Transition: not null }])
        {
            problems.At($"stage {architecture.Stages.Count}, transition").Add(
                "it would leave the class token behind, which has no place on the map",
                "end the last stage without a transition, or use a head without a class token");
        }
        for (var stage = 0; stage < architecture.Stages.Count; stage++)
        {
            if (architecture.Stages[stage] is { Blocks.Count: 0, Transition: null })
            {
                problems.At($"stage {stage + 1}").Add("it has no block and no transition", "add a block or remove the stage");
            }
        }
    }

    private static void CheckEpsilon(string whose, double epsilon, Problems problems)
    {
        if (epsilon is not (> 0 and < 1))
        {
            problems.Add($"the {whose} epsilon is {epsilon}", "use a small positive number, such as 1e-5");
        }
    }

    private static bool CheckSide(Problems problems, ImageSize size)
    {
        var (height, width) = size;
        return problems.CheckRange("image height", height, 1, Limits.Side) & problems.CheckRange("image width", width, 1, Limits.Side);
    }

    private static void CheckPart(Part part, Problems problems)
    {
        switch (part)
        {
            case StemPart { Stem: PatchStem patch }:
                problems.CheckRange("patch size", patch.PatchSize, 1, Limits.Window);
                problems.CheckRange("channels", patch.Channels, 1, Limits.Channels);
                break;
            case StemPart { Stem: ConvolutionStem { Convolutions: var convolutions } }:
                CheckConvolutions(convolutions, problems);
                break;
            case EmbeddingPart or NormPart:
                break;
            case BlockPart { Block: var block, ClassTokens: var classTokens, Map.Channels: var channels }:
                CheckAttention(block.Attention, channels, problems);
                if (classTokens > 0)
                {
                    CheckWithClassToken(block, problems);
                }
                CheckMlp(block.MlpRatio, block.LayerScale, channels, problems);
                break;
            case TransitionPart(var transition, _, var input, var output):
                CheckTransition(transition, input, output, problems);
                break;
            case HeadPart(var head, _, var map):
                CheckHead(head, map, problems);
                break;
            default:
                throw new InvalidOperationException($"unknown part {part.GetType()}");
        }
    }

    private static void CheckConvolutions(ValueList<Convolution> convolutions, Problems problems)
    {
        if (convolutions.Count == 0)
        {
            problems.Add("it has no convolution", "add at least one");
        }
        for (var index = 0; index < convolutions.Count; index++)
        {
            var (kernel, stride, channels) = convolutions[index];
            var padding = convolutions[index].Padding;
            var convolution = problems.At($"stem, convolution {index + 1}");
            convolution.CheckOdd("kernel", kernel, Limits.Window);
            convolution.CheckRange("stride", stride, 1, Limits.Window);
            convolution.CheckRange("channels", channels, 1, Limits.Channels);
            if (padding is { } zeros)
            {
                convolution.CheckRange("padding", zeros, 0, Limits.Window);
            }
        }
    }

    private static void CheckAttention(Attention attention, int channels, Problems problems)
    {
        switch (attention)
        {
            case QnAAttention qna:
                CheckQnA(qna, channels, problems);
                break;
            case SlideAttention slide:
                problems.CheckOdd("slide window", slide.Window, Limits.Window);
                problems.CheckHeads(slide.Heads, channels);
                if (slide.Scale is { } scale && (!double.IsFinite(scale) || scale == 0))
                {
                    problems.Add($"the slide scale is {scale}", "use a finite factor other than 0, or none for 1/√d");
                }
                break;
            case WindowAttention window:
                problems.CheckRange("window", window.Window, 1, Limits.Window);
                problems.CheckHeads(window.Heads, channels);
                break;
            case GlobalAttention global:
                problems.CheckHeads(global.Heads, channels);
                break;
            case SpatialReductionAttention reduced:
                problems.CheckRange("reduction", reduced.Reduction, 1, Limits.Window);
                problems.CheckHeads(reduced.Heads, channels);
                break;
            case PooledAttention pooled:
                problems.CheckRange("pool", pooled.Pool, 1, Limits.Window);
                problems.CheckHeads(pooled.Heads, channels);
                break;
            case CrossShapedAttention cross:
                problems.CheckRange("stripe", cross.Stripe, 1, Limits.Window);
                problems.CheckHeads(cross.Heads, channels);
                if (cross.Heads % 2 != 0)
                {
                    problems.Add($"{cross.Heads} heads cannot be halved between the two directions of stripes", $"use {cross.Heads + 1} heads, or another even number");
                }
                break;
            case NeighbourhoodAttention neighbourhood:
                problems.CheckOdd("neighbourhood window", neighbourhood.Window, Limits.Window);
                problems.CheckRange("dilation", neighbourhood.Dilation, 1, Limits.Window);
                problems.CheckHeads(neighbourhood.Heads, channels);
                break;
            default:
                throw new InvalidOperationException($"unknown attention {attention.GetType()}");
        }
    }

    /// <summary>A class token has no place on the map, so only what asks for none can take it.</summary>
    private static void CheckWithClassToken(Block block, Problems problems)
    {
        if (block.Attention is not (GlobalAttention { LocallyEnhanced: false } or SpatialReductionAttention { Reduction: 1 }))
        {
            problems.Add(
                $"{block.Attention.Kind} attention needs each token's place, and the class token has none",
                "use global attention or a reduction of 1 in the last stage, or a head without a class token");
        }
        if (block.MlpConvolution != MlpConvolution.None)
        {
            problems.Add(
                "the MLP's convolution needs each token's place, and the class token has none",
                "use a plain MLP in the last stage, or a head without a class token");
        }
    }

    private static void CheckQnA(QnAAttention qna, int channels, Problems problems, bool windowIsMap = false)
    {
        if (!windowIsMap)
        {
            problems.CheckOdd("qna window", qna.Window, Limits.Window);
        }
        problems.CheckRange("queries", qna.Queries, 1, Limits.Queries);
        var width = qna.Width ?? channels;
        if (qna.Width is null || problems.CheckRange("qna width", width, 1, Limits.Channels))
        {
            problems.CheckHeads(qna.Heads, width);
        }
        if (qna.Scale == AttentionScale.PositiveNegative && (long)qna.Queries * qna.Heads % 2 != 0)
        {
            problems.Add(
                $"the positive-negative scale halves {qna.Queries} queries × {qna.Heads} heads, an odd number",
                $"use {qna.Queries + 1} queries, an even number of heads, or another scale");
        }
        if (qna.Norm is LargestNorm { Limit: var limit } && (!double.IsFinite(limit) || limit <= 0))
        {
            problems.Add($"the queries' largest norm is {limit}", "use a number above 0, such as 1");
        }
    }

    private static void CheckMlp(double ratio, double? layerScale, int channels, Problems problems)
    {
        if (ratio is not (> 0 and <= Limits.MlpRatio))
        {
            problems.Add($"the MLP ratio is {ratio}", $"use a number above 0 and up to {Limits.MlpRatio}, such as 4");
        }
        else if (channels > 0 && (int)(channels * ratio) < 1)
        {
            problems.Add($"an MLP ratio of {ratio} leaves no hidden channel of {channels}", $"use a ratio of at least {1.0 / channels}");
        }
        if (layerScale is { } scale && !double.IsFinite(scale))
        {
            problems.Add($"the layer scale is {scale}", "use a finite number, such as 1e-5, or none");
        }
    }

    private static void CheckTransition(Transition transition, MapShape input, MapShape output, Problems problems)
    {
        // Without explicit channels the count follows from the input's, whose own mistake is named where it is made.
        if (transition.Channels is not null || (input.Channels is > 0 and <= Limits.Channels))
        {
            problems.CheckRange("channels after it", output.Channels, 1, Limits.Channels);
        }
        switch (transition)
        {
            case PatchMerging:
                break;
            case StridedConvolution convolution:
                if (problems.CheckRange("kernel", convolution.Kernel, 1, Limits.Window)
                    & problems.CheckRange("stride", convolution.Stride, 1, Limits.Window)
                    && convolution.IsPatches && convolution.Kernel != convolution.Stride)
                {
                    problems.Add(
                        $"kernel: {convolution.Kernel} is even, so it has no centre, and is not the stride of {convolution.Stride}",
                        $"use {convolution.Kernel - 1} or {convolution.Kernel + 1}, or a stride of {convolution.Kernel}");
                }
                break;
            case QnADownsampling down:
                problems.CheckRange("stride", down.Stride, 1, Limits.Window);
                CheckQnA(down.Attention, output.Channels, problems);
                CheckMlp(down.MlpRatio, down.LayerScale, output.Channels, problems);
                break;
            case QnAUpsampling up:
                if (problems.CheckRange("upsampling factor", up.Factor, 1, Limits.Window))
                {
                    var side = (long)Math.Max(input.Size.Height, input.Size.Width) * up.Factor;
                    if (side > Limits.Side)
                    {
                        problems.Add($"its map would have a side of {side} tokens", $"upsample less: to at most {Limits.Side}");
                    }
                }
                CheckQnA(up.Attention, output.Channels, problems);
                CheckMlp(up.MlpRatio, up.LayerScale, output.Channels, problems);
                break;
            default:
                throw new InvalidOperationException($"unknown transition {transition.GetType()}");
        }
    }

    private static void CheckHead(Head head, MapShape map, Problems problems)
    {
        problems.CheckRange("classes", head.Classes, 0, Limits.Classes);
        if (head is QnAPoolHead pool)
        {
            CheckQnA(pool.Attention, map.Channels, problems, windowIsMap: true);
        }
    }

    /// <summary>What depends on the image's size: divisibility, padding wider than the map, the pooling window.</summary>
    private static void CheckSizes(Architecture architecture, ImageSize image, Problems problems)
    {
        var exact = architecture.SizePolicy == SizePolicy.Exact;
        foreach (var part in Walk.Through(architecture, image))
        {
            var at = problems.At(part.Place);
            var size = part.Input.Size;
            switch (part)
            {
                case StemPart { Stem: PatchStem { PatchSize: > 0 and var patch } } when exact && !size.IsMultipleOf(patch):
                    at.AddDivision("image", size, $"patches of {patch}×{patch}", patch);
                    break;
                case TransitionPart { Transition: PatchMerging } when exact && !size.IsMultipleOf(2):
                    at.AddDivision("map", size, "patch merging's 2×2", 2);
                    break;
                case TransitionPart { Transition: StridedConvolution { IsPatches: true, Stride: > 0 and var patch } }
                    when exact && !size.IsMultipleOf(patch):
                    at.AddDivision("map", size, $"patches of {patch}×{patch}", patch);
                    break;
                case StemPart { Stem: ConvolutionStem { Convolutions: var convolutions } }:
                    CheckStemSizes(convolutions, size, at);
                    break;
                case BlockPart { Block.Attention: WindowAttention { Window: > 0 and var window } } when exact && !Divides(window, size):
                    at.AddDivision("map", size, $"windows of {window}×{window}", window);
                    break;
                case BlockPart { Block.Attention: SpatialReductionAttention { Reduction: > 1 and var reduction } }
                    when exact && !size.IsMultipleOf(reduction):
                    at.AddDivision("map", size, $"a reduction by {reduction}", reduction);
                    break;
                case BlockPart { Block.Attention: CrossShapedAttention { Stripe: > 0 and var stripe } } when exact && !Divides(stripe, size):
                    at.AddDivision("map", size, $"stripes of {stripe}", stripe);
                    break;
                case BlockPart { Block.Attention: NeighbourhoodAttention { Window: > 0, Dilation: > 0 } neighbourhood } when exact:
                    CheckNeighbourhood(neighbourhood, size, at);
                    break;
                case BlockPart { Block.Attention: SlideAttention { Window: > 0 } slide }:
                    CheckEdge(slide, size, at);
                    break;
                case HeadPart { Head: QnAPoolHead }:
                    CheckPool(architecture, size, at);
                    break;
                default:
                    break;
            }
        }
    }

    private static void CheckStemSizes(ValueList<Convolution> convolutions, ImageSize size, Problems problems)
    {
        foreach (var convolution in convolutions)
        {
            if (convolution.Kernel is < 1 or > Limits.Window || convolution.Stride < 1 || convolution.Padding is < 0 or > Limits.Window)
            {
                return;
            }
            var output = convolution.OutputSize(size);
            if (output is { Height: < 1 } or { Width: < 1 })
            {
                problems.Add(
                    $"a kernel of {convolution.Kernel} with {convolution.Padding} zeros on each side does not fit a map of {size}",
                    $"use a padding of {convolution.Kernel / 2}, or a larger image");
                return;
            }
            size = output;
        }
    }

    private static void CheckNeighbourhood(NeighbourhoodAttention neighbourhood, ImageSize size, Problems problems)
    {
        var needed = (long)neighbourhood.Window * neighbourhood.Dilation;
        if (size.Shorter < needed)
        {
            problems.Add(
                $"a neighbourhood of {neighbourhood.Window} tokens, {neighbourhood.Dilation} apart, does not fit a map of {size}, and the size policy is exact",
                $"use a map of at least {needed}×{needed}, a smaller window or dilation, or let the size policy pad");
        }
    }

    private static bool Divides(int window, ImageSize size) =>
        (size.Height <= window || size.Height % window == 0) && (size.Width <= window || size.Width % window == 0);

    private static void CheckEdge(SlideAttention slide, ImageSize size, Problems problems)
    {
        var radius = slide.Window / 2;
        var (widest, rule) = slide.Padding switch
        {
            EdgePadding.Reflect => (size.Shorter - 1, "less than the shorter side"),
            EdgePadding.Circular => (size.Shorter, "at most the shorter side"),
            _ => (int.MaxValue, ""),
        };
        if (radius > widest)
        {
            problems.Add(
                $"{slide.Padding.ToString().ToLowerInvariant()} padding of {radius} for a slide window of {slide.Window} on a map of {size} must be {rule}",
                $"use a window of at most {(2 * Math.Max(0, widest)) + 1}, zero or replicate padding, or a larger map");
        }
    }

    private static void CheckPool(Architecture architecture, ImageSize size, Problems problems)
    {
        var declared = ShapeInference.LastMap(architecture).Size;
        if (!declared.IsSquare)
        {
            problems.Add($"QnA pooling needs a square map and the last one is {declared}", "use a square resolution or average pooling");
        }
        else if (declared.Height > Limits.Window)
        {
            problems.Add($"QnA pooling over a map of {declared}", $"pool a map of at most {Limits.Window}×{Limits.Window}");
        }
        else if (size != declared)
        {
            problems.Add(
                $"QnA pooling was declared for a last map of {declared} and would get {size}",
                $"use images of {architecture.Resolution}, or average pooling, which takes any size");
        }
    }
}
