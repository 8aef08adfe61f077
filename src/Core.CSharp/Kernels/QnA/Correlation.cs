using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// Sums over windows of a plane, <c>[rows, columns, lanes]</c>, weighted by a table, lane by lane:
/// <code>
/// sum[x] = Σ_{i,j} table[i, j] · plane[i, x·step + j]
/// </code>
/// for eight neighbouring windows at a time, one sum in each of eight registers.
/// </summary>
internal static unsafe class Correlation
{
    /// <summary>Sums of eight windows.</summary>
    /// <param name="plane">The first window's first element.</param>
    /// <param name="rowStride">Elements from one row of the plane to the next.</param>
    /// <param name="step">Elements from one window to the next.</param>
    /// <param name="table">The weights of the window's first position.</param>
    /// <param name="tableStride">Elements from one position's weights to the next's; 0 where all are equal.</param>
    /// <param name="height">Rows of the window.</param>
    /// <param name="width">Columns of the window.</param>
    /// <param name="sums">Eight vectors.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void OfTile<TLanes, TVector, T>(
        T* plane, long rowStride, long step, T* table, long tableStride, int height, int width, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var (sum0, sum1, sum2, sum3) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (sum4, sum5, sum6, sum7) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        for (var row = 0; row < height; row++)
        {
            var source = plane + (row * rowStride);
            for (var column = 0; column < width; column++)
            {
                var weight = TLanes.Load(table);
                var fifth = source + (4 * step);
                sum0 = TLanes.MultiplyAdd(weight, TLanes.Load(source), sum0);
                sum1 = TLanes.MultiplyAdd(weight, TLanes.Load(source + step), sum1);
                sum2 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (2 * step)), sum2);
                sum3 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth - step), sum3);
                sum4 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth), sum4);
                sum5 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + step), sum5);
                sum6 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + (2 * step)), sum6);
                sum7 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + (4 * step) - step), sum7);
                source += lanes;
                table += tableStride;
            }
        }
        TLanes.Store(sum0, sums);
        TLanes.Store(sum1, sums + lanes);
        TLanes.Store(sum2, sums + (2 * lanes));
        TLanes.Store(sum3, sums + (3 * lanes));
        TLanes.Store(sum4, sums + (4 * lanes));
        TLanes.Store(sum5, sums + (5 * lanes));
        TLanes.Store(sum6, sums + (6 * lanes));
        TLanes.Store(sum7, sums + (7 * lanes));
    }
}
