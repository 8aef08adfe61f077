using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// Weighted sums over the windows of four neighbouring queries, along channels:
/// <c>mixtures[i, c] = Σ_t Σ_j weights[t, j, i] · rows_t[i + j, c]</c>. A token that was loaded for the last of the four
/// stays in registers until the first has had it.
/// </summary>
internal static unsafe class NeighbourhoodMixture
{
    /// <summary>The sums of four queries: <c>[4, PaddedDepth]</c>.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="weights">The queries' lane in <c>[k², 4, lanes]</c>.</param>
    /// <param name="rows">The window's rows of tokens, <c>PaddedDepth</c> channels each.</param>
    /// <param name="offset">Where the first query's first token stands in each.</param>
    /// <param name="mixtures">The result.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TLanes, TVector, T>(in NeighbourhoodShape shape, T* weights, T** rows, long offset, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        var channel = 0;
        for (; channel + (2 * lanes) <= shape.PaddedDepth; channel += 2 * lanes)
        {
            Two<TLanes, TVector, T>(shape, weights, rows, offset + channel, mixtures + channel);
        }
        if (channel < shape.PaddedDepth)
        {
            One<TLanes, TVector, T>(shape, weights, rows, offset + channel, mixtures + channel);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<TLanes, TVector, T>(in NeighbourhoodShape shape, T* weights, T** rows, long offset, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, token, window) = (TLanes.Count, shape.PaddedDepth, shape.Window);
        var (s0a, s1a, s2a, s3a) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (s0b, s1b, s2b, s3b) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        for (var t = 0; t < window; t++)
        {
            var x = rows[t] + offset;
            var x0a = TLanes.Load(x);
            var x0b = TLanes.Load(x + lanes);
            var x1a = TLanes.Load(x + token);
            var x1b = TLanes.Load(x + token + lanes);
            var x2a = TLanes.Load(x + (2 * token));
            var x2b = TLanes.Load(x + (2 * token) + lanes);
            x += 3 * token;
            for (var j = 0; j < window; j++, x += token, weights += NeighbourhoodShape.Block * lanes)
            {
                var x3a = TLanes.Load(x);
                var x3b = TLanes.Load(x + lanes);
                var weight = TLanes.Broadcast(weights[0]);
                s0a = TLanes.MultiplyAdd(weight, x0a, s0a);
                s0b = TLanes.MultiplyAdd(weight, x0b, s0b);
                weight = TLanes.Broadcast(weights[lanes]);
                s1a = TLanes.MultiplyAdd(weight, x1a, s1a);
                s1b = TLanes.MultiplyAdd(weight, x1b, s1b);
                weight = TLanes.Broadcast(weights[2 * lanes]);
                s2a = TLanes.MultiplyAdd(weight, x2a, s2a);
                s2b = TLanes.MultiplyAdd(weight, x2b, s2b);
                weight = TLanes.Broadcast(weights[3 * lanes]);
                s3a = TLanes.MultiplyAdd(weight, x3a, s3a);
                s3b = TLanes.MultiplyAdd(weight, x3b, s3b);
                (x0a, x1a, x2a) = (x1a, x2a, x3a);
                (x0b, x1b, x2b) = (x1b, x2b, x3b);
            }
        }
        TLanes.Store(s0a, mixtures);
        TLanes.Store(s0b, mixtures + lanes);
        TLanes.Store(s1a, mixtures + token);
        TLanes.Store(s1b, mixtures + token + lanes);
        TLanes.Store(s2a, mixtures + (2 * token));
        TLanes.Store(s2b, mixtures + (2 * token) + lanes);
        TLanes.Store(s3a, mixtures + (3 * token));
        TLanes.Store(s3b, mixtures + (3 * token) + lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TLanes, TVector, T>(in NeighbourhoodShape shape, T* weights, T** rows, long offset, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, token, window) = (TLanes.Count, shape.PaddedDepth, shape.Window);
        var (s0, s1, s2, s3) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
        for (var t = 0; t < window; t++)
        {
            var x = rows[t] + offset;
            var x0 = TLanes.Load(x);
            var x1 = TLanes.Load(x + token);
            var x2 = TLanes.Load(x + (2 * token));
            x += 3 * token;
            for (var j = 0; j < window; j++, x += token, weights += NeighbourhoodShape.Block * lanes)
            {
                var x3 = TLanes.Load(x);
                s0 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[0]), x0, s0);
                s1 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[lanes]), x1, s1);
                s2 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[2 * lanes]), x2, s2);
                s3 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[3 * lanes]), x3, s3);
                (x0, x1, x2) = (x1, x2, x3);
            }
        }
        TLanes.Store(s0, mixtures);
        TLanes.Store(s1, mixtures + token);
        TLanes.Store(s2, mixtures + (2 * token));
        TLanes.Store(s3, mixtures + (3 * token));
    }
}
