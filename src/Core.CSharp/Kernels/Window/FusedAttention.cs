using System.Numerics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// Attention inside the windows of a map: one pass over each window and head, nothing of the size of the scores stored.
/// </summary>
internal static unsafe class FusedAttention
{
    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="map">How they are divided.</param>
    /// <param name="table">Swin's biases, <c>[(2w − 1)², h]</c>, or none.</param>
    /// <param name="biasWindow">The window that they were made for, <c>w</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor Apply(Tensor projected, AttentionMap map, Tensor? table, int biasWindow) =>
        Forward(projected, map, table, biasWindow, statistics: null);

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
}
