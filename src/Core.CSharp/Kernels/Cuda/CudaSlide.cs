using LocalAttention.Core.Kernels.Slide;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// Slide Attention on a CUDA device: what <see cref="FusedSlide"/> computes, by <c>Slide*.cu</c>. What a gradient keeps beside
/// its inputs is the attention, <c>k²·h</c> numbers per token.
/// </summary>
internal static class CudaSlide
{
    /// <summary>Whether the device has the shared memory for such a window.</summary>
    public static bool Takes(Tensor projected, int window)
    {
        var map = new SlideMap(projected, window, EdgePadding.Zeros, shifts: false);
        var sharedMemory = CudaDevices.For(projected).Limits.SharedMemory;
        return map.Depth == 0 || Enum.GetValues<SlidePass>().All(pass => SlideTile.Of(map, pass, sharedMemory).Count > 0);
    }

    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, h, 3, d]</c>.</param>
    /// <param name="weight"><c>W [d, k², k²]</c>: channel, sample, position of the window.</param>
    /// <param name="bias"><c>b [d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb [h, k²]</c>.</param>
    /// <param name="scale">The factor of the logits.</param>
    /// <param name="window">Side of the window, odd.</param>
    /// <param name="padding">What stands outside the map.</param>
    /// <param name="shifts">Whether the weight is known to shift only; it is then not read.</param>
    /// <returns><c>[B, H, W, h, d]</c>.</returns>
    /// <exception cref="ArgumentException">No kernel computes the element type.</exception>
    public static Tensor Attend(
        Tensor projected, Tensor weight, Tensor bias, Tensor positionBias, double scale, int window, EdgePadding padding,
        bool shifts) =>
        is_grad_enabled()
            && (projected.requires_grad || weight.requires_grad || bias.requires_grad || positionBias.requires_grad)
            ? Differentiable.apply(projected, weight, bias, positionBias, scale, window, padding, shifts)
            : Forward(
                [projected, weight, bias, positionBias], (float)scale, new SlideMap(projected, window, padding, shifts),
                attention: null);

    private static Tensor Forward(List<Tensor> inputs, float scale, SlideMap map, Tensor? attention)
    {
        var projected = inputs[0];
        var sizes = projected.shape;
        var output = empty([.. sizes[..4], sizes[5]], dtype: projected.dtype, device: projected.device);
        if (output.NumberOfElements > 0)
        {
            using var source = CudaElement.Readable(projected);
            using var launches =
                new SlideLaunches(CudaDevices.For(projected), map, scale, source, inputs[1], inputs[2], inputs[3]);
            launches.Forward(output, attention);
        }
        return output;
    }

    /// <summary>The gradients of the projected map, the weight, the bias and the position bias: those that are wanted.</summary>
    private static List<Tensor> Backward(Tensor slope, List<Tensor> saved, float scale, SlideMap map, bool[] wanted)
    {
        var (projected, attention) = (saved[0], saved[4]);
        if (slope.NumberOfElements == 0)
        {
            return [.. saved.Take(4).Select((input, index) => wanted[index] ? zeros_like(input) : null!)];
        }
        using var source = CudaElement.Readable(projected);
        using var slopes = CudaElement.Readable(slope);
        using var logits = empty_like(attention);
        using var launches = new SlideLaunches(CudaDevices.For(projected), map, scale, source, saved[1], saved[2], saved[3]);
        var gradient = empty(projected.shape, dtype: projected.dtype, device: projected.device);
        launches.BackwardQueries(slopes, attention, logits, gradient);
        if (wanted[0])
        {
            launches.BackwardKeys(slopes, attention, logits, gradient);
        }
        else
        {
            gradient.Dispose();
        }
        var (weight, bias) = wanted[1] || wanted[2]
            ? launches.BackwardWeight(slopes, attention, logits, wanted[1])
            : (null, null);
        using var positionBias = wanted[3] ? launches.BackwardPositionBias(logits) : null;
        using (weight)
        using (bias)
        {
            return
            [
                wanted[0] ? gradient : null!,
                weight?.to_type(saved[1].dtype)!,
                wanted[2] ? bias!.to_type(saved[2].dtype) : null!,
                positionBias?.to_type(saved[3].dtype)!,
            ];
        }
    }

    /// <summary>The graph's node: inputs are those of <see cref="Attend"/>.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(CudaSlide);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var inputs = vars.Take(4).Cast<Tensor>().ToList();
            var map = new SlideMap(inputs[0], (int)vars[5], (EdgePadding)vars[6], (bool)vars[7]);
            var scale = (float)(double)vars[4];
            var attention = empty(
                [map.Batch, map.Heads, map.Height, map.Width, map.Area], dtype: ScalarType.Float32, device: inputs[0].device);
            var output = Forward(inputs, scale, map, attention);
            ctx.save_for_backward([.. inputs, attention]);
            ctx.save_data(Arguments, (scale, map, inputs.Select(input => input.requires_grad).ToArray()));
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var (scale, map, wanted) = ((float, SlideMap, bool[]))ctx.get_data(Arguments);
            return [.. Backward(grad_output, saved, scale, map, wanted), null!, null!, null!, null!];
        }
    }
}
