using System.Numerics;
using LocalAttention.Core.Kernels.Simd;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// Neighbourhood attention (NAT, arXiv 2204.07143, section 3.1; dilated: DiNAT, arXiv 2209.15001, section 3.1) in one pass
/// over the projected map:
/// <code>
/// score[j] = (Σ_c q_c K[c, window_j]) / √d + rpb[n, offset_j]    out_c = Σ_j softmax_j(score) V[c, window_j]
/// </code>
/// Nothing of the size of the scores is stored, forward or backward: the weights are computed again for gradients.
/// </summary>
internal static unsafe class FusedNeighbourhood
{
    // Multiply-adds that take longer than it takes another thread to begin.
    private const long WorthAThread = 200_000;

    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>: all queries, all keys, all values.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="window">Side of the window, <c>k</c>, odd.</param>
    /// <param name="dilation">Step between the tokens of a window.</param>
    /// <param name="rpb">Biases by offset, <c>[h, 2k − 1, 2k − 1]</c>, or none.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">A size does not fit the others, or the map has fewer than <c>k · dilation</c> tokens each way.</exception>
    public static Tensor Apply(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        Check(projected, heads, window, dilation, rpb);
        if (is_grad_enabled() && (projected.requires_grad || rpb is { requires_grad: true }))
        {
            return Differentiable.apply(
                rpb is null ? [projected, heads, window, dilation] : [projected, heads, window, dilation, rpb]);
        }
        return Forward(projected, heads, window, dilation, rpb);
    }

    private static Tensor Forward(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        switch (projected.dtype)
        {
            case ScalarType.Float32:
                return Forward<float>(projected, heads, window, dilation, rpb);
            case ScalarType.Float64:
                return Forward<double>(projected, heads, window, dilation, rpb);
            case ScalarType.BFloat16:
                using (var singles = projected.to_type(ScalarType.Float32))
                using (var output = Forward<float>(singles, heads, window, dilation, rpb))
                {
                    return output.to_type(ScalarType.BFloat16);
                }
            default:
                throw new ArgumentException($"no fused neighbourhood attention computes {projected.dtype}", nameof(projected));
        }
    }

    private static Tensor Forward<T>(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var output = empty([.. projected.shape[..^1], projected.shape[^1] / 3], dtype: projected.dtype);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = projected.contiguous();
        var shape = ShapeOf<T>(projected, heads, window, dilation);
        using var biases = BiasesOf<T>(shape, rpb);
        var kernel = new NeighbourhoodForward<T>(
            shape, TensorPointer.Of<T>(source), PointerOrNull<T>(biases), TensorPointer.Of<T>(output));
        var items = NeighbourhoodForward<T>.Items(shape);
        Kernel.Run<NeighbourhoodForward<T>, T>(kernel, items, Grain(2 * output.NumberOfElements * shape.Area / items));
        return output;
    }

    /// <summary>The gradients of the projected map and of the biases: those that are wanted.</summary>
    private static (Tensor? Projected, Tensor? Biases) Backward<T>(
        Tensor slope, Tensor projected, int heads, int window, int dilation, Tensor? rpb, bool wantsProjected, bool wantsBiases)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var projectedSlope = wantsProjected ? empty(projected.shape, dtype: projected.dtype) : null;
        if (slope.NumberOfElements == 0)
        {
            return (projectedSlope, wantsBiases ? zeros_like(rpb!) : null);
        }
        using var source = projected.contiguous();
        using var slopes = slope.contiguous();
        var shape = ShapeOf<T>(projected, heads, window, dilation);
        using var biases = BiasesOf<T>(shape, rpb);
        var items = NeighbourhoodBackward<T>.Items(shape);
        using var sums = wantsBiases
            ? empty(items, shape.SequencesPerGroup, (long)shape.Offsets * shape.Offsets, dtype: projected.dtype)
            : null;
        var kernel = new NeighbourhoodBackward<T>(
            shape, TensorPointer.Of<T>(source), PointerOrNull<T>(biases), TensorPointer.Of<T>(slopes),
            PointerOrNull<T>(projectedSlope), PointerOrNull<T>(sums));
        Kernel.Run<NeighbourhoodBackward<T>, T>(kernel, items, Grain(5 * slope.NumberOfElements * shape.Area / items));
        return (projectedSlope, sums is null ? null : AddUp<T>(shape, sums, rpb!));
    }

    /// <summary>Adds the slopes of the biases up over images, residues and sequences, in their order.</summary>
    private static Tensor AddUp<T>(in NeighbourhoodShape shape, Tensor sums, Tensor rpb)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var result = zeros(rpb.shape, dtype: rpb.dtype);
        var from = TensorPointer.Of<T>(sums);
        var to = TensorPointer.Of<T>(result);
        var size = shape.Offsets * shape.Offsets;
        var items = NeighbourhoodBackward<T>.Items(shape);
        for (var item = 0L; item < items; item++)
        {
            var group = (int)(item / ((long)shape.Batch * shape.Dilation));
            for (var index = 0; index < shape.SequencesOf(group); index++)
            {
                var (head, _) = shape.Sequence((group * shape.SequencesPerGroup) + index);
                var part = from + (((item * shape.SequencesPerGroup) + index) * size);
                var whole = to + ((long)head * size);
                for (var offset = 0; offset < size; offset++)
                {
                    whole[offset] += part[offset];
                }
            }
        }
        return result;
    }

    /// <summary>The biases as the kernels read them.</summary>
    private static Tensor? BiasesOf<T>(in NeighbourhoodShape shape, Tensor? rpb)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (rpb is null)
        {
            return null;
        }
        var dtype = typeof(T) == typeof(double) ? ScalarType.Float64 : ScalarType.Float32;
        using var typed = rpb.to_type(dtype);
        using var table = typed.contiguous();
        var biases = empty(shape.Groups, shape.BiasSize, dtype: dtype);
        var target = TensorPointer.Of<T>(biases);
        for (var group = 0; group < shape.Groups; group++)
        {
            NeighbourhoodBiases.LayOut(shape, group, TensorPointer.Of<T>(table), target + ((long)group * shape.BiasSize));
        }
        return biases;
    }

    private static NeighbourhoodShape ShapeOf<T>(Tensor projected, int heads, int window, int dilation)
        where T : unmanaged
    {
        var sizes = projected.shape;
        var lanes = SimdWidths.Current == SimdWidth.Scalar ? 1 : (int)SimdWidths.Current / 8 / sizeof(T);
        return new NeighbourhoodShape(
            checked((int)sizes[0]), (int)sizes[1], (int)sizes[2], heads, (int)sizes[3] / 3 / heads, window, dilation, lanes);
    }

    /// <summary>Items that are worth a thread's while.</summary>
    private static long Grain(long workOfItem) => Math.Max(1, WorthAThread / Math.Max(1, workOfItem));

    private static T* PointerOrNull<T>(Tensor? tensor)
        where T : unmanaged => tensor is null ? null : TensorPointer.Of<T>(tensor);

    /// <summary>Throws where sizes do not fit each other.</summary>
    internal static void Check(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        var sizes = projected.shape;
        if (sizes.Length != 4 || heads < 1 || sizes[3] % (3L * heads) != 0)
        {
            throw new ArgumentException(
                $"neighbourhood attention of {heads} heads needs a map [B, H, W, 3C] with C a multiple of the heads, not [{string.Join(", ", sizes)}]",
                nameof(projected));
        }
        if (window < 1 || window % 2 == 0 || dilation < 1)
        {
            throw new ArgumentException($"a neighbourhood has an odd side and a step of at least 1, not {window} and {dilation}", nameof(window));
        }
        if (Math.Min(sizes[1], sizes[2]) < (long)window * dilation)
        {
            throw new ArgumentException(
                $"a neighbourhood of {window} tokens, {dilation} apart, needs {(long)window * dilation} tokens each way, not {sizes[1]}×{sizes[2]}: pad the map first",
                nameof(projected));
        }
        var offsets = (2L * window) - 1;
        if (rpb is not null && !rpb.shape.AsSpan().SequenceEqual([heads, offsets, offsets]))
        {
            throw new ArgumentException(
                $"the biases of {heads} heads and a window of {window} are [{heads}, {offsets}, {offsets}], not [{string.Join(", ", rpb.shape)}]",
                nameof(rpb));
        }
    }

    /// <summary>The graph's node: inputs are those of <see cref="Apply"/>, the biases last or left out.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(FusedNeighbourhood);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, heads, window, dilation) = ((Tensor)vars[0], (int)vars[1], (int)vars[2], (int)vars[3]);
            var rpb = vars.Length > 4 ? (Tensor)vars[4] : null;
            ctx.save_for_backward(rpb is null ? [projected] : [projected, rpb]);
            ctx.save_data(Arguments, (heads, window, dilation, projected.requires_grad, rpb is { requires_grad: true }));
            return Forward(projected, heads, window, dilation, rpb);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var rpb = saved.Count > 1 ? saved[1] : null;
            var (heads, window, dilation, wantsProjected, wantsBiases) = ((int, int, int, bool, bool))ctx.get_data(Arguments);
            var (projected, biases) = grad_output.dtype == ScalarType.Float64
                ? Backward<double>(grad_output, saved[0], heads, window, dilation, rpb, wantsProjected, wantsBiases)
                : Backward<float>(grad_output, saved[0], heads, window, dilation, rpb, wantsProjected, wantsBiases);
            return rpb is null ? [projected!, null!, null!, null!] : [projected!, null!, null!, null!, biases!];
        }
    }
}
