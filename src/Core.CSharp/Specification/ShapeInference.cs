namespace LocalAttention.Core.Specification;

/// <summary>What is known of one part of a model without a tensor.</summary>
/// <param name="Place">Where it stands, as a reader counts: <c>stem</c>, <c>stage 2, block 3</c>, <c>stage 2, transition</c>, <c>head</c>.</param>
/// <param name="Kind">What it is: the kind of stem, attention, transition or head.</param>
/// <param name="Window">Side of its attention window, stripe, reduction, patch or kernel; none where there is no such thing.</param>
/// <param name="Heads">Attention heads; none where there are none.</param>
/// <param name="Input">The map that enters; for the stem, the image.</param>
/// <param name="Output">The map that leaves; for the head, the map that it pools.</param>
/// <param name="Parameters">Its parameters.</param>
public sealed record LayerTrace(
    string Place, string Kind, int? Window, int? Heads, MapShape Input, MapShape Output, ParameterCount Parameters);

/// <summary>Shapes and parameters of every part of an architecture, computed from the value.</summary>
public static class ShapeInference
{
    /// <summary>The parts in the order in which an image passes through them.</summary>
    /// <param name="architecture">Any architecture, also one with mistakes.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    public static ValueList<LayerTrace> Trace(Architecture architecture, ImageSize? image = null) =>
        ValueList.From(Walk.Through(architecture, image ?? architecture.Resolution).Select(Describe));

    /// <summary>The map that enters the head.</summary>
    /// <param name="architecture">Any architecture, also one with mistakes.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    public static MapShape LastMap(Architecture architecture, ImageSize? image = null) =>
        Walk.Through(architecture, image ?? architecture.Resolution).Last().Input;

    private static LayerTrace Describe(Part part)
    {
        (string Kind, int? Window, int? Heads) known = part switch
        {
            StemPart { Stem: PatchStem patch } => ("patch", patch.PatchSize, null),
            StemPart { Stem: ConvolutionStem stem } => ("convolution", stem.Convolutions.Select(c => (int?)c.Kernel).FirstOrDefault(), null),
            BlockPart { Block.Attention: var attention } => (NameOf(attention, part.Input), WindowOf(attention), attention.Heads),
            TransitionPart { Transition: QnADownsampling { Attention: var qna } } => ("qna downsampling", qna.Window, qna.Heads),
            TransitionPart { Transition: QnAUpsampling { Attention: var qna } } => ("qna upsampling", qna.Window, qna.Heads),
            TransitionPart { Transition: StridedConvolution convolution } => (convolution.Kind, convolution.Kernel, null),
            TransitionPart { Transition: var transition } => (transition.Kind, null, null),
            EmbeddingPart { Positions: false } => ("class token", null, null),
            EmbeddingPart { ClassTokens: > 0 } => ("class token, positions", null, null),
            EmbeddingPart => ("positions", null, null),
            NormPart => ("norm", null, null),
            HeadPart { Head: ClassTokenHead } => ("class token", null, null),
            HeadPart { Head: QnAPoolHead pool } => ("qna pool", part.Input.Size.Shorter, pool.Heads),
            _ => ("average pool", null, null),
        };
        return new LayerTrace(part.Place, known.Kind, known.Window, known.Heads, part.Input, part.Output, ParameterCount.Of(part));
    }

    private static string NameOf(Attention attention, MapShape map) => attention switch
    {
        WindowAttention { Shifted: true } window when !window.Covers(map.Size) => "shifted window",
        _ => attention.Kind,
    };

    private static int? WindowOf(Attention attention) => attention switch
    {
        QnAAttention qna => qna.Window,
        SlideAttention slide => slide.Window,
        WindowAttention window => window.Window,
        NeighbourhoodAttention neighbourhood => neighbourhood.Window,
        CrossShapedAttention cross => cross.Stripe,
        SpatialReductionAttention reduced => reduced.Reduction,
        PooledAttention pooled => pooled.Pool,
        GlobalAttention => null,
        _ => throw new InvalidOperationException($"unknown attention {attention.GetType()}"),
    };
}
