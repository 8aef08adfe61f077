using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// Products of queries and keys, a lane for each stretch: for four queries of a lane,
/// <c>scores[t, j, i] = start[t, j, i] + Σ_c query[c, i] · key_t[c, i + j]</c>.
/// </summary>
/// <remarks>
/// A block is four queries by up to four offsets: its seven vectors of keys feed sixteen multiply-adds, all aligned.
/// Machines of 16 registers take two offsets at a time.
/// </remarks>
internal static unsafe class NeighbourhoodScores
{
    /// <summary>All offsets of the window: <c>[k², 4, lanes]</c>.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="queries">The first of the four queries in its plane <c>[d, Segment, lanes]</c>.</param>
    /// <param name="keys">The planes of the window's rows, <c>[d, Reach, lanes]</c>.</param>
    /// <param name="place">Where the first query stands in its lane.</param>
    /// <param name="start">What is added for the window's first row, <c>[k, Segment, lanes]</c> at the first query; none: nothing.</param>
    /// <param name="scores">The result.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TLanes, TVector, T>(in NeighbourhoodShape shape, T* queries, T** keys, int place, T* start, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var widest = typeof(TVector) == typeof(Vector512<T>) ? 4 : 2;
        var (queryRow, keyRow) = (shape.Segment * lanes, shape.Reach * lanes);
        for (var t = 0; t < shape.Window; t++)
        {
            for (var j = 0; j < shape.Window;)
            {
                var left = shape.Window - j;
                // Five are three and two: one alone would wait for its own sum.
                var width = left == 5 ? Math.Min(3, widest) : Math.Min(left, widest);
                var key = keys[t] + ((place + j) * lanes);
                switch (width)
                {
                    case 4:
                        By4<TLanes, TVector, T>(queries, queryRow, key, keyRow, shape.Depth, start, scores);
                        break;
                    case 3:
                        By3<TLanes, TVector, T>(queries, queryRow, key, keyRow, shape.Depth, start, scores);
                        break;
                    case 2:
                        By2<TLanes, TVector, T>(queries, queryRow, key, keyRow, shape.Depth, start, scores);
                        break;
                    default:
                        By1<TLanes, TVector, T>(queries, queryRow, key, keyRow, shape.Depth, start, scores);
                        break;
                }
                j += width;
                scores += width * NeighbourhoodShape.Block * lanes;
                start = start == null ? null : start + (width * queryRow);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void By4<TLanes, TVector, T>(T* query, int queryRow, T* key, int keyRow, int depth, T* start, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * lanes));
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * lanes));
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + lanes);
        var s12 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (2 * lanes));
        var s13 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (3 * lanes));
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow));
        var s21 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + lanes);
        var s22 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + (2 * lanes));
        var s23 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + (3 * lanes));
        var s30 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * queryRow));
        var s31 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * queryRow) + lanes);
        var s32 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * queryRow) + (2 * lanes));
        var s33 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * queryRow) + (3 * lanes));
        for (var channel = 0; channel < depth; channel++, query += queryRow, key += keyRow)
        {
            var q0 = TLanes.Load(query);
            var q1 = TLanes.Load(query + lanes);
            var q2 = TLanes.Load(query + (2 * lanes));
            var q3 = TLanes.Load(query + (3 * lanes));
            var x = TLanes.Load(key);
            s00 = TLanes.MultiplyAdd(q0, x, s00);
            x = TLanes.Load(key + lanes);
            s01 = TLanes.MultiplyAdd(q1, x, s01);
            s10 = TLanes.MultiplyAdd(q0, x, s10);
            x = TLanes.Load(key + (2 * lanes));
            s02 = TLanes.MultiplyAdd(q2, x, s02);
            s11 = TLanes.MultiplyAdd(q1, x, s11);
            s20 = TLanes.MultiplyAdd(q0, x, s20);
            x = TLanes.Load(key + (3 * lanes));
            s03 = TLanes.MultiplyAdd(q3, x, s03);
            s12 = TLanes.MultiplyAdd(q2, x, s12);
            s21 = TLanes.MultiplyAdd(q1, x, s21);
            s30 = TLanes.MultiplyAdd(q0, x, s30);
            x = TLanes.Load(key + (4 * lanes));
            s13 = TLanes.MultiplyAdd(q3, x, s13);
            s22 = TLanes.MultiplyAdd(q2, x, s22);
            s31 = TLanes.MultiplyAdd(q1, x, s31);
            x = TLanes.Load(key + (5 * lanes));
            s23 = TLanes.MultiplyAdd(q3, x, s23);
            s32 = TLanes.MultiplyAdd(q2, x, s32);
            x = TLanes.Load(key + (6 * lanes));
            s33 = TLanes.MultiplyAdd(q3, x, s33);
        }
        TLanes.Store(s00, scores);
        TLanes.Store(s01, scores + lanes);
        TLanes.Store(s02, scores + (2 * lanes));
        TLanes.Store(s03, scores + (3 * lanes));
        TLanes.Store(s10, scores + (4 * lanes));
        TLanes.Store(s11, scores + (5 * lanes));
        TLanes.Store(s12, scores + (6 * lanes));
        TLanes.Store(s13, scores + (7 * lanes));
        TLanes.Store(s20, scores + (8 * lanes));
        TLanes.Store(s21, scores + (9 * lanes));
        TLanes.Store(s22, scores + (10 * lanes));
        TLanes.Store(s23, scores + (11 * lanes));
        TLanes.Store(s30, scores + (12 * lanes));
        TLanes.Store(s31, scores + (13 * lanes));
        TLanes.Store(s32, scores + (14 * lanes));
        TLanes.Store(s33, scores + (15 * lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void By3<TLanes, TVector, T>(T* query, int queryRow, T* key, int keyRow, int depth, T* start, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * lanes));
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * lanes));
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + lanes);
        var s12 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (2 * lanes));
        var s13 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (3 * lanes));
        var s20 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow));
        var s21 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + lanes);
        var s22 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + (2 * lanes));
        var s23 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * queryRow) + (3 * lanes));
        for (var channel = 0; channel < depth; channel++, query += queryRow, key += keyRow)
        {
            var q0 = TLanes.Load(query);
            var q1 = TLanes.Load(query + lanes);
            var q2 = TLanes.Load(query + (2 * lanes));
            var q3 = TLanes.Load(query + (3 * lanes));
            var x = TLanes.Load(key);
            s00 = TLanes.MultiplyAdd(q0, x, s00);
            x = TLanes.Load(key + lanes);
            s01 = TLanes.MultiplyAdd(q1, x, s01);
            s10 = TLanes.MultiplyAdd(q0, x, s10);
            x = TLanes.Load(key + (2 * lanes));
            s02 = TLanes.MultiplyAdd(q2, x, s02);
            s11 = TLanes.MultiplyAdd(q1, x, s11);
            s20 = TLanes.MultiplyAdd(q0, x, s20);
            x = TLanes.Load(key + (3 * lanes));
            s03 = TLanes.MultiplyAdd(q3, x, s03);
            s12 = TLanes.MultiplyAdd(q2, x, s12);
            s21 = TLanes.MultiplyAdd(q1, x, s21);
            x = TLanes.Load(key + (4 * lanes));
            s13 = TLanes.MultiplyAdd(q3, x, s13);
            s22 = TLanes.MultiplyAdd(q2, x, s22);
            x = TLanes.Load(key + (5 * lanes));
            s23 = TLanes.MultiplyAdd(q3, x, s23);
        }
        TLanes.Store(s00, scores);
        TLanes.Store(s01, scores + lanes);
        TLanes.Store(s02, scores + (2 * lanes));
        TLanes.Store(s03, scores + (3 * lanes));
        TLanes.Store(s10, scores + (4 * lanes));
        TLanes.Store(s11, scores + (5 * lanes));
        TLanes.Store(s12, scores + (6 * lanes));
        TLanes.Store(s13, scores + (7 * lanes));
        TLanes.Store(s20, scores + (8 * lanes));
        TLanes.Store(s21, scores + (9 * lanes));
        TLanes.Store(s22, scores + (10 * lanes));
        TLanes.Store(s23, scores + (11 * lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void By2<TLanes, TVector, T>(T* query, int queryRow, T* key, int keyRow, int depth, T* start, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * lanes));
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * lanes));
        var s10 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow);
        var s11 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + lanes);
        var s12 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (2 * lanes));
        var s13 = start == null ? TLanes.Zero : TLanes.Load(start + queryRow + (3 * lanes));
        for (var channel = 0; channel < depth; channel++, query += queryRow, key += keyRow)
        {
            var q0 = TLanes.Load(query);
            var q1 = TLanes.Load(query + lanes);
            var q2 = TLanes.Load(query + (2 * lanes));
            var q3 = TLanes.Load(query + (3 * lanes));
            var x = TLanes.Load(key);
            s00 = TLanes.MultiplyAdd(q0, x, s00);
            x = TLanes.Load(key + lanes);
            s01 = TLanes.MultiplyAdd(q1, x, s01);
            s10 = TLanes.MultiplyAdd(q0, x, s10);
            x = TLanes.Load(key + (2 * lanes));
            s02 = TLanes.MultiplyAdd(q2, x, s02);
            s11 = TLanes.MultiplyAdd(q1, x, s11);
            x = TLanes.Load(key + (3 * lanes));
            s03 = TLanes.MultiplyAdd(q3, x, s03);
            s12 = TLanes.MultiplyAdd(q2, x, s12);
            x = TLanes.Load(key + (4 * lanes));
            s13 = TLanes.MultiplyAdd(q3, x, s13);
        }
        TLanes.Store(s00, scores);
        TLanes.Store(s01, scores + lanes);
        TLanes.Store(s02, scores + (2 * lanes));
        TLanes.Store(s03, scores + (3 * lanes));
        TLanes.Store(s10, scores + (4 * lanes));
        TLanes.Store(s11, scores + (5 * lanes));
        TLanes.Store(s12, scores + (6 * lanes));
        TLanes.Store(s13, scores + (7 * lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void By1<TLanes, TVector, T>(T* query, int queryRow, T* key, int keyRow, int depth, T* start, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var s00 = start == null ? TLanes.Zero : TLanes.Load(start);
        var s01 = start == null ? TLanes.Zero : TLanes.Load(start + lanes);
        var s02 = start == null ? TLanes.Zero : TLanes.Load(start + (2 * lanes));
        var s03 = start == null ? TLanes.Zero : TLanes.Load(start + (3 * lanes));
        for (var channel = 0; channel < depth; channel++, query += queryRow, key += keyRow)
        {
            var q0 = TLanes.Load(query);
            var q1 = TLanes.Load(query + lanes);
            var q2 = TLanes.Load(query + (2 * lanes));
            var q3 = TLanes.Load(query + (3 * lanes));
            var x = TLanes.Load(key);
            s00 = TLanes.MultiplyAdd(q0, x, s00);
            x = TLanes.Load(key + lanes);
            s01 = TLanes.MultiplyAdd(q1, x, s01);
            x = TLanes.Load(key + (2 * lanes));
            s02 = TLanes.MultiplyAdd(q2, x, s02);
            x = TLanes.Load(key + (3 * lanes));
            s03 = TLanes.MultiplyAdd(q3, x, s03);
        }
        TLanes.Store(s00, scores);
        TLanes.Store(s01, scores + lanes);
        TLanes.Store(s02, scores + (2 * lanes));
        TLanes.Store(s03, scores + (3 * lanes));
    }
}
