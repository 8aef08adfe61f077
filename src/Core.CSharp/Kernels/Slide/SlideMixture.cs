using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The samples of each window added up by their attention, none of them stored: for the tokens of a row
/// <code>
/// out_c = Σ_j a_j · (Σ_t W[c,j,t] X[c,p+t] + start[c,j])
/// </code>
/// Lanes are channels; registers hold what <see cref="SlideScores"/> holds.
/// </summary>
internal static unsafe class SlideMixture
{
    /// <summary>Fills a part of a staged row with the mixtures of some tokens.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="areShifts">Whether sample j is position j.</param>
    /// <param name="rows">The extended rows of the window, top to bottom, from the first token's leftmost position.</param>
    /// <param name="weights"><see cref="SlideWeights{T}.BySample"/>.</param>
    /// <param name="start"><c>[chunk, padded sample, lane]</c>.</param>
    /// <param name="attention"><c>a</c> as <c>[padded sample, Segment]</c>, zeros for the padding.</param>
    /// <param name="count">How many tokens, a multiple of <see cref="SlideShape.Group"/>.</param>
    /// <param name="mixtures">The first token in a staged row: the result.</param>
    public static void Of<TLanes, TVector, T>(
        in SlideShape shape, bool areShifts, T** rows, T* weights, T* start, T* attention, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (areShifts)
        {
            OfShifts<TLanes, TVector, T>(shape, rows, start, attention, count, mixtures);
        }
        else if (shape.Block == 9)
        {
            OfNine<TLanes, TVector, T>(shape, rows, weights, start, attention, count, mixtures);
        }
        else
        {
            OfFive<TLanes, TVector, T>(shape, rows, weights, start, attention, count, mixtures);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfShifts<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* start, T* attention, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var token = 0; token < count; token += 4)
            {
                var place = ((chunk * shape.Columns) + token) * lanes;
                var bias = start + (chunk * shape.PaddedArea * lanes);
                var a = attention + token;
                var (oa, ob, oc, od) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                for (var dy = 0; dy < shape.Window; dy++)
                {
                    var x = rows[dy] + place;
                    for (var dx = 0; dx < shape.Window; dx++, x += lanes, bias += lanes, a += SlideShape.Segment)
                    {
                        var b = TLanes.Load(bias);
                        oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[0]), TLanes.Add(b, TLanes.Load(x)), oa);
                        ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[1]), TLanes.Add(b, TLanes.Load(x + lanes)), ob);
                        oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[2]), TLanes.Add(b, TLanes.Load(x + (2 * lanes))), oc);
                        od = TLanes.MultiplyAdd(TLanes.Broadcast(a[3]), TLanes.Add(b, TLanes.Load(x + (3 * lanes))), od);
                    }
                }
                var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                TLanes.Store(oa, target);
                TLanes.Store(ob, target + lanes);
                TLanes.Store(oc, target + (2 * lanes));
                TLanes.Store(od, target + (3 * lanes));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfNine<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* weights, T* start, T* attention, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            var first = start + (chunk * 9 * lanes);
            for (var token = 0; token < count; token += 2)
            {
                var w = weights + (chunk * 81 * lanes);
                var place = ((chunk * shape.Columns) + token) * lanes;
                var u0a = TLanes.Load(first);
                var u1a = TLanes.Load(first + lanes);
                var u2a = TLanes.Load(first + (2 * lanes));
                var u3a = TLanes.Load(first + (3 * lanes));
                var u4a = TLanes.Load(first + (4 * lanes));
                var u5a = TLanes.Load(first + (5 * lanes));
                var u6a = TLanes.Load(first + (6 * lanes));
                var u7a = TLanes.Load(first + (7 * lanes));
                var u8a = TLanes.Load(first + (8 * lanes));
                var u0b = u0a;
                var u1b = u1a;
                var u2b = u2a;
                var u3b = u3a;
                var u4b = u4a;
                var u5b = u5a;
                var u6b = u6a;
                var u7b = u7a;
                var u8b = u8a;
                for (var dy = 0; dy < shape.Window; dy++)
                {
                    var x = rows[dy] + place;
                    for (var dx = 0; dx < shape.Window; dx++, x += lanes, w += 9 * lanes)
                    {
                        var xa = TLanes.Load(x);
                        var xb = TLanes.Load(x + lanes);
                        var sample = TLanes.Load(w);
                        u0a = TLanes.MultiplyAdd(sample, xa, u0a);
                        u0b = TLanes.MultiplyAdd(sample, xb, u0b);
                        sample = TLanes.Load(w + lanes);
                        u1a = TLanes.MultiplyAdd(sample, xa, u1a);
                        u1b = TLanes.MultiplyAdd(sample, xb, u1b);
                        sample = TLanes.Load(w + (2 * lanes));
                        u2a = TLanes.MultiplyAdd(sample, xa, u2a);
                        u2b = TLanes.MultiplyAdd(sample, xb, u2b);
                        sample = TLanes.Load(w + (3 * lanes));
                        u3a = TLanes.MultiplyAdd(sample, xa, u3a);
                        u3b = TLanes.MultiplyAdd(sample, xb, u3b);
                        sample = TLanes.Load(w + (4 * lanes));
                        u4a = TLanes.MultiplyAdd(sample, xa, u4a);
                        u4b = TLanes.MultiplyAdd(sample, xb, u4b);
                        sample = TLanes.Load(w + (5 * lanes));
                        u5a = TLanes.MultiplyAdd(sample, xa, u5a);
                        u5b = TLanes.MultiplyAdd(sample, xb, u5b);
                        sample = TLanes.Load(w + (6 * lanes));
                        u6a = TLanes.MultiplyAdd(sample, xa, u6a);
                        u6b = TLanes.MultiplyAdd(sample, xb, u6b);
                        sample = TLanes.Load(w + (7 * lanes));
                        u7a = TLanes.MultiplyAdd(sample, xa, u7a);
                        u7b = TLanes.MultiplyAdd(sample, xb, u7b);
                        sample = TLanes.Load(w + (8 * lanes));
                        u8a = TLanes.MultiplyAdd(sample, xa, u8a);
                        u8b = TLanes.MultiplyAdd(sample, xb, u8b);
                    }
                }
                var a = attention + token;
                u0a = TLanes.Multiply(TLanes.Broadcast(a[0]), u0a);
                u3a = TLanes.Multiply(TLanes.Broadcast(a[(3 * SlideShape.Segment)]), u3a);
                u6a = TLanes.Multiply(TLanes.Broadcast(a[(6 * SlideShape.Segment)]), u6a);
                u0a = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment]), u1a, u0a);
                u3a = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment)]), u4a, u3a);
                u6a = TLanes.MultiplyAdd(TLanes.Broadcast(a[(7 * SlideShape.Segment)]), u7a, u6a);
                u0a = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment)]), u2a, u0a);
                u3a = TLanes.MultiplyAdd(TLanes.Broadcast(a[(5 * SlideShape.Segment)]), u5a, u3a);
                u6a = TLanes.MultiplyAdd(TLanes.Broadcast(a[(8 * SlideShape.Segment)]), u8a, u6a);
                u0b = TLanes.Multiply(TLanes.Broadcast(a[1]), u0b);
                u3b = TLanes.Multiply(TLanes.Broadcast(a[(3 * SlideShape.Segment) + 1]), u3b);
                u6b = TLanes.Multiply(TLanes.Broadcast(a[(6 * SlideShape.Segment) + 1]), u6b);
                u0b = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment + 1]), u1b, u0b);
                u3b = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment) + 1]), u4b, u3b);
                u6b = TLanes.MultiplyAdd(TLanes.Broadcast(a[(7 * SlideShape.Segment) + 1]), u7b, u6b);
                u0b = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment) + 1]), u2b, u0b);
                u3b = TLanes.MultiplyAdd(TLanes.Broadcast(a[(5 * SlideShape.Segment) + 1]), u5b, u3b);
                u6b = TLanes.MultiplyAdd(TLanes.Broadcast(a[(8 * SlideShape.Segment) + 1]), u8b, u6b);
                var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                TLanes.Store(TLanes.Add(TLanes.Add(u0a, u3a), u6a), target);
                TLanes.Store(TLanes.Add(TLanes.Add(u0b, u3b), u6b), target + lanes);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfFive<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* weights, T* start, T* attention, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var block = 0; block < shape.PaddedArea; block += 5)
            {
                var first = start + (((chunk * shape.PaddedArea) + block) * lanes);
                for (var token = 0; token < count; token += 4)
                {
                    var w = weights + ((((long)chunk * shape.PaddedArea) + block) * shape.Area * lanes);
                    var place = ((chunk * shape.Columns) + token) * lanes;
                    var u0a = TLanes.Load(first);
                    var u1a = TLanes.Load(first + lanes);
                    var u2a = TLanes.Load(first + (2 * lanes));
                    var u3a = TLanes.Load(first + (3 * lanes));
                    var u4a = TLanes.Load(first + (4 * lanes));
                    var (u0b, u0c, u0d) = (u0a, u0a, u0a);
                    var (u1b, u1c, u1d) = (u1a, u1a, u1a);
                    var (u2b, u2c, u2d) = (u2a, u2a, u2a);
                    var (u3b, u3c, u3d) = (u3a, u3a, u3a);
                    var (u4b, u4c, u4d) = (u4a, u4a, u4a);
                    for (var dy = 0; dy < shape.Window; dy++)
                    {
                        var x = rows[dy] + place;
                        for (var dx = 0; dx < shape.Window; dx++, x += lanes, w += 5 * lanes)
                        {
                            var xa = TLanes.Load(x);
                            var xb = TLanes.Load(x + lanes);
                            var xc = TLanes.Load(x + (2 * lanes));
                            var xd = TLanes.Load(x + (3 * lanes));
                            var sample = TLanes.Load(w);
                            u0a = TLanes.MultiplyAdd(sample, xa, u0a);
                            u0b = TLanes.MultiplyAdd(sample, xb, u0b);
                            u0c = TLanes.MultiplyAdd(sample, xc, u0c);
                            u0d = TLanes.MultiplyAdd(sample, xd, u0d);
                            sample = TLanes.Load(w + lanes);
                            u1a = TLanes.MultiplyAdd(sample, xa, u1a);
                            u1b = TLanes.MultiplyAdd(sample, xb, u1b);
                            u1c = TLanes.MultiplyAdd(sample, xc, u1c);
                            u1d = TLanes.MultiplyAdd(sample, xd, u1d);
                            sample = TLanes.Load(w + (2 * lanes));
                            u2a = TLanes.MultiplyAdd(sample, xa, u2a);
                            u2b = TLanes.MultiplyAdd(sample, xb, u2b);
                            u2c = TLanes.MultiplyAdd(sample, xc, u2c);
                            u2d = TLanes.MultiplyAdd(sample, xd, u2d);
                            sample = TLanes.Load(w + (3 * lanes));
                            u3a = TLanes.MultiplyAdd(sample, xa, u3a);
                            u3b = TLanes.MultiplyAdd(sample, xb, u3b);
                            u3c = TLanes.MultiplyAdd(sample, xc, u3c);
                            u3d = TLanes.MultiplyAdd(sample, xd, u3d);
                            sample = TLanes.Load(w + (4 * lanes));
                            u4a = TLanes.MultiplyAdd(sample, xa, u4a);
                            u4b = TLanes.MultiplyAdd(sample, xb, u4b);
                            u4c = TLanes.MultiplyAdd(sample, xc, u4c);
                            u4d = TLanes.MultiplyAdd(sample, xd, u4d);
                        }
                    }
                    var a = attention + (block * SlideShape.Segment) + token;
                    var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                    var oa = block == 0 ? TLanes.Zero : TLanes.Load(target);
                    var ob = block == 0 ? TLanes.Zero : TLanes.Load(target + lanes);
                    var oc = block == 0 ? TLanes.Zero : TLanes.Load(target + (2 * lanes));
                    var od = block == 0 ? TLanes.Zero : TLanes.Load(target + (3 * lanes));
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[0]), u0a, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[1]), u0b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[2]), u0c, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(a[3]), u0d, od);
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment]), u1a, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment + 1]), u1b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment + 2]), u1c, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(a[SlideShape.Segment + 3]), u1d, od);
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment)]), u2a, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment) + 1]), u2b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment) + 2]), u2c, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(a[(2 * SlideShape.Segment) + 3]), u2d, od);
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[(3 * SlideShape.Segment)]), u3a, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[(3 * SlideShape.Segment) + 1]), u3b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[(3 * SlideShape.Segment) + 2]), u3c, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(a[(3 * SlideShape.Segment) + 3]), u3d, od);
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment)]), u4a, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment) + 1]), u4b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment) + 2]), u4c, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(a[(4 * SlideShape.Segment) + 3]), u4d, od);
                    TLanes.Store(oa, target);
                    TLanes.Store(ob, target + lanes);
                    TLanes.Store(oc, target + (2 * lanes));
                    TLanes.Store(od, target + (3 * lanes));
                }
            }
        }
    }
}
