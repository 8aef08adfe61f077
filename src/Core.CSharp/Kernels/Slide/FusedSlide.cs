using System.Numerics;
using LocalAttention.Core.Kernels.Simd;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The middle of Slide Attention (CVPR 2023, arXiv 2304.04237, section 3) in one pass over the projected map:
/// <code>
/// logit[j] = scale · Σ_c q_c (Σ_t W[c,j,t] K[c,p+t] + b[c,j] + rpb[n,j])
/// out_c = Σ_j softmax_j(logit) (Σ_t W[c,j,t] V[c,p+t] + b[c,j])
/// </code>
/// No sample is stored, forward or backward: what a gradient keeps beside its inputs is the attention, <c>k²·h</c> per token.
/// </summary>
internal static unsafe class FusedSlide
{
    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, h, 3, d]</c>.</param>
    /// <param name="weight"><c>W [d, k², k²]</c>: channel, sample, position of the window.</param>
    /// <param name="bias"><c>b [d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb [h, k²]</c>.</param>
    /// <param name="scale">The factor of the logits.</param>
    /// <param name="window">Side of the window, odd.</param>
    /// <param name="padding">What stands outside the map.</param>
    /// <returns><c>[B, H, W, h, d]</c>.</returns>
    public static Tensor Attend(
        Tensor projected, Tensor weight, Tensor bias, Tensor positionBias, double scale, int window, EdgePadding padding) =>
        is_grad_enabled()
            && (projected.requires_grad || weight.requires_grad || bias.requires_grad || positionBias.requires_grad)
            ? throw new NotSupportedException()
            : Forward(projected, weight, bias, positionBias, scale, window, padding, attention: null);

    /// <summary>The result without a gradient.</summary>
    internal static Tensor Forward(
        Tensor projected, Tensor weight, Tensor bias, Tensor positionBias, double scale, int window, EdgePadding padding,
        Tensor? attention) =>
        projected.dtype switch
        {
            ScalarType.Float32 => Forward<float, float, SameStorage<float>>(
                projected, weight, bias, positionBias, scale, window, padding, attention),
            ScalarType.Float64 => Forward<double, double, SameStorage<double>>(
                projected, weight, bias, positionBias, scale, window, padding, attention),
            ScalarType.BFloat16 => Forward<ushort, float, BFloat16Storage>(
                projected, weight, bias, positionBias, scale, window, padding, attention),
            var other => throw new ArgumentException($"no fused slide attention computes {other}"),
        };

    /// <summary>The sizes for the vectors in use.</summary>
    internal static SlideShape ShapeOf<T>(Tensor projected, int window, EdgePadding padding)
        where T : unmanaged
    {
        var sizes = projected.shape;
        var lanes = SimdWidths.Current == SimdWidth.Scalar ? 1 : (int)SimdWidths.Current / 8 / sizeof(T);
        return new SlideShape(
            checked((int)sizes[0]), (int)sizes[1], (int)sizes[2], (int)sizes[3], (int)sizes[5], window, padding, lanes);
    }

    /// <summary>The parameters in the kernels' order.</summary>
    internal static SlideWeights<T> WeightsOf<T>(
        in SlideShape shape, Tensor weight, Tensor bias, Tensor positionBias, bool forGradients)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var dtype = typeof(T) == typeof(double) ? ScalarType.Float64 : ScalarType.Float32;
        using var weights = weight.to_type(dtype).contiguous();
        using var biases = bias.to_type(dtype).contiguous();
        using var positionBiases = positionBias.to_type(dtype).contiguous();
        return new SlideWeights<T>(
            shape, TensorPointer.Of<T>(weights), TensorPointer.Of<T>(biases), TensorPointer.Of<T>(positionBiases), forGradients);
    }

    private static Tensor Forward<TStored, T, TStorage>(
        Tensor projected, Tensor weight, Tensor bias, Tensor positionBias, double scale, int window, EdgePadding padding,
        Tensor? attention)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
    {
        var sizes = projected.shape;
        var output = empty([sizes[0], sizes[1], sizes[2], sizes[3], sizes[5]], dtype: projected.dtype);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = projected.contiguous();
        var shape = ShapeOf<T>(projected, window, padding);
        using var weights = WeightsOf<T>(shape, weight, bias, positionBias, forGradients: false);
        var kernel = new SlideForward<TStored, T, TStorage>(
            shape, TensorPointer.Of<TStored>(source), weights, T.CreateChecked(scale), TensorPointer.Of<TStored>(output),
            attention is null ? null : TensorPointer.Of<T>(attention));
        Kernel.Run<SlideForward<TStored, T, TStorage>, T>(
            kernel, SlideForward<TStored, T, TStorage>.Items(shape), Grain(shape, weights.AreShifts));
        return output;
    }

    /// <summary>
    /// Rows that are worth a thread's while: some hundred thousand multiply-adds, and enough that reading the rows above
    /// and below them is a small part.
    /// </summary>
    private static long Grain(in SlideShape shape, bool areShifts)
    {
        var work = 2L * shape.Width * shape.Depth * shape.Area * (areShifts ? 1 : shape.Area);
        return Math.Max(shape.Window, 100_000 / Math.Max(1, work));
    }
}
