using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Dense;

/// <summary>A function of one number and its derivative.</summary>
internal interface IActivation
{
    static abstract TVector Value<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>;

    static abstract TVector Derivative<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>;
}

/// <summary>
/// The Gaussian error linear unit (arXiv 1606.08415), <c>x·Φ(x) = ½·x·(1 + erf(x/√2))</c>; its derivative is
/// <c>Φ(x) + x·φ(x)</c>.
/// </summary>
internal readonly struct ExactGelu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var half = TLanes.Multiply(value, TLanes.Broadcast(T.CreateTruncating(0.5)));
        // erf is odd: ½x · erf(x/√2) = ½|x| · erf(|x|/√2).
        return TLanes.MultiplyAdd(TLanes.Abs(half), Erf<TLanes, TVector, T>(value), half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Derivative<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var half = TLanes.Broadcast(T.CreateTruncating(0.5));
        var halfErf = TLanes.Multiply(half, Erf<TLanes, TVector, T>(value));
        var distribution = TLanes.WhereLess(value, TLanes.Zero, TLanes.Subtract(half, halfErf), TLanes.Add(half, halfErf));
        var exponent = TLanes.Multiply(TLanes.Multiply(value, value), TLanes.Broadcast(T.CreateTruncating(-0.5)));
        var density = TLanes.Multiply(
            Exponential.Of<TLanes, TVector, T>(exponent), TLanes.Broadcast(T.CreateTruncating(0.39894228040143267794)));
        return TLanes.MultiplyAdd(value, density, distribution);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Erf<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        ErrorFunction.Of<TLanes, TVector, T>(
            TLanes.Multiply(TLanes.Abs(value), TLanes.Broadcast(T.CreateTruncating(0.70710678118654752440))));
}

/// <summary>
/// Its tanh approximation, <c>½·x·(1 + tanh u) = x·σ(2u)</c> with <c>u = √(2/π)·(x + 0.044715·x³)</c>; the derivative is
/// <c>σ(2u) + x·σ(2u)·σ(−2u)·2u'</c>.
/// </summary>
internal readonly struct TanhGelu : IActivation
{
    private const double TwiceFactor = 1.5957691216057307118;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.Divide(value, TLanes.Add(TLanes.Broadcast(T.One), Decay<TLanes, TVector, T>(value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Derivative<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        // Far out the derivative is 0 or 1, and the square would overflow. Not the smaller or larger of both: NaN must stay.
        var (least, most) = (TLanes.Broadcast(T.CreateTruncating(-30.0)), TLanes.Broadcast(T.CreateTruncating(30.0)));
        value = TLanes.WhereLess(value, least, least, TLanes.WhereLess(most, value, most, value));
        var one = TLanes.Broadcast(T.One);
        var decay = Decay<TLanes, TVector, T>(value);
        var sigmoid = TLanes.Divide(one, TLanes.Add(one, decay));
        var slope = TLanes.MultiplyAdd(
            TLanes.Multiply(value, value), TLanes.Broadcast(T.CreateTruncating(3 * 0.044715 * TwiceFactor)),
            TLanes.Broadcast(T.CreateTruncating(TwiceFactor)));
        // σ(−2u) = e^(−2u)·σ(2u).
        var both = TLanes.Multiply(TLanes.Multiply(value, TLanes.Multiply(decay, sigmoid)), sigmoid);
        return TLanes.MultiplyAdd(both, slope, sigmoid);
    }

    /// <summary><c>e^(−2u)</c>, at most what the element type holds: <c>σ(2u)</c> is then nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Decay<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var factor = TLanes.MultiplyAdd(
            TLanes.Multiply(value, value), TLanes.Broadcast(T.CreateTruncating(-0.044715 * TwiceFactor)),
            TLanes.Broadcast(T.CreateTruncating(-TwiceFactor)));
        var exponent = TLanes.Multiply(value, factor);
        var highest = TLanes.Broadcast(T.CreateTruncating(typeof(T) == typeof(float) ? 87.0 : 700.0));
        // Not the smaller of both: NaN must stay.
        return Exponential.Of<TLanes, TVector, T>(TLanes.WhereLess(highest, exponent, highest, exponent));
    }
}

/// <summary><c>y = f(x)</c> over elements, which may stand where the result does.</summary>
internal readonly unsafe struct ActivationForward<TActivation, T>(T* source, T* target) : IKernel<T>
    where TActivation : struct, IActivation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct => Elements<TLanes, TVector>(source, target, begin, end);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Elements<TLanes, TVector>(T* source, T* target, long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var index = begin;
        for (; index + TLanes.Count <= end; index += TLanes.Count)
        {
            TLanes.Store(TActivation.Value<TLanes, TVector, T>(TLanes.Load(source + index)), target + index);
        }
        if (index < end)
        {
            Last<TLanes, TVector>(source + index, target + index, (int)(end - index));
        }
    }

    // By itself: a vector in memory, as a part of one is loaded, would cost the loop its registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Last<TLanes, TVector>(T* source, T* target, int count)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct =>
        TLanes.StoreFirst(TActivation.Value<TLanes, TVector, T>(TLanes.LoadFirst(source, count)), target, count);
}

/// <summary><c>dx = f'(x) · dy</c> over elements.</summary>
internal readonly unsafe struct ActivationBackward<TActivation, T>(T* source, T* slope, T* target) : IKernel<T>
    where TActivation : struct, IActivation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct => Elements<TLanes, TVector>(source, slope, target, begin, end);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Elements<TLanes, TVector>(T* source, T* slope, T* target, long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var index = begin;
        for (; index + TLanes.Count <= end; index += TLanes.Count)
        {
            var derivative = TActivation.Derivative<TLanes, TVector, T>(TLanes.Load(source + index));
            TLanes.Store(TLanes.Multiply(derivative, TLanes.Load(slope + index)), target + index);
        }
        if (index < end)
        {
            Last<TLanes, TVector>(source + index, slope + index, target + index, (int)(end - index));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Last<TLanes, TVector>(T* source, T* slope, T* target, int count)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var derivative = TActivation.Derivative<TLanes, TVector, T>(TLanes.LoadFirst(source, count));
        TLanes.StoreFirst(TLanes.Multiply(derivative, TLanes.LoadFirst(slope, count)), target, count);
    }
}
