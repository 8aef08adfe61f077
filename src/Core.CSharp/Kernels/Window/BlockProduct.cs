using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// Small matrix products in scratch memory: <c>c[r, j] = start[r, j] + Σ_k a[r·aRow + k·aStep] · b[k·bRow + j]</c>. The left factor is
/// read one number at a time, so that it may as well be transposed; the others run along vectors.
/// </summary>
/// <remarks>
/// Each sum is formed in a register in the order of <c>k</c>, whichever block its row falls into. Blocks of 4×4 or 8×2
/// vectors need two thirds of a load for a multiply-add, and fit 32 registers; narrower machines have 16, for 4×2.
/// </remarks>
internal static unsafe partial class BlockProduct
{
    /// <summary>The product, or its sum with something.</summary>
    /// <param name="a">The left factor.</param>
    /// <param name="aRow">From a row of it to the next.</param>
    /// <param name="aStep">From one of its columns to the next.</param>
    /// <param name="b">The right factor, whole vectors in a row.</param>
    /// <param name="bRow">From a row of it to the next.</param>
    /// <param name="c">The result, whole vectors in a row.</param>
    /// <param name="cRow">From a row of it to the next.</param>
    /// <param name="rows">Rows of the result.</param>
    /// <param name="vectors">Vectors in a row of the result.</param>
    /// <param name="depth">Terms of a sum.</param>
    /// <param name="start">What is added: the result itself, biases, or none.</param>
    /// <param name="startRow">From a row of it to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TLanes, TVector, T>(
        T* a, long aRow, long aStep, T* b, long bRow, T* c, long cRow, int rows, int vectors, int depth, T* start, long startRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var manyRegisters = typeof(TVector) == typeof(Vector512<T>);
        var vector = 0;
        while (vector < vectors)
        {
            var bColumn = b + (long)vector * TLanes.Count;
            var cColumn = c + (long)vector * TLanes.Count;
            var startColumn = start == null ? null : start + (long)vector * TLanes.Count;
            // Without a start its rows are all null.
            var step = start == null ? 0 : startRow;
            var left = vectors - vector;
            var row = 0;
            if (manyRegisters && left >= 4)
            {
                for (; row + 4 <= rows; row += 4)
                {
                    Block4x4<TLanes, TVector, T>(
                        a + row * aRow, aRow, aStep, bColumn, bRow, cColumn + row * cRow, cRow, depth,
                        startColumn + row * step, step);
                }
                for (; row < rows; row++)
                {
                    Block1x4<TLanes, TVector, T>(a + row * aRow, aStep, bColumn, bRow, cColumn + row * cRow, depth, startColumn + row * step);
                }
                vector += 4;
            }
            else if (left >= 2)
            {
                if (manyRegisters)
                {
                    for (; row + 8 <= rows; row += 8)
                    {
                        Block8x2<TLanes, TVector, T>(
                            a + row * aRow, aRow, aStep, bColumn, bRow, cColumn + row * cRow, cRow, depth,
                        startColumn + row * step, step);
                    }
                }
                for (; row + 4 <= rows; row += 4)
                {
                    Block4x2<TLanes, TVector, T>(
                        a + row * aRow, aRow, aStep, bColumn, bRow, cColumn + row * cRow, cRow, depth,
                        startColumn + row * step, step);
                }
                for (; row < rows; row++)
                {
                    Block1x1<TLanes, TVector, T>(a + row * aRow, aStep, bColumn, bRow, cColumn + row * cRow, depth, startColumn + row * step);
                    Block1x1<TLanes, TVector, T>(
                        a + row * aRow, aStep, bColumn + TLanes.Count, bRow, cColumn + row * cRow + TLanes.Count, depth,
                        start == null ? null : startColumn + row * step + TLanes.Count);
                }
                vector += 2;
            }
            else
            {
                for (; row + 8 <= rows; row += 8)
                {
                    Block8x1<TLanes, TVector, T>(
                        a + row * aRow, aRow, aStep, bColumn, bRow, cColumn + row * cRow, cRow, depth,
                        startColumn + row * step, step);
                }
                for (; row < rows; row++)
                {
                    Block1x1<TLanes, TVector, T>(a + row * aRow, aStep, bColumn, bRow, cColumn + row * cRow, depth, startColumn + row * step);
                }
                vector++;
            }
        }
    }
}
