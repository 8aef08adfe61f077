using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// The discrete Fourier transform of 64 complex vectors, lane by lane: <c>X[k] = Σ_n x[n] e^{−2πi·nk/64}</c>, in two passes of
/// eight transforms of eight.
/// </summary>
/// <remarks>
/// With <c>n = n₁ + 8n₂</c> and <c>k = k₂ + 8k₁</c> the first pass transforms over <c>n₂</c> and turns the results by
/// <c>e^{−2πi·n₁k₂/64}</c>, the second over <c>n₁</c>. In place, <c>X[k₂ + 8k₁]</c> comes to stand where
/// <c>x[k₁ + 8k₂]</c> was: the order that the caller's strides undo on the way back. The inverse, 64 times too large, is the
/// same with real and imaginary parts exchanged.
/// </remarks>
internal static unsafe class FourierTransform
{
    /// <summary>Length of a transform.</summary>
    public const int Length = 64;

    private const int Radix = 8;

    /// <summary>Transforms in place.</summary>
    /// <param name="real">Real parts.</param>
    /// <param name="imaginary">Imaginary parts.</param>
    /// <param name="inner">Elements from <c>n₁</c> to <c>n₁ + 1</c>.</param>
    /// <param name="outer">Elements from <c>n₂</c> to <c>n₂ + 1</c>.</param>
    public static void Apply<TLanes, TVector, T>(T* real, T* imaginary, long inner, long outer)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        for (var index = 0; index < Radix; index++)
        {
            OfEight<TLanes, TVector, T>(
                real + (index * inner), imaginary + (index * inner), outer, Turns<T>.Values + (2 * Radix * index));
        }
        for (var index = 0; index < Radix; index++)
        {
            // The turns of n₁ = 0 are none.
            OfEight<TLanes, TVector, T>(real + (index * outer), imaginary + (index * outer), inner, null);
        }
    }

    /// <summary>A transform of eight vectors, each result then turned by a factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void OfEight<TLanes, TVector, T>(T* real, T* imaginary, long stride, T* turns)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        // Even inputs: a transform of four.
        var (r0, i0) = (TLanes.Load(real), TLanes.Load(imaginary));
        var (r4, i4) = (TLanes.Load(real + (4 * stride)), TLanes.Load(imaginary + (4 * stride)));
        var (r2, i2) = (TLanes.Load(real + (2 * stride)), TLanes.Load(imaginary + (2 * stride)));
        var (r6, i6) = (TLanes.Load(real + (6 * stride)), TLanes.Load(imaginary + (6 * stride)));
        var (sumR04, sumI04) = (TLanes.Add(r0, r4), TLanes.Add(i0, i4));
        var (difR04, difI04) = (TLanes.Subtract(r0, r4), TLanes.Subtract(i0, i4));
        var (sumR26, sumI26) = (TLanes.Add(r2, r6), TLanes.Add(i2, i6));
        var (difR26, difI26) = (TLanes.Subtract(r2, r6), TLanes.Subtract(i2, i6));
        var (e0r, e0i) = (TLanes.Add(sumR04, sumR26), TLanes.Add(sumI04, sumI26));
        var (e2r, e2i) = (TLanes.Subtract(sumR04, sumR26), TLanes.Subtract(sumI04, sumI26));
        var (e1r, e1i) = (TLanes.Add(difR04, difI26), TLanes.Subtract(difI04, difR26));
        var (e3r, e3i) = (TLanes.Subtract(difR04, difI26), TLanes.Add(difI04, difR26));

        // Odd inputs.
        var (r1, i1) = (TLanes.Load(real + stride), TLanes.Load(imaginary + stride));
        var (r5, i5) = (TLanes.Load(real + (5 * stride)), TLanes.Load(imaginary + (5 * stride)));
        var (r3, i3) = (TLanes.Load(real + (3 * stride)), TLanes.Load(imaginary + (3 * stride)));
        var (r7, i7) = (TLanes.Load(real + (7 * stride)), TLanes.Load(imaginary + (7 * stride)));
        var (sumR15, sumI15) = (TLanes.Add(r1, r5), TLanes.Add(i1, i5));
        var (difR15, difI15) = (TLanes.Subtract(r1, r5), TLanes.Subtract(i1, i5));
        var (sumR37, sumI37) = (TLanes.Add(r3, r7), TLanes.Add(i3, i7));
        var (difR37, difI37) = (TLanes.Subtract(r3, r7), TLanes.Subtract(i3, i7));
        var (o0r, o0i) = (TLanes.Add(sumR15, sumR37), TLanes.Add(sumI15, sumI37));
        // Turned by −i: the imaginary part becomes real, the real part the negative imaginary.
        var (o2r, o2i) = (TLanes.Subtract(sumI15, sumI37), TLanes.Subtract(sumR37, sumR15));
        var (f1r, f1i) = (TLanes.Add(difR15, difI37), TLanes.Subtract(difI15, difR37));
        var (f3r, f3i) = (TLanes.Subtract(difR15, difI37), TLanes.Add(difI15, difR37));
        // Turned by an eighth, and by three.
        var half = TLanes.Broadcast(T.CreateTruncating(0.70710678118654752440));
        var (o1r, o1i) = (TLanes.Multiply(half, TLanes.Add(f1r, f1i)), TLanes.Multiply(half, TLanes.Subtract(f1i, f1r)));
        var (o3r, o3i) = (
            TLanes.Multiply(half, TLanes.Subtract(f3i, f3r)),
            TLanes.Multiply(half, TLanes.Subtract(TLanes.Subtract(TLanes.Zero, f3r), f3i)));

        Put<TLanes, TVector, T>(TLanes.Add(e0r, o0r), TLanes.Add(e0i, o0i), real, imaginary, 0, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Add(e1r, o1r), TLanes.Add(e1i, o1i), real, imaginary, 1, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Add(e2r, o2r), TLanes.Add(e2i, o2i), real, imaginary, 2, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Add(e3r, o3r), TLanes.Add(e3i, o3i), real, imaginary, 3, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Subtract(e0r, o0r), TLanes.Subtract(e0i, o0i), real, imaginary, 4, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Subtract(e1r, o1r), TLanes.Subtract(e1i, o1i), real, imaginary, 5, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Subtract(e2r, o2r), TLanes.Subtract(e2i, o2i), real, imaginary, 6, stride, turns);
        Put<TLanes, TVector, T>(TLanes.Subtract(e3r, o3r), TLanes.Subtract(e3i, o3i), real, imaginary, 7, stride, turns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TLanes, TVector, T>(
        TVector resultReal, TVector resultImaginary, T* real, T* imaginary, int index, long stride, T* turns)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (turns is null || index == 0)
        {
            TLanes.Store(resultReal, real + (index * stride));
            TLanes.Store(resultImaginary, imaginary + (index * stride));
        }
        else
        {
            var cosine = TLanes.Broadcast(turns[2 * index]);
            var sine = TLanes.Broadcast(turns[(2 * index) + 1]);
            TLanes.Store(
                TLanes.Subtract(TLanes.Multiply(resultReal, cosine), TLanes.Multiply(resultImaginary, sine)),
                real + (index * stride));
            TLanes.Store(
                TLanes.MultiplyAdd(resultReal, sine, TLanes.Multiply(resultImaginary, cosine)), imaginary + (index * stride));
        }
    }

    /// <summary><c>e^{−2πi·jk/64}</c>, cosine and sine, for <c>j</c> and <c>k</c> below 8.</summary>
    private static class Turns<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        // Pinned for good: its address does not change.
        private static readonly T[] _values = Compute();

        public static readonly T* Values = (T*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_values));

        private static T[] Compute()
        {
            var values = GC.AllocateArray<T>(2 * Radix * Radix, pinned: true);
            for (var index = 0; index < Radix * Radix; index++)
            {
                var angle = -2 * Math.PI * (index / Radix) * (index % Radix) / Length;
                values[2 * index] = T.CreateTruncating(Math.Cos(angle));
                values[(2 * index) + 1] = T.CreateTruncating(Math.Sin(angle));
            }
            return values;
        }
    }
}
