using System.Numerics;
using System.Runtime.CompilerServices;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>
/// <c>eˣ</c> of every lane: <c>x = n·ln 2 + r</c> with <c>|r| ≤ ½ ln 2</c>, a Taylor polynomial for <c>eʳ</c>, times <c>2ⁿ</c>.
/// </summary>
/// <remarks>
/// Relative error below 2 units in the last place. Results below the smallest normal number are 0; the largest argument
/// is 88 for float and 709 for double, which attention, subtracting the largest score, never exceeds. NaN stays NaN, −∞
/// gives 0.
/// </remarks>
internal static class Exponential
{
    /// <summary>1½ times the weight of the significand's last bit: adding it rounds to an integer in the low bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Shifter<T>()
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        typeof(T) == typeof(float) ? T.CreateTruncating(12582912.0) : T.CreateTruncating(6755399441055744.0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var isSingle = typeof(T) == typeof(float);
        var lowest = TLanes.Broadcast(T.CreateTruncating(isSingle ? -87.3365 : -708.396));
        var highest = TLanes.Broadcast(T.CreateTruncating(isSingle ? 88.0 : 709.0));
        var shifter = TLanes.Broadcast(Shifter<T>());
        var clamped = TLanes.Min(TLanes.Max(value, lowest), highest);
        var shifted = TLanes.MultiplyAdd(clamped, TLanes.Broadcast(T.CreateTruncating(1.4426950408889634)), shifter);
        var count = TLanes.Subtract(shifted, shifter);

        // ln 2 in two parts, the first exact in few bits, so that the products lose nothing.
        var highPart = TLanes.Broadcast(T.CreateTruncating(isSingle ? -0.693145751953125 : -0.693147180369123816490));
        var lowPart = TLanes.Broadcast(T.CreateTruncating(isSingle ? -1.42860677e-6 : -1.90821492927058770002e-10));
        var rest = TLanes.MultiplyAdd(count, lowPart, TLanes.MultiplyAdd(count, highPart, value));

        // Terms of the series until they vanish beside 1 for the largest |r|.
        var sum = TLanes.Broadcast(T.CreateTruncating(isSingle ? InverseFactorial7 : InverseFactorial13));
        if (!isSingle)
        {
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial12);
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial11);
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial10);
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial9);
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial8);
            sum = Step<TLanes, TVector, T>(sum, rest, InverseFactorial7);
        }
        sum = Step<TLanes, TVector, T>(sum, rest, 1.0 / 720);
        sum = Step<TLanes, TVector, T>(sum, rest, 1.0 / 120);
        sum = Step<TLanes, TVector, T>(sum, rest, 1.0 / 24);
        sum = Step<TLanes, TVector, T>(sum, rest, 1.0 / 6);
        sum = Step<TLanes, TVector, T>(sum, rest, 0.5);
        sum = Step<TLanes, TVector, T>(sum, rest, 1);
        sum = Step<TLanes, TVector, T>(sum, rest, 1);
        var result = TLanes.Multiply(sum, TLanes.PowerOfTwo(shifted));
        return TLanes.WhereLess(value, lowest, TLanes.Zero, result);
    }

    private const double InverseFactorial7 = 1.0 / 5040;
    private const double InverseFactorial8 = 1.0 / 40320;
    private const double InverseFactorial9 = 1.0 / 362880;
    private const double InverseFactorial10 = 1.0 / 3628800;
    private const double InverseFactorial11 = 1.0 / 39916800;
    private const double InverseFactorial12 = 1.0 / 479001600;
    private const double InverseFactorial13 = 1.0 / 6227020800;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Step<TLanes, TVector, T>(TVector sum, TVector argument, double coefficient)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.MultiplyAdd(sum, argument, TLanes.Broadcast(T.CreateTruncating(coefficient)));
}
