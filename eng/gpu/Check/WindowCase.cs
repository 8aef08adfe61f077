using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>Attention inside windows of <c>[B, H, W, 3C]</c>, plain or shifted by half a window.</summary>
internal sealed record WindowCase(
    ScalarType Element, int Batch, int Height, int Width, int Heads, int Depth, int Window, bool Shifted,
    QkvOrder Order = QkvOrder.QkvMajor)
    : KernelCase(Element)
{
    public override string Kernel => "window";

    public override string Problem =>
        $"{Batch}x{Height}x{Width} h{Heads} d{Depth} w{Window}{(Shifted ? " shifted" : "")}"
        + (Order == QkvOrder.HeadMajor ? " by head" : "");

    protected override long Tokens => (long)Batch * Height * Width;

    private WindowPartition Windows
    {
        get
        {
            var shift = Shifted ? Window / 2 : 0;
            return new WindowPartition(
                Math.Min(Window, Height), Math.Min(Window, Width), Window < Height ? shift : 0, Window < Width ? shift : 0);
        }
    }

    public override IReadOnlyList<CaseInput> Inputs()
    {
        var offsets = (2L * Window) - 1;
        return
        [
            new("projected map", Counter.Filled("projected", [Batch, Height, Width, 3L * Heads * Depth])),
            new("biases", Counter.Filled("biases", [offsets * offsets, Heads])),
        ];
    }

    public override Tensor Fused(IReadOnlyList<Tensor> inputs)
    {
        var windows = Windows;
        var map = new AttentionMap(
            Batch, new WindowAxis(Height, windows.Height, windows.ShiftDown),
            new WindowAxis(Width, windows.Width, windows.ShiftRight), Heads, Depth, Order);
        return CudaAttention.Apply(inputs[0], map, inputs[1], Window);
    }

    public override Tensor Composite(IReadOnlyList<Tensor> inputs)
    {
        var windows = Windows;
        var (down, right) = (TokenPadding.Missing(Height, windows.Height), TokenPadding.Missing(Width, windows.Width));
        var padded = down + right > 0 ? nn.functional.pad(inputs[0], [0, 0, 0, right, 0, down]) : inputs[0];
        var bias = RelativePositionBias.Of(inputs[1], Window, windows.Height, windows.Width);
        if (windows.Mask(Height + down, Width + right, Height, Width, inputs[0]) is { } mask)
        {
            bias += mask.unsqueeze(1);
        }
        var attended = DotProductAttention.Attend(windows.Divide(padded), Heads, Order, bias);
        return windows.Join(attended, Batch, Height + down, Width + right).narrow(1, 0, Height).narrow(2, 0, Width);
    }

    // A weight is rounded before its product, a result after it, and δ is made of rounded results: two units of a term, and
    // twice that. A score's own rounding is a float's unit of its magnitude, which is at most √d, and the weight's error.
    public override double ToleranceOf(string name) =>
        (4 * Unit) + SumsOf(Depth + ((double)Windows.Height * Windows.Width) + 32 + (8 * Math.Sqrt(Depth)));

    // What is left of terms that cancel is compared on a scale of a tenth, the terms being of order one.
    public override double ScaleOf(string name, double largest, double largestOfAll) => Math.Max(largest, 0.1);
}
