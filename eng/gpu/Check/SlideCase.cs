using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>Slide Attention over <c>[B, H, W, h, 3, d]</c>.</summary>
internal sealed record SlideCase(
    ScalarType Element, int Batch, int Height, int Width, int Heads, int Depth, int Window, EdgePadding Padding, bool Deformed)
    : KernelCase(Element)
{
    public override string Kernel => "slide";

    public override string Problem =>
        $"{Batch}x{Height}x{Width} h{Heads} d{Depth} k{Window} {Padding}{(Deformed ? "" : " shifts only")}";

    protected override long Tokens => (long)Batch * Height * Width;

    private int Area => Window * Window;

    private double Scale => 1 / Math.Sqrt(Depth);

    public override IReadOnlyList<CaseInput> Inputs() =>
    [
        new("projected map", Counter.Filled("projected", [Batch, Height, Width, Heads, 3, Depth])),
        Deformed
            ? new("weight", Counter.Filled("weight", [Depth, Area, Area], u => u * Math.Sqrt(3.0 / Area)))
            : new("weight", eye(Area).unsqueeze(0).repeat(Depth, 1, 1), Differentiable: false),
        new("bias", Counter.Filled("bias", [Depth, Area])),
        new("position bias", Counter.Filled("rpb", [Heads, Area])),
    ];

    public override Tensor Fused(IReadOnlyList<Tensor> inputs) =>
        CudaSlide.Attend(inputs[0], inputs[1], inputs[2], inputs[3], Scale, Window, Padding, shifts: !Deformed);

    public override Tensor Composite(IReadOnlyList<Tensor> inputs)
    {
        var windows = new WindowGrid(Window, 1, Window / 2);
        Tensor Outward(Tensor part) => Extended(part.flatten(3), windows)
            .view(Batch, Height + (2 * windows.Padding), Width + (2 * windows.Padding), Heads, Depth);
        return SlideAggregation.Attend(
            inputs[0].select(4, 0) * Scale, Outward(inputs[0].select(4, 1)), Outward(inputs[0].select(4, 2)), inputs[1], inputs[2],
            inputs[3], windows);
    }

    // Every term of a sum is rounded as a factor and as a product on tensor cores, and results again; the weight's gradient
    // goes through bfloat16 for half too. In float the longest chain adds, for an element of the weight's gradient, both
    // products of every token after the k²·(k² + d) terms of a token's own sums.
    public override double ToleranceOf(string name)
    {
        var inFloat = 200 * Single * Math.Sqrt((Area * (Area + Depth)) + (2.0 * Tokens));
        return Element switch
        {
            ScalarType.Float32 => inFloat,
            ScalarType.Float16 when name is "weight" or "bias" => inFloat + (8 * Math.ScaleB(1, -8)),
            _ => inFloat + (8 * Unit),
        };
    }

    private Tensor Extended(Tensor map, WindowGrid windows)
    {
        if (Padding == EdgePadding.Zeros || windows.Padding == 0)
        {
            return windows.Extend(map);
        }
        var mode = Padding switch
        {
            EdgePadding.Circular => PaddingModes.Circular,
            EdgePadding.Reflect => PaddingModes.Reflect,
            _ => PaddingModes.Replicate,
        };
        // Only the last two dimensions can be extended so.
        var sides = ((long)windows.Padding, (long)windows.Padding, (long)windows.Padding, (long)windows.Padding);
        return nn.functional.pad(map.permute(0, 3, 1, 2), sides, mode).permute(0, 2, 3, 1).contiguous();
    }
}
