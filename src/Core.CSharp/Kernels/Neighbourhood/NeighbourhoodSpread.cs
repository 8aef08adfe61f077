using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// The transpose of <see cref="NeighbourhoodMixture"/>: what four neighbouring queries add to the tokens of their windows,
/// <c>rows_t[i + j, c] += weights[t, j, i] · queries[i, c]</c>.
/// </summary>
internal static unsafe class NeighbourhoodSpread
{
    /// <summary>Adds the shares of up to four queries.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="weights">The queries' lane in <c>[k², 4, lanes]</c>.</param>
    /// <param name="queries">What each spreads: <c>[count, PaddedDepth]</c>.</param>
    /// <param name="count">How many queries there are, 1 to 4.</param>
    /// <param name="rows">The window's rows of tokens, <c>PaddedDepth</c> channels each.</param>
    /// <param name="offset">Where the first query's first token stands in each.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TLanes, TVector, T>(
        in NeighbourhoodShape shape, T* weights, T* queries, int count, T** rows, long offset)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var channel = 0;
        for (; channel + (2 * lanes) <= shape.PaddedDepth; channel += 2 * lanes)
        {
            if (count == NeighbourhoodShape.Block)
            {
                Two<TLanes, TVector, T>(shape, weights, queries + channel, rows, offset + channel);
            }
            else
            {
                Some<TLanes, TVector, T>(shape, weights, queries + channel, count, rows, offset + channel);
                Some<TLanes, TVector, T>(shape, weights, queries + channel + lanes, count, rows, offset + channel + lanes);
            }
        }
        if (channel < shape.PaddedDepth)
        {
            Some<TLanes, TVector, T>(shape, weights, queries + channel, count, rows, offset + channel);
        }
    }

    /// <summary>Four queries, two vectors of channels: tokens that all four see at once, those at the ends one by one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<TLanes, TVector, T>(in NeighbourhoodShape shape, T* weights, T* queries, T** rows, long offset)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, token, window) = (TLanes.Count, shape.PaddedDepth, shape.Window);
        var step = NeighbourhoodShape.Block * lanes;
        var q0a = TLanes.Load(queries);
        var q0b = TLanes.Load(queries + lanes);
        var q1a = TLanes.Load(queries + token);
        var q1b = TLanes.Load(queries + token + lanes);
        var q2a = TLanes.Load(queries + (2 * token));
        var q2b = TLanes.Load(queries + (2 * token) + lanes);
        var q3a = TLanes.Load(queries + (3 * token));
        var q3b = TLanes.Load(queries + (3 * token) + lanes);
        // From one query's weight of a token to the next query's.
        var next = lanes - step;
        for (var t = 0; t < window; t++, weights += window * step)
        {
            var x = rows[t] + offset;
            for (var place = 0; place < window + 3; place++, x += token)
            {
                var a = TLanes.Load(x);
                var b = TLanes.Load(x + lanes);
                var w = weights + ((long)place * step);
                if (place < window)
                {
                    var weight = TLanes.Broadcast(*w);
                    a = TLanes.MultiplyAdd(weight, q0a, a);
                    b = TLanes.MultiplyAdd(weight, q0b, b);
                }
                if ((uint)(place - 1) < (uint)window)
                {
                    var weight = TLanes.Broadcast(w[next]);
                    a = TLanes.MultiplyAdd(weight, q1a, a);
                    b = TLanes.MultiplyAdd(weight, q1b, b);
                }
                if ((uint)(place - 2) < (uint)window)
                {
                    var weight = TLanes.Broadcast(w[2 * next]);
                    a = TLanes.MultiplyAdd(weight, q2a, a);
                    b = TLanes.MultiplyAdd(weight, q2b, b);
                }
                if (place >= 3)
                {
                    var weight = TLanes.Broadcast(w[3 * next]);
                    a = TLanes.MultiplyAdd(weight, q3a, a);
                    b = TLanes.MultiplyAdd(weight, q3b, b);
                }
                TLanes.Store(a, x);
                TLanes.Store(b, x + lanes);
            }
        }
    }

    /// <summary>Any number of queries, one vector of channels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Some<TLanes, TVector, T>(
        in NeighbourhoodShape shape, T* weights, T* queries, int count, T** rows, long offset)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, token, window) = (TLanes.Count, shape.PaddedDepth, shape.Window);
        var step = NeighbourhoodShape.Block * lanes;
        for (var t = 0; t < window; t++, weights += window * step)
        {
            var x = rows[t] + offset;
            for (var place = 0; place < window + count - 1; place++, x += token)
            {
                var sum = TLanes.Load(x);
                for (var query = Math.Max(0, place - window + 1); query <= Math.Min(count - 1, place); query++)
                {
                    var weight = TLanes.Broadcast(weights[((long)(place - query) * step) + (query * lanes)]);
                    sum = TLanes.MultiplyAdd(weight, TLanes.Load(queries + (query * token)), sum);
                }
                TLanes.Store(sum, x);
            }
        }
    }
}
