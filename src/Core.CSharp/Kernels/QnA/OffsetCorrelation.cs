using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// What each offset of a window meets over all windows of some rows, lane by lane:
/// <code>
/// sum[i, j] += Σ_{y,x} slope[y, x] · plane[y·stride + i, x·stride + j]
/// </code>
/// with the sums of nine offsets in registers at a time, or of a row of seven.
/// </summary>
internal static unsafe class OffsetCorrelation
{
    // All of a 3×3 window.
    private const int Group = 9;

    // A row of a 7×7 window: its neighbours see most of what it sees, so that two windows go together.
    private const int Row = 7;

    /// <summary>Offsets of a window, padded to whole groups: that many vectors of sums.</summary>
    public static int PaddedArea(int side) => ((side * side) + Group - 1) / Group * Group;

    /// <summary>Adds rows of windows to the sums of all offsets.</summary>
    /// <param name="plane">The first element that the first window sees; rows are <paramref name="rowStride"/> apart.</param>
    /// <param name="rowStride">Elements from one row of the plane to the next.</param>
    /// <param name="slopes">The windows' slopes: vectors side by side, rows <paramref name="slopeStride"/> apart.</param>
    /// <param name="slopeStride">Elements from one row of windows to the next.</param>
    /// <param name="rows">Rows of windows.</param>
    /// <param name="columns">Windows of a row.</param>
    /// <param name="stride">The step between windows.</param>
    /// <param name="side">Side of the window.</param>
    /// <param name="sums">A vector for each offset, <see cref="PaddedArea"/>; those behind the last hold nothing of use.</param>
    public static void Add<TLanes, TVector, T>(
        T* plane, long rowStride, T* slopes, long slopeStride, int rows, int columns, int stride, int side, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        if (side == Row && stride == 1)
        {
            for (var row = 0; row < side; row++)
            {
                OfRow<TLanes, TVector, T>(
                    plane + (row * rowStride), rowStride, slopes, slopeStride, rows, columns, sums + (row * Row * lanes));
            }
            return;
        }
        var offsets = stackalloc long[Group];
        for (var first = 0; first < side * side; first += Group)
        {
            for (var index = 0; index < Group; index++)
            {
                var (down, right) = Math.DivRem(Math.Min(first + index, (side * side) - 1), side);
                offsets[index] = (down * rowStride) + ((long)right * lanes);
            }
            OfGroup<TLanes, TVector, T>(
                plane, stride * rowStride, slopes, slopeStride, rows, columns, stride, offsets, sums + (first * lanes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void OfGroup<TLanes, TVector, T>(
        T* plane, long rowStep, T* slopes, long slopeStride, int rows, int columns, int stride, long* offsets, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var step = (long)stride * lanes;
        var sum0 = TLanes.Load(sums);
        var sum1 = TLanes.Load(sums + lanes);
        var sum2 = TLanes.Load(sums + (2 * lanes));
        var sum3 = TLanes.Load(sums + (3 * lanes));
        var sum4 = TLanes.Load(sums + (4 * lanes));
        var sum5 = TLanes.Load(sums + (5 * lanes));
        var sum6 = TLanes.Load(sums + (6 * lanes));
        var sum7 = TLanes.Load(sums + (7 * lanes));
        var sum8 = TLanes.Load(sums + (8 * lanes));
        var (o0, o1, o2, o3, o4) = (offsets[0], offsets[1], offsets[2], offsets[3], offsets[4]);
        var (o5, o6, o7, o8) = (offsets[5], offsets[6], offsets[7], offsets[8]);
        for (var row = 0; row < rows; row++)
        {
            var source = plane + (row * rowStep);
            var slope = slopes + (row * slopeStride);
            for (var column = 0; column < columns; column++)
            {
                var weight = TLanes.Load(slope);
                sum0 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o0), sum0);
                sum1 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o1), sum1);
                sum2 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o2), sum2);
                sum3 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o3), sum3);
                sum4 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o4), sum4);
                sum5 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o5), sum5);
                sum6 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o6), sum6);
                sum7 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o7), sum7);
                sum8 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o8), sum8);
                slope += lanes;
                source += step;
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
        TLanes.Store(sum8, sums + (8 * lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void OfRow<TLanes, TVector, T>(
        T* plane, long rowStep, T* slopes, long slopeStride, int rows, int columns, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var sum0 = TLanes.Load(sums);
        var sum1 = TLanes.Load(sums + lanes);
        var sum2 = TLanes.Load(sums + (2 * lanes));
        var sum3 = TLanes.Load(sums + (3 * lanes));
        var sum4 = TLanes.Load(sums + (4 * lanes));
        var sum5 = TLanes.Load(sums + (5 * lanes));
        var sum6 = TLanes.Load(sums + (6 * lanes));
        for (var row = 0; row < rows; row++)
        {
            var source = plane + (row * rowStep);
            var slope = slopes + (row * slopeStride);
            for (var column = 1; column < columns; column += 2)
            {
                var (first, second) = (TLanes.Load(slope), TLanes.Load(slope + lanes));
                var value = TLanes.Load(source);
                sum0 = TLanes.MultiplyAdd(first, value, sum0);
                value = TLanes.Load(source + lanes);
                sum1 = TLanes.MultiplyAdd(first, value, sum1);
                sum0 = TLanes.MultiplyAdd(second, value, sum0);
                value = TLanes.Load(source + (2 * lanes));
                sum2 = TLanes.MultiplyAdd(first, value, sum2);
                sum1 = TLanes.MultiplyAdd(second, value, sum1);
                value = TLanes.Load(source + (3 * lanes));
                sum3 = TLanes.MultiplyAdd(first, value, sum3);
                sum2 = TLanes.MultiplyAdd(second, value, sum2);
                value = TLanes.Load(source + (4 * lanes));
                sum4 = TLanes.MultiplyAdd(first, value, sum4);
                sum3 = TLanes.MultiplyAdd(second, value, sum3);
                value = TLanes.Load(source + (5 * lanes));
                sum5 = TLanes.MultiplyAdd(first, value, sum5);
                sum4 = TLanes.MultiplyAdd(second, value, sum4);
                value = TLanes.Load(source + (6 * lanes));
                sum6 = TLanes.MultiplyAdd(first, value, sum6);
                sum5 = TLanes.MultiplyAdd(second, value, sum5);
                value = TLanes.Load(source + (7 * lanes));
                sum6 = TLanes.MultiplyAdd(second, value, sum6);
                slope += 2 * lanes;
                source += 2 * lanes;
            }
            if (columns % 2 != 0)
            {
                var weight = TLanes.Load(slope);
                sum0 = TLanes.MultiplyAdd(weight, TLanes.Load(source), sum0);
                sum1 = TLanes.MultiplyAdd(weight, TLanes.Load(source + lanes), sum1);
                sum2 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (2 * lanes)), sum2);
                sum3 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (3 * lanes)), sum3);
                sum4 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (4 * lanes)), sum4);
                sum5 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (5 * lanes)), sum5);
                sum6 = TLanes.MultiplyAdd(weight, TLanes.Load(source + (6 * lanes)), sum6);
            }
        }
        TLanes.Store(sum0, sums);
        TLanes.Store(sum1, sums + lanes);
        TLanes.Store(sum2, sums + (2 * lanes));
        TLanes.Store(sum3, sums + (3 * lanes));
        TLanes.Store(sum4, sums + (4 * lanes));
        TLanes.Store(sum5, sums + (5 * lanes));
        TLanes.Store(sum6, sums + (6 * lanes));
    }
}
