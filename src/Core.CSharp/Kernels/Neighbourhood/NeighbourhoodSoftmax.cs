using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>The softmax over a window and its derivative, each lane by itself: on <c>[k², 4, lanes]</c>.</summary>
internal static unsafe class NeighbourhoodSoftmax
{
    /// <summary>Scores to weights, <c>a_j = e^(s_j − max s) / Σ_i e^(s_i − max s)</c>.</summary>
    /// <param name="area">Tokens of the window.</param>
    /// <param name="scores">Scores, replaced by the weights.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<TLanes, TVector, T>(int area, T* scores)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var step = NeighbourhoodShape.Block * TLanes.Count;
        for (var query = 0; query < step; query += TLanes.Count)
        {
            var column = scores + query;
            var end = column + ((long)area * step);
            var largest = TLanes.Load(column);
            for (var place = column + step; place < end; place += step)
            {
                largest = TLanes.Max(largest, TLanes.Load(place));
            }
            var sum = TLanes.Zero;
            for (var place = column; place < end; place += step)
            {
                var weight = Exponential.Of<TLanes, TVector, T>(TLanes.Subtract(TLanes.Load(place), largest));
                sum = TLanes.Add(sum, weight);
                TLanes.Store(weight, place);
            }
            var inverse = TLanes.Divide(TLanes.Broadcast(T.One), sum);
            for (var place = column; place < end; place += step)
            {
                TLanes.Store(TLanes.Multiply(inverse, TLanes.Load(place)), place);
            }
        }
    }

    /// <summary>Slopes by weights to slopes by scores, <c>a_j (da_j − Σ_i a_i da_i)</c>.</summary>
    /// <param name="area">Tokens of the window.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="slopes">Their slopes, replaced by those of the scores.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<TLanes, TVector, T>(int area, T* weights, T* slopes)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var step = NeighbourhoodShape.Block * TLanes.Count;
        var size = (long)area * step;
        for (var query = 0; query < step; query += TLanes.Count)
        {
            var mean = TLanes.Zero;
            for (var place = (long)query; place < size; place += step)
            {
                mean = TLanes.MultiplyAdd(TLanes.Load(weights + place), TLanes.Load(slopes + place), mean);
            }
            for (var place = (long)query; place < size; place += step)
            {
                var difference = TLanes.Subtract(TLanes.Load(slopes + place), mean);
                TLanes.Store(TLanes.Multiply(TLanes.Load(weights + place), difference), slopes + place);
            }
        }
    }
}
