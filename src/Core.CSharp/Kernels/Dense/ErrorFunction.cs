using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Dense;

/// <summary>
/// <c>erf(z)</c> of every lane, for <c>z ≥ 0</c>: <c>z · P(z²) / Q(z²)</c>, fitted so that the largest relative error is
/// least, and 1 where the difference to 1 is below half a unit in the last place.
/// </summary>
/// <remarks>
/// P and Q have degree 5 for float (fitted up to 3.92, off by at most 1.9e-8) and 12 for double (up to 5.92, 2.9e-17). All
/// their coefficients are positive: no sum loses digits, and the result is within 3 units in the last place. NaN stays NaN.
/// </remarks>
internal static class ErrorFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of<TLanes, TVector, T>(TVector value)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var isSingle = typeof(T) == typeof(float);
        var limit = TLanes.Broadcast(T.CreateTruncating(isSingle ? 3.92 : 5.92));
        var square = TLanes.Multiply(value, value);
        TVector numerator, denominator;
        if (isSingle)
        {
            numerator = TLanes.Broadcast(T.CreateTruncating(2.05057581816e-6));
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.000284830225984);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.00376314502591);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.052741120913);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.19034844355);
            numerator = Step<TLanes, TVector, T>(numerator, square, 1.12837914743);
            denominator = TLanes.Broadcast(T.CreateTruncating(3.80940261923e-5));
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.00116194151099);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.0149642703793);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.114085187219);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.502024671928);
            denominator = Step<TLanes, TVector, T>(denominator, square, 1);
        }
        else
        {
            numerator = TLanes.Broadcast(T.CreateTruncating(1.5817743906906445958e-17));
            numerator = Step<TLanes, TVector, T>(numerator, square, 2.2358910091860946052e-14);
            numerator = Step<TLanes, TVector, T>(numerator, square, 3.3381722499329367514e-12);
            numerator = Step<TLanes, TVector, T>(numerator, square, 1.7157724059257813581e-10);
            numerator = Step<TLanes, TVector, T>(numerator, square, 6.7470168164245864792e-9);
            numerator = Step<TLanes, TVector, T>(numerator, square, 1.6902862277498926728e-7);
            numerator = Step<TLanes, TVector, T>(numerator, square, 3.8934670858698511618e-6);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.00005681440651017250668);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.00085462678460908349683);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.0068780920014206837062);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.066084389174638093205);
            numerator = Step<TLanes, TVector, T>(numerator, square, 0.21996182757009090887);
            numerator = Step<TLanes, TVector, T>(numerator, square, 1.1283791670955125449);
            denominator = TLanes.Broadcast(T.CreateTruncating(8.8991381381520411681e-16));
            denominator = Step<TLanes, TVector, T>(denominator, square, 3.3271790434267190008e-13);
            denominator = Step<TLanes, TVector, T>(denominator, square, 2.5459207797653581499e-11);
            denominator = Step<TLanes, TVector, T>(denominator, square, 1.1221835568629173669e-9);
            denominator = Step<TLanes, TVector, T>(denominator, square, 3.5074089662869421761e-8);
            denominator = Step<TLanes, TVector, T>(denominator, square, 8.3316526336230060782e-7);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.000015467539144259358615);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.00022570634960806738161);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.0025611573261124727306);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.0219633227885276245);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.13465557420460695453);
            denominator = Step<TLanes, TVector, T>(denominator, square, 0.52826942749774250085);
            denominator = Step<TLanes, TVector, T>(denominator, square, 1);
        }
        var inside = TLanes.Divide(TLanes.Multiply(value, numerator), denominator);
        // The limit is less than infinity and no NaN: only what is beyond it becomes 1.
        return TLanes.WhereLess(limit, value, TLanes.Broadcast(T.One), inside);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Step<TLanes, TVector, T>(TVector sum, TVector argument, double coefficient)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.MultiplyAdd(sum, argument, TLanes.Broadcast(T.CreateTruncating(coefficient)));
}
