using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels.Neighbourhood;
using LocalAttention.Core.Kernels.QnA;
using LocalAttention.Core.Kernels.Slide;
using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Kernels;

/// <summary>A kernel alone, on inputs that its layer would give it.</summary>
/// <param name="Name">What it is called in the report.</param>
/// <param name="Pass">Its arithmetic and traffic.</param>
/// <param name="Training">Whether the backward pass is run too.</param>
/// <param name="Inputs">Shapes of the inputs, all of which have gradients in training.</param>
/// <param name="Forward">The kernel.</param>
public sealed record KernelCase(
    string Name, Pass Pass, bool Training, IReadOnlyList<long[]> Inputs, Func<IReadOnlyList<Tensor>, Tensor> Forward)
{
    private const int Images = 8;
    private const int Side = 56;

    /// <summary>All of them, forward and with the backward pass.</summary>
    public static IEnumerable<KernelCase> All { get; } =
    [
        .. new[] { false, true }.SelectMany(training => new[]
        {
            Slide(3, training), Slide(5, training), Slide(7, training),
            QnA(3, training), QnA(7, training), QnA(15, training),
            Window(7, 3, training), Window(14, 12, training),
            Neighbourhood(3, training), Neighbourhood(7, training),
        }),
    ];

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static string Named(string kernel, int window, bool training) =>
        $"{kernel}-{window}x{window}-{(training ? "training" : "forward")}";

    private static KernelCase Slide(int window, bool training)
    {
        const int Channels = 96, Heads = 3, Width = Channels / Heads;
        var area = (long)window * window;
        var slide = new SlideAttention(window, Heads);
        return new KernelCase(
            Named("slide", window, training),
            LayerPasses.SlideKernel(slide, (double)Images * Side * Side, Channels),
            training,
            [[Images, Side, Side, Heads, 3, Width], [Width, area, area], [Width, area], [Heads, area]],
            x => FusedSlide.Attend(x[0], x[1], x[2], x[3], 1 / Math.Sqrt(Width), window, EdgePadding.Zeros));
    }

    /// <summary>With as many columns of scores as a vector has lanes, or a multiple, so that none of them only pads.</summary>
    private static KernelCase QnA(int window, bool training)
    {
        const int Channels = 64, Heads = 8;
        var area = (long)window * window;
        var qna = new QnAAttention(window, Heads);
        var layout = QnALayout.For(sets: 1, qna.Queries, Heads, Channels / Heads, ScalarType.Float32);
        var windows = new QnAWindows(window, Stride: 1, Padding: window / 2, Upsampling: 1);
        return new KernelCase(
            Named("qna", window, training),
            LayerPasses.QnAKernel(qna, (double)Images * Side * Side, (double)Images * Side * Side, Channels),
            training,
            [[Images, Side, Side, layout.TokenWidth], [area, layout.Columns], [area, layout.Columns]],
            x => FusedQnA.Attend(x[0], x[1], x[2], layout, windows));
    }

    private static KernelCase Neighbourhood(int window, bool training)
    {
        const int Channels = 96, Heads = 3;
        var offsets = (2L * window) - 1;
        return new KernelCase(
            Named("neighbourhood", window, training),
            LayerPasses.AttentionKernel((double)Images * Side * Side, window * window, Channels),
            training,
            [[Images, Side, Side, 3 * Channels], [Heads, offsets, offsets]],
            x => FusedNeighbourhood.Apply(x[0], Heads, window, dilation: 1, x[1]));
    }

    /// <summary>A whole map of a stage of Swin-T, whose sides are multiples of the window: 56 with 3 heads, 14 with 12.</summary>
    private static KernelCase Window(int window, int heads, bool training)
    {
        const int Width = 32;
        var (side, channels, offsets) = (Side * 3 / heads, heads * Width, (2L * window) - 1);
        var axis = new WindowAxis(side, window, side > window ? window / 2 : 0);
        var map = new AttentionMap(Images, axis, axis, heads, Width, QkvOrder.QkvMajor);
        return new KernelCase(
            Named("window", window, training),
            LayerPasses.AttentionKernel((double)Images * side * side, window * window, channels),
            training,
            [[Images, side, side, 3 * channels], [offsets * offsets, heads]],
            x => FusedAttention.Apply(x[0], map, x[1], window));
    }
}
