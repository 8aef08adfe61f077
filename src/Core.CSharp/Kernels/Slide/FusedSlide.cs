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
    // Multiply-adds that take longer than it takes another thread to begin.
    private const long WorthAThread = 200_000;

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
            ? Differentiable.apply(projected, weight, bias, positionBias, scale, window, padding)
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
    /// Rows that are worth a thread's while, and enough that reading the rows above and below them is a small part.
    /// </summary>
    private static long Grain(in SlideShape shape, bool areShifts)
    {
        var work = 2L * shape.Width * shape.Depth * shape.Area * (areShifts ? 1 : shape.Area);
        return Math.Max(shape.Window, WorthAThread / Math.Max(1, work));
    }

    /// <summary>The gradients of the projected map, the weight, the bias and the position bias: those that are wanted.</summary>
    private static List<Tensor> Backward<T>(
        Tensor slope, List<Tensor> saved, double scale, int window, EdgePadding padding, bool[] wanted)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var results = new List<Tensor>();
        for (var index = 0; index < wanted.Length; index++)
        {
            results.Add(wanted[index] ? empty(saved[index].shape, dtype: slope.dtype) : null!);
        }
        if (slope.NumberOfElements == 0)
        {
            results.ForEach(result => result?.zero_());
            return results;
        }
        var (projected, attention) = (saved[0], saved[4]);
        using var source = projected.contiguous();
        using var slopes = slope.contiguous();
        var shape = ShapeOf<T>(projected, window, padding);
        var wantsBias = wanted[2] || wanted[3];
        var weightSize = wanted[1] ? SlideWeightGradient.Size(shape) : 0;
        var bands = new SlideBands(shape, sizeof(T) * (weightSize + (shape.Depth + (long)shape.Heads) * shape.Area));
        using var weights = WeightsOf<T>(shape, saved[1], saved[2], saved[3], forGradients: wanted[0]);
        using var seams = wanted[0] ? empty(bands.Count * 2, bands.SeamRows, shape.RowSize, dtype: slope.dtype) : null;
        using var weightSums = wanted[1] ? empty(bands.Parts, weightSize, dtype: slope.dtype) : null;
        using var biasSums = wantsBias ? empty(bands.Parts, shape.Depth, shape.Area, dtype: slope.dtype) : null;
        using var positionBiasSums = wantsBias ? empty(bands.Parts, shape.Heads, shape.Area, dtype: slope.dtype) : null;
        var gradients = new SlideGradients<T>
        {
            Output = TensorPointer.Of<T>(slopes),
            Attention = TensorPointer.Of<T>(attention),
            Projected = PointerOrNull<T>(results[0]),
            Seams = PointerOrNull<T>(seams),
            Weight = PointerOrNull<T>(weightSums),
            Bias = PointerOrNull<T>(biasSums),
            PositionBias = PointerOrNull<T>(positionBiasSums),
        };
        var kernel = new SlideBackward<T>(shape, bands, TensorPointer.Of<T>(source), weights, T.CreateChecked(scale), gradients);
        var work = 5L * projected.NumberOfElements / 3 * shape.Area * (weights.AreShifts ? 1 : shape.Area) / bands.Parts;
        Kernel.Run<SlideBackward<T>, T>(kernel, bands.Parts, Math.Max(1, WorthAThread / Math.Max(1, work)));
        if (wanted[0])
        {
            var folding = new SlideSeams<T>(shape, bands, gradients.Seams, gradients.Projected);
            Kernel.Run<SlideSeams<T>, T>(folding, 2L * shape.Batch * shape.Heads);
        }
        if (wanted[1])
        {
            AddUp(gradients.Weight, bands.Parts, weightSize);
            SlideWeightGradient.LayOut(shape, gradients.Weight, TensorPointer.Of<T>(results[1]));
        }
        if (wanted[2])
        {
            AddUp(gradients.Bias, bands.Parts, results[2].NumberOfElements);
            results[2].copy_(biasSums![0]);
        }
        if (wanted[3])
        {
            AddUp(gradients.PositionBias, bands.Parts, results[3].NumberOfElements);
            results[3].copy_(positionBiasSums![0]);
        }
        return results;
    }

    private static T* PointerOrNull<T>(Tensor? tensor)
        where T : unmanaged => tensor is null ? null : TensorPointer.Of<T>(tensor);

    /// <summary>Adds the sums of all parts, in their order, to the first's.</summary>
    private static void AddUp<T>(T* sums, int parts, long size)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        for (var part = 1; part < parts; part++)
        {
            var other = sums + (part * size);
            for (var index = 0L; index < size; index++)
            {
                sums[index] += other[index];
            }
        }
    }

    /// <summary>The graph's node: inputs are those of <see cref="Attend"/>.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(FusedSlide);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var inputs = vars.Take(4).Cast<Tensor>().ToList();
            var (scale, window, padding) = ((double)vars[4], (int)vars[5], (EdgePadding)vars[6]);
            var sizes = inputs[0].shape;
            var attention = empty([sizes[0], sizes[3], sizes[1], window * window, sizes[2]], dtype: inputs[0].dtype);
            var output = Forward(inputs[0], inputs[1], inputs[2], inputs[3], scale, window, padding, attention);
            ctx.save_for_backward([.. inputs, attention]);
            ctx.save_data(Arguments, (scale, window, padding, inputs.Select(input => input.requires_grad).ToArray()));
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var (scale, window, padding, wanted) = ((double, int, EdgePadding, bool[]))ctx.get_data(Arguments);
            var gradients = grad_output.dtype == ScalarType.Float64
                ? Backward<double>(grad_output, saved, scale, window, padding, wanted)
                : Backward<float>(grad_output, saved, scale, window, padding, wanted);
            return [.. gradients, null!, null!, null!];
        }
    }
}
