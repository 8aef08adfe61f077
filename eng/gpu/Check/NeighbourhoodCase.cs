using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>Neighbourhood attention over <c>[B, H, W, 3C]</c>.</summary>
internal sealed record NeighbourhoodCase(
    ScalarType Element, int Batch, int Height, int Width, int Heads, int Depth, int Window, int Dilation = 1, bool Biased = true)
    : KernelCase(Element)
{
    public override string Kernel => "neighbourhood";

    public override string Problem =>
        $"{Batch}x{Height}x{Width} h{Heads} d{Depth} k{Window} dilation {Dilation}{(Biased ? "" : " no bias")}";

    protected override long Tokens => (long)Batch * Height * Width;

    public override IReadOnlyList<CaseInput> Inputs()
    {
        var offsets = (2L * Window) - 1;
        List<CaseInput> inputs =
            [new("projected map", Counter.Filled("projected", [Batch, Height, Width, 3L * Heads * Depth]))];
        if (Biased)
        {
            inputs.Add(new CaseInput("biases", Counter.Filled("rpb", [Heads, offsets, offsets])));
        }
        return inputs;
    }

    public override Tensor Fused(IReadOnlyList<Tensor> inputs) =>
        CudaNeighbourhood.Apply(inputs[0], Heads, Window, Dilation, Biased ? inputs[1] : null);

    public override Tensor Composite(IReadOnlyList<Tensor> inputs) =>
        NeighbourhoodAggregation.Attend(inputs[0], Heads, Window, Dilation, Biased ? inputs[1] : null);

    // Every term of an output or gradient is rounded as a weight and again with the result, and δ takes the rounding of the
    // stored output with it: 16 units of the largest element cover them and their cancellation.
    public override double ToleranceOf(string name) =>
        (16 * Unit) + SumsOf(Depth + (2 * Window * Window) + 32);
}
