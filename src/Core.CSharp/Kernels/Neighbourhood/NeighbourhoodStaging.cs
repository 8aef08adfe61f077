using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>A group's tokens of one row between a map and scratch memory.</summary>
internal static unsafe class NeighbourhoodStaging
{
    /// <summary>Tokens turned over, a lane for each stretch: <c>[d, places, lanes]</c>, times a factor.</summary>
    /// <param name="source">The row in the map.</param>
    /// <param name="tokens">Where each lane's token stands in it: <c>[places, lanes]</c>.</param>
    /// <param name="places">How many tokens a lane has.</param>
    /// <param name="depth">Channels of a token.</param>
    /// <param name="factor">What each element is multiplied by.</param>
    /// <param name="target">Where they go.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Plane<TLanes, TVector, T>(T* source, int* tokens, int places, int depth, T factor, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var place = 0; place < places; place++)
        {
            LaneTranspose.Run<TLanes, TVector, T>(source, tokens + (place * lanes), depth, target + (place * lanes), places * lanes);
        }
        if (factor != T.One)
        {
            var factors = TLanes.Broadcast(factor);
            var end = target + ((long)depth * places * lanes);
            for (var vector = target; vector < end; vector += lanes)
            {
                TLanes.Store(TLanes.Multiply(TLanes.Load(vector), factors), vector);
            }
        }
    }

    /// <summary>
    /// Tokens side by side, times a factor: <c>[sequences, Extended, PaddedDepth]</c>, zeros behind the last channel.
    /// </summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="source">The row in the map.</param>
    /// <param name="tokens">Where they stand in it: <c>[sequences, Extended]</c>.</param>
    /// <param name="sequences">How many sequences there are.</param>
    /// <param name="factor">What each element is multiplied by.</param>
    /// <param name="target">Where they go.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows<TLanes, TVector, T>(
        in NeighbourhoodShape shape, T* source, int* tokens, int sequences, T factor, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, depth) = (TLanes.Count, shape.Depth);
        var factors = TLanes.Broadcast(factor);
        var count = sequences * shape.Extended;
        for (var token = 0; token < count; token++, target += shape.PaddedDepth)
        {
            var from = source + tokens[token];
            var channel = 0;
            for (; channel + lanes <= depth; channel += lanes)
            {
                TLanes.Store(TLanes.Multiply(TLanes.Load(from + channel), factors), target + channel);
            }
            if (channel < depth)
            {
                TLanes.Store(TLanes.Multiply(TLanes.LoadFirst(from + channel, depth - channel), factors), target + channel);
            }
        }
    }

    /// <summary>Tokens that stand side by side to a map, times a factor.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="source">The first token's channels.</param>
    /// <param name="tokens">Where each goes.</param>
    /// <param name="count">How many.</param>
    /// <param name="factor">What each element is multiplied by.</param>
    /// <param name="target">The row in the map.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<TLanes, TVector, T>(in NeighbourhoodShape shape, T* source, int* tokens, int count, T factor, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var (lanes, depth) = (TLanes.Count, shape.Depth);
        var factors = TLanes.Broadcast(factor);
        for (var token = 0; token < count; token++, source += shape.PaddedDepth)
        {
            var to = target + tokens[token];
            var channel = 0;
            for (; channel + lanes <= depth; channel += lanes)
            {
                TLanes.Store(TLanes.Multiply(TLanes.Load(source + channel), factors), to + channel);
            }
            if (channel < depth)
            {
                TLanes.StoreFirst(TLanes.Multiply(TLanes.Load(source + channel), factors), to + channel, depth - channel);
            }
        }
    }
}
