using System.Numerics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// Attention inside the windows of a map: one pass over each window and head, nothing of the size of the scores stored.
/// </summary>
/// <remarks>
/// The bound is the processor's multiply-adds, <c>4·L²·d</c> operations for each window and head: with AVX-512 in single
/// precision 43% of them are reached at 7×7 and heads of 32 (49 keys fill four vectors of 16 to three quarters, and weights
/// take a quarter of the time), 63% at 14×14, 66% at 56×56 tokens globally, and with the gradient 52% to 62% of the larger.
/// </remarks>
internal static unsafe class FusedAttention
{
    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="map">How they are divided.</param>
    /// <param name="table">Swin's biases, <c>[(2w − 1)², h]</c>, or none.</param>
    /// <param name="biasWindow">The window that they were made for, <c>w</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor Apply(Tensor projected, AttentionMap map, Tensor? table, int biasWindow) =>
        is_grad_enabled() && (projected.requires_grad || table is { requires_grad: true })
            ? Differentiable.apply(table is null ? [projected, map] : [projected, map, table, biasWindow])
            : Forward(projected, map, table, biasWindow, statistics: null);

    /// <summary>The result without a gradient; for each token and head the largest score and one over the sum of weights.</summary>
    private static Tensor Forward(Tensor projected, AttentionMap map, Tensor? table, int biasWindow, Tensor? statistics) =>
        projected.dtype switch
        {
            ScalarType.Float32 => Forward<float, float, SameStorage<float>>(projected, map, table, biasWindow, statistics),
            ScalarType.Float64 => Forward<double, double, SameStorage<double>>(projected, map, table, biasWindow, statistics),
            ScalarType.BFloat16 => Forward<ushort, float, BFloat16Storage>(projected, map, table, biasWindow, statistics),
            var other => throw new ArgumentException($"no fused attention computes {other}"),
        };

    private static Tensor Forward<TStored, T, TStorage>(
        Tensor projected, AttentionMap map, Tensor? table, int biasWindow, Tensor? statistics)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
    {
        using var source = projected.contiguous();
        using var runs = Runs<TStored, T, TStorage>(table, biasWindow, map.Heads);
        var output = empty([.. projected.shape[..^1], map.Channels], dtype: projected.dtype);
        if (output.NumberOfElements > 0)
        {
            var kernel = new WindowForward<TStored, T, TStorage>(
                map, TensorPointer.Of<TStored>(source), runs is null ? null : TensorPointer.Of<T>(runs), biasWindow,
                TensorPointer.Of<TStored>(output), statistics is null ? null : TensorPointer.Of<T>(statistics));
            Kernel.Run<WindowForward<TStored, T, TStorage>, T>(kernel, WindowForward<TStored, T, TStorage>.Items(map), Grain(map));
        }
        return output;
    }

    /// <summary>The biases as the kernels read them.</summary>
    private static Tensor? Runs<TStored, T, TStorage>(Tensor? table, int window, int heads)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
    {
        if (table is null)
        {
            return null;
        }
        using var plain = table.contiguous();
        var runs = empty(BiasRuns.Length(window, heads), dtype: typeof(T) == typeof(double) ? ScalarType.Float64 : ScalarType.Float32);
        BiasRuns.FromTable<TStored, T, TStorage>(TensorPointer.Of<TStored>(plain), window, heads, TensorPointer.Of<T>(runs));
        return runs;
    }

    /// <summary>Windows of a head that are worth a thread's while: some ten thousand multiply-adds.</summary>
    private static long Grain(in AttentionMap map) => Math.Max(1, 20_000 / ((long)map.Longest * map.Longest * map.HeadWidth));

    /// <summary>The gradients by the projected map and, where there is one, by the table.</summary>
    private static (Tensor Projected, Tensor? Table) Backward<T>(
        Tensor slope, Tensor projected, Tensor output, Tensor statistics, AttentionMap map, Tensor? table, int biasWindow)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        using var source = projected.contiguous();
        using var slopes = slope.contiguous();
        using var runs = Runs<T, T, SameStorage<T>>(table, biasWindow, map.Heads);
        var parts = WindowBackward<T>.Parts(map);
        var runsSlope = table is null ? null : zeros(parts, map.Heads, BiasRuns.Offsets(biasWindow), dtype: table.dtype);
        var projectedSlope = empty(projected.shape, dtype: projected.dtype);
        if (output.NumberOfElements > 0)
        {
            var kernel = new WindowBackward<T>(
                map, TensorPointer.Of<T>(source), runs is null ? null : TensorPointer.Of<T>(runs), biasWindow,
                TensorPointer.Of<T>(output), TensorPointer.Of<T>(statistics), TensorPointer.Of<T>(slopes),
                TensorPointer.Of<T>(projectedSlope), runsSlope is null ? null : TensorPointer.Of<T>(runsSlope), parts);
            Kernel.Run<WindowBackward<T>, T>(kernel, parts * map.Heads);
        }
        if (table is null || runsSlope is null)
        {
            return (projectedSlope, null);
        }
        var tableSlope = empty(table.shape, dtype: table.dtype);
        BiasRuns.ToTable(TensorPointer.Of<T>(runsSlope), (int)parts, biasWindow, map.Heads, TensorPointer.Of<T>(tableSlope));
        runsSlope.Dispose();
        return (projectedSlope, tableSlope);
    }

    /// <summary>The graph's node: inputs are the projected map, how it is divided, and the table with its window or none.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        public override string Name => nameof(FusedAttention);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, map) = ((Tensor)vars[0], (AttentionMap)vars[1]);
            var (table, biasWindow) = vars.Length > 2 ? ((Tensor)vars[2], (int)vars[3]) : (null, 0);
            var statistics = empty(map.Tokens, map.Heads, 2, dtype: projected.dtype);
            var output = Forward(projected, map, table, biasWindow, statistics);
            ctx.save_for_backward(table is null ? [projected, output, statistics] : [projected, output, statistics, table]);
            ctx.save_data(nameof(AttentionMap), map);
            ctx.save_data(nameof(biasWindow), biasWindow);
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var map = (AttentionMap)ctx.get_data(nameof(AttentionMap));
            var biasWindow = (int)ctx.get_data("biasWindow");
            var table = saved.Count > 3 ? saved[3] : null;
            var (projected, tableSlope) = grad_output.dtype == ScalarType.Float64
                ? Backward<double>(grad_output, saved[0], saved[1], saved[2], map, table, biasWindow)
                : Backward<float>(grad_output, saved[0], saved[1], saved[2], map, table, biasWindow);
            return table is null ? [projected, null!] : [projected, null!, tableSlope!, null!];
        }
    }
}
