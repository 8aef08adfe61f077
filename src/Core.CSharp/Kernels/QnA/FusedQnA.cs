using System.Numerics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>How QnA's windows lie on the map.</summary>
/// <param name="Side">Side of the window, <c>k</c>.</param>
/// <param name="Stride">Step between windows.</param>
/// <param name="Padding">How far the first window reaches over the map's edge.</param>
/// <param name="Upsampling">Side of the square of outputs that the sets of a window make.</param>
internal readonly record struct QnAWindows(int Side, int Stride, int Padding, int Upsampling);

/// <summary>
/// The middle of QnA (CVPR 2022, arXiv 2112.11435, section 4) in one pass over the projected map:
/// <code>
/// y[p,s,n,:] = Σ_i Σ_t softmax_t( S[t,s,i,n] + P[t−p,s,i,n] ) · A[t−p,s,i,n] · V[t,n,:]
/// </code>
/// with <c>t</c> over the window at <c>p</c>, inside the map. Exponentials are computed once for each position, relative to
/// the largest score of a band of windows, and shared by all windows that see it; where the scores spread too far for that,
/// each window has its own. Nothing is stored for a window's positions, forward or backward: what a gradient computes in
/// passing is two numbers for each window and column of scores.
/// </summary>
internal static unsafe class FusedQnA
{
    /// <summary>Attends.</summary>
    /// <param name="projected">Scores and values, <c>[B, H, W, columns + values]</c>, laid out as <paramref name="layout"/> says.</param>
    /// <param name="position"><c>P [k², columns]</c>, or none.</param>
    /// <param name="scale"><c>A [k² or 1, columns]</c>, 0 in columns that only pad.</param>
    /// <param name="layout">The order of columns and values.</param>
    /// <param name="windows">The windows.</param>
    /// <returns><c>[B, H'·u, W'·u, values]</c>.</returns>
    public static Tensor Attend(Tensor projected, Tensor? position, Tensor scale, QnALayout layout, QnAWindows windows) =>
        is_grad_enabled() && (projected.requires_grad || position is { requires_grad: true } || scale.requires_grad)
            ? Differentiable.apply(projected, position!, scale, layout, windows)
            : Forward(projected, position, scale, layout, windows);

    private static Tensor Forward(Tensor projected, Tensor? position, Tensor scale, QnALayout layout, QnAWindows windows) =>
        projected.dtype switch
        {
            ScalarType.Float32 => Forward<float, float, SameStorage<float>>(projected, position, scale, layout, windows),
            ScalarType.Float64 => Forward<double, double, SameStorage<double>>(projected, position, scale, layout, windows),
            ScalarType.BFloat16 => Forward<ushort, float, BFloat16Storage>(projected, position, scale, layout, windows),
            var other => throw new ArgumentException($"no fused query-and-attend computes {other}"),
        };

    private static Tensor Forward<TStored, T, TStorage>(
        Tensor projected, Tensor? position, Tensor scale, QnALayout layout, QnAWindows windows)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
    {
        var shape = ShapeOf(projected, layout, windows);
        var upsampling = windows.Upsampling;
        var output = empty(
            [shape.Batch, (long)shape.OutputHeight * upsampling, (long)shape.OutputWidth * upsampling, shape.ValueWidth],
            dtype: projected.dtype);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = projected.contiguous();
        using var tables = new QnATables<T>(shape, position, scale);
        var spectra = QnASpectra<T>.Serves(shape, tables) ? QnASpectra<T>.Of(shape, tables) : (QnASpectra<T>?)null;
        var kernel = new QnAForward<TStored, T, TStorage>(
            shape, tables, spectra, TensorPointer.Of<TStored>(source), TensorPointer.Of<TStored>(output));
        Kernel.Run<QnAForward<TStored, T, TStorage>, T>(kernel, kernel.Items);
        spectra?.Dispose();
        return output;
    }

    private static QnAShape ShapeOf(Tensor projected, QnALayout layout, QnAWindows windows) => new(
        checked((int)projected.size(0)), (int)projected.size(1), (int)projected.size(2),
        windows.Side, windows.Stride, windows.Padding, windows.Upsampling,
        layout.Lanes, layout.Columns, layout.SetColumns, layout.Depth, layout.Period);

    /// <summary>The gradients of the projected map, the position biases and the scales.</summary>
    private static List<Tensor> Backward<T>(
        Tensor slope, Tensor projected, Tensor? position, Tensor scale, QnALayout layout, QnAWindows windows,
        (bool Position, bool Scale) wanted)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var dtype = projected.dtype;
        var gradient = empty(projected.shape, dtype: dtype);
        var shape = ShapeOf(projected, layout, windows);
        if (slope.NumberOfElements == 0)
        {
            gradient.zero_();
            return [gradient, wanted.Position ? zeros_like(position!) : null!, wanted.Scale ? zeros_like(scale) : null!];
        }
        using var source = projected.contiguous();
        using var slopes = slope.contiguous();
        using var tables = new QnATables<T>(shape, position, scale);
        using var largest = empty(shape.Batch, shape.Columns, dtype: dtype);
        using var shares = empty(shape.Batch, shape.Blocks, dtype: ScalarType.Byte);
        using var kept = empty([2, shape.Batch, shape.OutputHeight, shape.OutputWidth, shape.Columns], dtype: dtype);
        var windowNumbers = kept.NumberOfElements / 2;
        var statistics = new QnAStatistics<T>
        {
            Largest = TensorPointer.Of<T>(largest),
            Shares = TensorPointer.Of<byte>(shares),
            Reciprocals = TensorPointer.Of<T>(kept),
            Deltas = TensorPointer.Of<T>(kept) + windowNumbers,
            WindowLargest = null,
        };
        var measure = new QnAMeasure<T>(shape, TensorPointer.Of<T>(source), tables.Spread, statistics);
        Kernel.Run<QnAMeasure<T>, T>(measure, measure.Items);
        var allShare = new ReadOnlySpan<byte>(statistics.Shares, shape.Batch * shape.Blocks).IndexOf((byte)0) < 0;
        using var windowLargest = allShare ? null : empty(windowNumbers, dtype: dtype);
        statistics = statistics with { WindowLargest = windowLargest is null ? null : TensorPointer.Of<T>(windowLargest) };

        var parts = QnAWindowGradients<T>.PartsOf(shape);
        using var biasSums = wanted.Position ? zeros(parts, shape.Area, shape.Columns, dtype: dtype) : null;
        using var scaleSums = wanted.Scale ? zeros(parts, shape.Area, shape.Columns, dtype: dtype) : null;
        var byWindow = new QnAWindowGradients<T>(
            shape, tables, statistics, TensorPointer.Of<T>(source), TensorPointer.Of<T>(slopes),
            biasSums is null ? null : TensorPointer.Of<T>(biasSums), scaleSums is null ? null : TensorPointer.Of<T>(scaleSums));
        Kernel.Run<QnAWindowGradients<T>, T>(byWindow, parts);
        var byToken = new QnATokenGradients<T>(
            shape, tables, statistics, TensorPointer.Of<T>(source), TensorPointer.Of<T>(slopes), TensorPointer.Of<T>(gradient));
        Kernel.Run<QnATokenGradients<T>, T>(byToken, byToken.Items);

        using var scales = scaleSums?.sum([0]);
        return
        [
            gradient,
            biasSums is null ? null! : biasSums.sum([0]),
            scales is null ? null! : scale.size(0) == 1 ? scales.sum([0], keepdim: true) : scales.alias(),
        ];
    }

    /// <summary>The graph's node: inputs are those of <see cref="Attend"/>.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(FusedQnA);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, position, scale) = ((Tensor)vars[0], (Tensor?)vars[1], (Tensor)vars[2]);
            var (layout, windows) = ((QnALayout)vars[3], (QnAWindows)vars[4]);
            ctx.save_for_backward(position is null ? [projected, scale] : [projected, scale, position]);
            ctx.save_data(Arguments, (layout, windows, position is { requires_grad: true }, scale.requires_grad));
            return Forward(projected, position, scale, layout, windows);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var position = saved.Count > 2 ? saved[2] : null;
            var (layout, windows, wantsPosition, wantsScale) =
                ((QnALayout, QnAWindows, bool, bool))ctx.get_data(Arguments);
            var wanted = (wantsPosition, wantsScale);
            var gradients = grad_output.dtype == ScalarType.Float64
                ? Backward<double>(grad_output, saved[0], position, saved[1], layout, windows, wanted)
                : Backward<float>(grad_output, saved[0], position, saved[1], layout, windows, wanted);
            return [.. gradients, null!, null!];
        }
    }
}
