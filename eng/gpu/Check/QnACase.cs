using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.QnA;
using LocalAttention.Core.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>Query-and-attend over scores and values of <c>[B, H, W]</c> tokens.</summary>
internal sealed record QnACase(
    ScalarType Element, int Batch, int Height, int Width, int Heads, int Depth, int Window, int Stride = 1, int Padding = -1,
    int Upsampling = 1, int Queries = 2)
    : KernelCase(Element)
{
    public override string Kernel => "qna";

    public override string Problem =>
        $"{Batch}x{Height}x{Width} h{Heads} d{Depth} k{Window} s{Stride} p{Around} u{Upsampling} q{Queries}";

    protected override long Tokens => (long)Batch * Height * Width * Sets;

    private int Around => Padding < 0 ? Window / 2 : Padding;

    private int Sets => Upsampling * Upsampling;

    private int Columns => Sets * Queries * Heads;

    public override IReadOnlyList<CaseInput> Inputs() =>
    [
        new("scores", Counter.Filled("scores", [Batch, Height, Width, Columns])),
        new("values", Counter.Filled("values", [Batch, Height, Width, (long)Heads * Depth])),
        new("position", Counter.Filled("position", [(long)Window * Window, Columns])),
        new("scale", Counter.Filled("scale", [(long)Window * Window, Columns])),
    ];

    public override Tensor Fused(IReadOnlyList<Tensor> inputs)
    {
        var token = new CudaQnAToken(Sets, Queries, Heads, Depth);
        return CudaQnA.Attend(
            token.Join(inputs[0], inputs[1], 3), inputs[2], inputs[3], token, new QnAWindows(Window, Stride, Around, Upsampling));
    }

    public override Tensor Composite(IReadOnlyList<Tensor> inputs)
    {
        var sets = QnAAggregation.Attend(
            inputs[0], inputs[1], inputs[2], inputs[3], Sets, Heads, new WindowGrid(Window, Stride, Around));
        var (height, width) = (sets.size(1), sets.size(2));
        // A token becomes a square of tokens, as in pixel shuffle.
        return sets.view(Batch, height, width, Upsampling, Upsampling, (long)Heads * Depth)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(Batch, height * Upsampling, width * Upsampling, (long)Heads * Depth);
    }

    // Weights and results are rounded; the sums behind a gradient have a term for each place, channel and query, and a
    // table's one for each window.
    public override double ToleranceOf(string name) =>
        (Element == ScalarType.Float32 ? 0 : 4 * Unit)
        + SumsOf((2 * Window * Window) + (4.0 * Depth * Queries) + Math.Sqrt((double)Tokens * Depth));

    // Weights of a window sum to 1 and scales are at most 1; a score's slope is a difference of two products over a head's
    // channels, which cancel.
    public override double ScaleOf(string name, double largest, double largestOfAll) =>
        Math.Max(largest, name is "output" or "values" ? 1 : Math.Sqrt(Depth));
}
