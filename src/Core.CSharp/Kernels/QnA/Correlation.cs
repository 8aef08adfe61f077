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

    /// <summary>Sums of eight windows, and of the eight below them: what both see is loaded once.</summary>
    /// <param name="plane">The first window's first element.</param>
    /// <param name="rowStride">Elements from one row of the plane to the next.</param>
    /// <param name="stride">The step between windows, down and to the right.</param>
    /// <param name="table">The weights of the window's first position.</param>
    /// <param name="tableStride">Elements from one position's weights to the next's.</param>
    /// <param name="side">Side of the window.</param>
    /// <param name="sums">Sixteen vectors: the upper windows', then the lower ones'.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void OfTwoTiles<TLanes, TVector, T>(
        T* plane, long rowStride, int stride, T* table, long tableStride, int side, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var step = (long)stride * lanes;
        // Rows that only one of the two sees lie over and under those that both see.
        var alone = Math.Min(stride, side);
        var both = side - alone;
        var above = table;
        var below = table;
        var (sum0, sum1, sum2, sum3) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (sum4, sum5, sum6, sum7) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (below0, below1, below2, below3) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (below4, below5, below6, below7) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        for (var row = 0; row < alone; row++)
        {
            var source = plane + (row * rowStride);
            for (var column = 0; column < side; column++)
            {
                var weight = TLanes.Load(above);
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
                above += tableStride;
            }
        }
        for (var row = 0; row < both; row++)
        {
            var source = plane + ((alone + row) * rowStride);
            for (var column = 0; column < side; column++)
            {
                var weight = TLanes.Load(above);
                var weightBelow = TLanes.Load(below);
                var fifth = source + (4 * step);
                var value = TLanes.Load(source);
                sum0 = TLanes.MultiplyAdd(weight, value, sum0);
                below0 = TLanes.MultiplyAdd(weightBelow, value, below0);
                value = TLanes.Load(source + step);
                sum1 = TLanes.MultiplyAdd(weight, value, sum1);
                below1 = TLanes.MultiplyAdd(weightBelow, value, below1);
                value = TLanes.Load(source + (2 * step));
                sum2 = TLanes.MultiplyAdd(weight, value, sum2);
                below2 = TLanes.MultiplyAdd(weightBelow, value, below2);
                value = TLanes.Load(fifth - step);
                sum3 = TLanes.MultiplyAdd(weight, value, sum3);
                below3 = TLanes.MultiplyAdd(weightBelow, value, below3);
                value = TLanes.Load(fifth);
                sum4 = TLanes.MultiplyAdd(weight, value, sum4);
                below4 = TLanes.MultiplyAdd(weightBelow, value, below4);
                value = TLanes.Load(fifth + step);
                sum5 = TLanes.MultiplyAdd(weight, value, sum5);
                below5 = TLanes.MultiplyAdd(weightBelow, value, below5);
                value = TLanes.Load(fifth + (2 * step));
                sum6 = TLanes.MultiplyAdd(weight, value, sum6);
                below6 = TLanes.MultiplyAdd(weightBelow, value, below6);
                value = TLanes.Load(fifth + (4 * step) - step);
                sum7 = TLanes.MultiplyAdd(weight, value, sum7);
                below7 = TLanes.MultiplyAdd(weightBelow, value, below7);
                source += lanes;
                above += tableStride;
                below += tableStride;
            }
        }
        for (var row = 0; row < alone; row++)
        {
            var source = plane + ((stride + both + row) * rowStride);
            for (var column = 0; column < side; column++)
            {
                var weight = TLanes.Load(below);
                var fifth = source + (4 * step);
                below0 = TLanes.MultiplyAdd(weight, TLanes.Load(source), below0);
                below1 = TLanes.MultiplyAdd(weight, TLanes.Load(source + step), below1);
                below2 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (2 * step)), below2);
                below3 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth - step), below3);
                below4 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth), below4);
                below5 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + step), below5);
                below6 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + (2 * step)), below6);
                below7 = TLanes.MultiplyAdd(weight, TLanes.Load(fifth + (4 * step) - step), below7);
                source += lanes;
                below += tableStride;
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
        TLanes.Store(below0, sums + (8 * lanes));
        TLanes.Store(below1, sums + (9 * lanes));
        TLanes.Store(below2, sums + (10 * lanes));
        TLanes.Store(below3, sums + (11 * lanes));
        TLanes.Store(below4, sums + (12 * lanes));
        TLanes.Store(below5, sums + (13 * lanes));
        TLanes.Store(below6, sums + (14 * lanes));
        TLanes.Store(below7, sums + (15 * lanes));
    }
}
