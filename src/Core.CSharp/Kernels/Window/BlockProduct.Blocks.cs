using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <content>The blocks: so many rows by so many vectors, each element's sum in a register of its own.</content>
internal static unsafe partial class BlockProduct
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x4<TLanes, TVector, T>(
        T* a, long aRow, long aStep, T* b, long bRow, T* c, long cRow, int depth, T* start, long startRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var c1 = c + cRow;
        var c2 = c + 2 * cRow;
        var c3 = c + 3 * cRow;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * lanes);
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * lanes);
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + startRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + startRow + lanes);
        var s12 = start == null ? TLanes.Zero : TLanes.Load(start + startRow + 2 * lanes);
        var s13 = start == null ? TLanes.Zero : TLanes.Load(start + startRow + 3 * lanes);
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow);
        var s21 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow + lanes);
        var s22 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow + 2 * lanes);
        var s23 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow + 3 * lanes);
        var s30 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow);
        var s31 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow + lanes);
        var s32 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow + 2 * lanes);
        var s33 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow + 3 * lanes);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + lanes);
            var b2 = TLanes.Load(b + 2 * lanes);
            var b3 = TLanes.Load(b + 3 * lanes);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            s01 = TLanes.MultiplyAdd(left, b1, s01);
            s02 = TLanes.MultiplyAdd(left, b2, s02);
            s03 = TLanes.MultiplyAdd(left, b3, s03);
            left = TLanes.Broadcast(a[aRow]);
            s10 = TLanes.MultiplyAdd(left, b0, s10);
            s11 = TLanes.MultiplyAdd(left, b1, s11);
            s12 = TLanes.MultiplyAdd(left, b2, s12);
            s13 = TLanes.MultiplyAdd(left, b3, s13);
            left = TLanes.Broadcast(a[2 * aRow]);
            s20 = TLanes.MultiplyAdd(left, b0, s20);
            s21 = TLanes.MultiplyAdd(left, b1, s21);
            s22 = TLanes.MultiplyAdd(left, b2, s22);
            s23 = TLanes.MultiplyAdd(left, b3, s23);
            left = TLanes.Broadcast(a[3 * aRow]);
            s30 = TLanes.MultiplyAdd(left, b0, s30);
            s31 = TLanes.MultiplyAdd(left, b1, s31);
            s32 = TLanes.MultiplyAdd(left, b2, s32);
            s33 = TLanes.MultiplyAdd(left, b3, s33);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
        TLanes.Store(s01, c + lanes);
        TLanes.Store(s02, c + 2 * lanes);
        TLanes.Store(s03, c + 3 * lanes);
        TLanes.Store(s10, c1);
        TLanes.Store(s11, c1 + lanes);
        TLanes.Store(s12, c1 + 2 * lanes);
        TLanes.Store(s13, c1 + 3 * lanes);
        TLanes.Store(s20, c2);
        TLanes.Store(s21, c2 + lanes);
        TLanes.Store(s22, c2 + 2 * lanes);
        TLanes.Store(s23, c2 + 3 * lanes);
        TLanes.Store(s30, c3);
        TLanes.Store(s31, c3 + lanes);
        TLanes.Store(s32, c3 + 2 * lanes);
        TLanes.Store(s33, c3 + 3 * lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block8x2<TLanes, TVector, T>(
        T* a, long aRow, long aStep, T* b, long bRow, T* c, long cRow, int depth, T* start, long startRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var c1 = c + cRow;
        var c2 = c + 2 * cRow;
        var c3 = c + 3 * cRow;
        var c4 = c + 4 * cRow;
        var c5 = c + 5 * cRow;
        var c6 = c + 6 * cRow;
        var c7 = c + 7 * cRow;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + startRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + startRow + lanes);
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow);
        var s21 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow + lanes);
        var s30 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow);
        var s31 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow + lanes);
        var s40 = start == null ? TLanes.Zero : TLanes.Load(start + 4 * startRow);
        var s41 = start == null ? TLanes.Zero : TLanes.Load(start + 4 * startRow + lanes);
        var s50 = start == null ? TLanes.Zero : TLanes.Load(start + 5 * startRow);
        var s51 = start == null ? TLanes.Zero : TLanes.Load(start + 5 * startRow + lanes);
        var s60 = start == null ? TLanes.Zero : TLanes.Load(start + 6 * startRow);
        var s61 = start == null ? TLanes.Zero : TLanes.Load(start + 6 * startRow + lanes);
        var s70 = start == null ? TLanes.Zero : TLanes.Load(start + 7 * startRow);
        var s71 = start == null ? TLanes.Zero : TLanes.Load(start + 7 * startRow + lanes);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + lanes);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            s01 = TLanes.MultiplyAdd(left, b1, s01);
            left = TLanes.Broadcast(a[aRow]);
            s10 = TLanes.MultiplyAdd(left, b0, s10);
            s11 = TLanes.MultiplyAdd(left, b1, s11);
            left = TLanes.Broadcast(a[2 * aRow]);
            s20 = TLanes.MultiplyAdd(left, b0, s20);
            s21 = TLanes.MultiplyAdd(left, b1, s21);
            left = TLanes.Broadcast(a[3 * aRow]);
            s30 = TLanes.MultiplyAdd(left, b0, s30);
            s31 = TLanes.MultiplyAdd(left, b1, s31);
            left = TLanes.Broadcast(a[4 * aRow]);
            s40 = TLanes.MultiplyAdd(left, b0, s40);
            s41 = TLanes.MultiplyAdd(left, b1, s41);
            left = TLanes.Broadcast(a[5 * aRow]);
            s50 = TLanes.MultiplyAdd(left, b0, s50);
            s51 = TLanes.MultiplyAdd(left, b1, s51);
            left = TLanes.Broadcast(a[6 * aRow]);
            s60 = TLanes.MultiplyAdd(left, b0, s60);
            s61 = TLanes.MultiplyAdd(left, b1, s61);
            left = TLanes.Broadcast(a[7 * aRow]);
            s70 = TLanes.MultiplyAdd(left, b0, s70);
            s71 = TLanes.MultiplyAdd(left, b1, s71);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
        TLanes.Store(s01, c + lanes);
        TLanes.Store(s10, c1);
        TLanes.Store(s11, c1 + lanes);
        TLanes.Store(s20, c2);
        TLanes.Store(s21, c2 + lanes);
        TLanes.Store(s30, c3);
        TLanes.Store(s31, c3 + lanes);
        TLanes.Store(s40, c4);
        TLanes.Store(s41, c4 + lanes);
        TLanes.Store(s50, c5);
        TLanes.Store(s51, c5 + lanes);
        TLanes.Store(s60, c6);
        TLanes.Store(s61, c6 + lanes);
        TLanes.Store(s70, c7);
        TLanes.Store(s71, c7 + lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x2<TLanes, TVector, T>(
        T* a, long aRow, long aStep, T* b, long bRow, T* c, long cRow, int depth, T* start, long startRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var c1 = c + cRow;
        var c2 = c + 2 * cRow;
        var c3 = c + 3 * cRow;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + startRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + startRow + lanes);
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow);
        var s21 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow + lanes);
        var s30 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow);
        var s31 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow + lanes);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + lanes);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            s01 = TLanes.MultiplyAdd(left, b1, s01);
            left = TLanes.Broadcast(a[aRow]);
            s10 = TLanes.MultiplyAdd(left, b0, s10);
            s11 = TLanes.MultiplyAdd(left, b1, s11);
            left = TLanes.Broadcast(a[2 * aRow]);
            s20 = TLanes.MultiplyAdd(left, b0, s20);
            s21 = TLanes.MultiplyAdd(left, b1, s21);
            left = TLanes.Broadcast(a[3 * aRow]);
            s30 = TLanes.MultiplyAdd(left, b0, s30);
            s31 = TLanes.MultiplyAdd(left, b1, s31);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
        TLanes.Store(s01, c + lanes);
        TLanes.Store(s10, c1);
        TLanes.Store(s11, c1 + lanes);
        TLanes.Store(s20, c2);
        TLanes.Store(s21, c2 + lanes);
        TLanes.Store(s30, c3);
        TLanes.Store(s31, c3 + lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block8x1<TLanes, TVector, T>(
        T* a, long aRow, long aStep, T* b, long bRow, T* c, long cRow, int depth, T* start, long startRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var c1 = c + cRow;
        var c2 = c + 2 * cRow;
        var c3 = c + 3 * cRow;
        var c4 = c + 4 * cRow;
        var c5 = c + 5 * cRow;
        var c6 = c + 6 * cRow;
        var c7 = c + 7 * cRow;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + startRow);
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * startRow);
        var s30 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * startRow);
        var s40 = start == null ? TLanes.Zero : TLanes.Load(start + 4 * startRow);
        var s50 = start == null ? TLanes.Zero : TLanes.Load(start + 5 * startRow);
        var s60 = start == null ? TLanes.Zero : TLanes.Load(start + 6 * startRow);
        var s70 = start == null ? TLanes.Zero : TLanes.Load(start + 7 * startRow);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            left = TLanes.Broadcast(a[aRow]);
            s10 = TLanes.MultiplyAdd(left, b0, s10);
            left = TLanes.Broadcast(a[2 * aRow]);
            s20 = TLanes.MultiplyAdd(left, b0, s20);
            left = TLanes.Broadcast(a[3 * aRow]);
            s30 = TLanes.MultiplyAdd(left, b0, s30);
            left = TLanes.Broadcast(a[4 * aRow]);
            s40 = TLanes.MultiplyAdd(left, b0, s40);
            left = TLanes.Broadcast(a[5 * aRow]);
            s50 = TLanes.MultiplyAdd(left, b0, s50);
            left = TLanes.Broadcast(a[6 * aRow]);
            s60 = TLanes.MultiplyAdd(left, b0, s60);
            left = TLanes.Broadcast(a[7 * aRow]);
            s70 = TLanes.MultiplyAdd(left, b0, s70);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
        TLanes.Store(s10, c1);
        TLanes.Store(s20, c2);
        TLanes.Store(s30, c3);
        TLanes.Store(s40, c4);
        TLanes.Store(s50, c5);
        TLanes.Store(s60, c6);
        TLanes.Store(s70, c7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block1x4<TLanes, TVector, T>(
        T* a, long aStep, T* b, long bRow, T* c, int depth, T* start)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + 2 * lanes);
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + 3 * lanes);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + lanes);
            var b2 = TLanes.Load(b + 2 * lanes);
            var b3 = TLanes.Load(b + 3 * lanes);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            s01 = TLanes.MultiplyAdd(left, b1, s01);
            s02 = TLanes.MultiplyAdd(left, b2, s02);
            s03 = TLanes.MultiplyAdd(left, b3, s03);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
        TLanes.Store(s01, c + lanes);
        TLanes.Store(s02, c + 2 * lanes);
        TLanes.Store(s03, c + 3 * lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block1x1<TLanes, TVector, T>(
        T* a, long aStep, T* b, long bRow, T* c, int depth, T* start)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        for (var k = 0; k < depth; k++)
        {
            var b0 = TLanes.Load(b);
            var left = TLanes.Broadcast(*a);
            s00 = TLanes.MultiplyAdd(left, b0, s00);
            a += aStep;
            b += bRow;
        }
        TLanes.Store(s00, c);
    }
}
