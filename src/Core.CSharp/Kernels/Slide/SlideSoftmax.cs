using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>The softmax over samples and its derivative, lanes being tokens: both work on <c>[sample, Segment]</c>.</summary>
internal static unsafe class SlideSoftmax
{
    /// <summary>Logits to attention, <c>a_j = e^(l_j − max l) / Σ_i e^(l_i − max l)</c>.</summary>
    /// <param name="samples">How many samples.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="logits">Logits, replaced by the attention.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<TLanes, TVector, T>(int samples, int count, T* logits)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        for (var token = 0; token < count; token += TLanes.Count)
        {
            var column = logits + token;
            var largest = TLanes.Load(column);
            for (var sample = 1; sample < samples; sample++)
            {
                largest = TLanes.Max(largest, TLanes.Load(column + (sample * SlideShape.Segment)));
            }
            var sum = TLanes.Zero;
            for (var sample = 0; sample < samples; sample++)
            {
                var place = column + (sample * SlideShape.Segment);
                var weight = Exponential.Of<TLanes, TVector, T>(TLanes.Subtract(TLanes.Load(place), largest));
                sum = TLanes.Add(sum, weight);
                TLanes.Store(weight, place);
            }
            var inverse = TLanes.Divide(TLanes.Broadcast(T.One), sum);
            for (var sample = 0; sample < samples; sample++)
            {
                var place = column + (sample * SlideShape.Segment);
                TLanes.Store(TLanes.Multiply(inverse, TLanes.Load(place)), place);
            }
        }
    }

    /// <summary>Gradients of the attention to gradients of the logits, <c>a_j (da_j − Σ_i a_i da_i)</c>.</summary>
    /// <param name="samples">How many samples.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="attention">The attention.</param>
    /// <param name="gradients">Its gradients, replaced by those of the logits.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<TLanes, TVector, T>(int samples, int count, T* attention, T* gradients)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        for (var token = 0; token < count; token += TLanes.Count)
        {
            var mean = TLanes.Zero;
            for (var sample = 0; sample < samples; sample++)
            {
                var place = (sample * SlideShape.Segment) + token;
                mean = TLanes.MultiplyAdd(TLanes.Load(attention + place), TLanes.Load(gradients + place), mean);
            }
            for (var sample = 0; sample < samples; sample++)
            {
                var place = (sample * SlideShape.Segment) + token;
                var difference = TLanes.Subtract(TLanes.Load(gradients + place), mean);
                TLanes.Store(TLanes.Multiply(TLanes.Load(attention + place), difference), gradients + place);
            }
        }
    }
}
