using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// The products of queries with all samples of their windows, none of which is stored: for the tokens of a row
/// <code>
/// logit[j] = Σ_c q_c · (Σ_t W[c,j,t] X[c,p+t] + start[c,j])
/// </code>
/// Lanes are channels. A sum over positions runs for nine samples of two tokens, or five of four, in registers, is
/// multiplied by the query there, and only then added up over its lanes.
/// </summary>
internal static unsafe class SlideScores
{
    /// <summary>Room for products before their lanes are added up, in vectors.</summary>
    public const int PartialVectors = Tile * 5;

    // Tokens between which a block of weights goes through all chunks.
    private const int Tile = 16;

    /// <summary>Fills <c>[sample, Segment]</c> with the logits of some tokens.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="areShifts">Whether sample j is position j.</param>
    /// <param name="rows">The extended rows of the window, top to bottom, from the first token's leftmost position.</param>
    /// <param name="weights"><see cref="SlideWeights{T}.BySample"/>.</param>
    /// <param name="start"><c>[chunk, padded sample, lane]</c>.</param>
    /// <param name="queries">The first token in a staged row.</param>
    /// <param name="count">How many tokens, a multiple of <see cref="SlideShape.Group"/>.</param>
    /// <param name="partial">Room for <see cref="PartialVectors"/> vectors.</param>
    /// <param name="logits">The result.</param>
    public static void Of<TLanes, TVector, T>(
        in SlideShape shape, bool areShifts, T** rows, T* weights, T* start, T* queries, int count, T* partial, T* logits)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (areShifts)
        {
            OfShifts<TLanes, TVector, T>(shape, rows, start, queries, count, logits);
        }
        else if (shape.Block == 9)
        {
            OfNine<TLanes, TVector, T>(shape, rows, weights, start, queries, count, partial, logits);
        }
        else
        {
            OfFive<TLanes, TVector, T>(shape, rows, weights, start, queries, count, partial, logits);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfShifts<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* start, T* queries, int count, T* logits)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var token = 0; token < count; token += 4)
        {
            for (var sample = 0; sample < shape.Area; sample++)
            {
                var x = rows[sample / shape.Window] + ((token + (sample % shape.Window)) * lanes);
                var q = queries + (token * lanes);
                var (la, lb, lc, ld) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                for (var chunk = 0; chunk < shape.Chunks; chunk++)
                {
                    var bias = TLanes.Load(start + (((chunk * shape.PaddedArea) + sample) * lanes));
                    la = TLanes.MultiplyAdd(TLanes.Load(q), TLanes.Add(bias, TLanes.Load(x)), la);
                    lb = TLanes.MultiplyAdd(TLanes.Load(q + lanes), TLanes.Add(bias, TLanes.Load(x + lanes)), lb);
                    lc = TLanes.MultiplyAdd(TLanes.Load(q + (2 * lanes)), TLanes.Add(bias, TLanes.Load(x + (2 * lanes))), lc);
                    ld = TLanes.MultiplyAdd(TLanes.Load(q + (3 * lanes)), TLanes.Add(bias, TLanes.Load(x + (3 * lanes))), ld);
                    x += shape.Columns * lanes;
                    q += shape.PaddedWidth * lanes;
                }
                TLanes.SumFour(la, lb, lc, ld, logits + (sample * SlideShape.Segment) + token);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfNine<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* weights, T* start, T* queries, int count, T* partial, T* logits)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var token = 0; token < count; token += 4)
        {
            for (var half = 0; half < 4; half += 2)
            {
                var w = weights;
                var first = start;
                var target = partial + (half * lanes);
                for (var chunk = 0; chunk < shape.Chunks; chunk++, first += 9 * lanes)
                {
                    var place = ((chunk * shape.Columns) + token + half) * lanes;
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
                    var query = queries + (((chunk * shape.PaddedWidth) + token + half) * lanes);
                    var qa = TLanes.Load(query);
                    var qb = TLanes.Load(query + lanes);
                    if (chunk == 0)
                    {
                        TLanes.Store(TLanes.Multiply(u0a, qa), target);
                        TLanes.Store(TLanes.Multiply(u0b, qb), target + lanes);
                        TLanes.Store(TLanes.Multiply(u1a, qa), target + (4 * lanes));
                        TLanes.Store(TLanes.Multiply(u1b, qb), target + (5 * lanes));
                        TLanes.Store(TLanes.Multiply(u2a, qa), target + (8 * lanes));
                        TLanes.Store(TLanes.Multiply(u2b, qb), target + (9 * lanes));
                        TLanes.Store(TLanes.Multiply(u3a, qa), target + (12 * lanes));
                        TLanes.Store(TLanes.Multiply(u3b, qb), target + (13 * lanes));
                        TLanes.Store(TLanes.Multiply(u4a, qa), target + (16 * lanes));
                        TLanes.Store(TLanes.Multiply(u4b, qb), target + (17 * lanes));
                        TLanes.Store(TLanes.Multiply(u5a, qa), target + (20 * lanes));
                        TLanes.Store(TLanes.Multiply(u5b, qb), target + (21 * lanes));
                        TLanes.Store(TLanes.Multiply(u6a, qa), target + (24 * lanes));
                        TLanes.Store(TLanes.Multiply(u6b, qb), target + (25 * lanes));
                        TLanes.Store(TLanes.Multiply(u7a, qa), target + (28 * lanes));
                        TLanes.Store(TLanes.Multiply(u7b, qb), target + (29 * lanes));
                        TLanes.Store(TLanes.Multiply(u8a, qa), target + (32 * lanes));
                        TLanes.Store(TLanes.Multiply(u8b, qb), target + (33 * lanes));
                    }
                    else
                    {
                        Add<TLanes, TVector, T>(target, u0a, qa);
                        Add<TLanes, TVector, T>(target + lanes, u0b, qb);
                        Add<TLanes, TVector, T>(target + (4 * lanes), u1a, qa);
                        Add<TLanes, TVector, T>(target + (5 * lanes), u1b, qb);
                        Add<TLanes, TVector, T>(target + (8 * lanes), u2a, qa);
                        Add<TLanes, TVector, T>(target + (9 * lanes), u2b, qb);
                        Add<TLanes, TVector, T>(target + (12 * lanes), u3a, qa);
                        Add<TLanes, TVector, T>(target + (13 * lanes), u3b, qb);
                        Add<TLanes, TVector, T>(target + (16 * lanes), u4a, qa);
                        Add<TLanes, TVector, T>(target + (17 * lanes), u4b, qb);
                        Add<TLanes, TVector, T>(target + (20 * lanes), u5a, qa);
                        Add<TLanes, TVector, T>(target + (21 * lanes), u5b, qb);
                        Add<TLanes, TVector, T>(target + (24 * lanes), u6a, qa);
                        Add<TLanes, TVector, T>(target + (25 * lanes), u6b, qb);
                        Add<TLanes, TVector, T>(target + (28 * lanes), u7a, qa);
                        Add<TLanes, TVector, T>(target + (29 * lanes), u7b, qb);
                        Add<TLanes, TVector, T>(target + (32 * lanes), u8a, qa);
                        Add<TLanes, TVector, T>(target + (33 * lanes), u8b, qb);
                    }
                }
            }
            for (var sample = 0; sample < 9; sample++)
            {
                Sums<TLanes, TVector, T>(partial + (4 * sample * lanes), logits + (sample * SlideShape.Segment) + token);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OfFive<TLanes, TVector, T>(
        in SlideShape shape, T** rows, T* weights, T* start, T* queries, int count, T* partial, T* logits)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var block = 0; block < shape.PaddedArea; block += 5)
        {
            for (var tile = 0; tile < count; tile += Tile)
            {
                var end = Math.Min(count, tile + Tile);
                for (var chunk = 0; chunk < shape.Chunks; chunk++)
                {
                    var first = start + (((chunk * shape.PaddedArea) + block) * lanes);
                    var target = partial;
                    for (var token = tile; token < end; token += 4, target += 20 * lanes)
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
                        var query = queries + (((chunk * shape.PaddedWidth) + token) * lanes);
                        var qa = TLanes.Load(query);
                        var qb = TLanes.Load(query + lanes);
                        var qc = TLanes.Load(query + (2 * lanes));
                        var qd = TLanes.Load(query + (3 * lanes));
                        if (chunk == 0)
                        {
                            TLanes.Store(TLanes.Multiply(u0a, qa), target);
                            TLanes.Store(TLanes.Multiply(u0b, qb), target + lanes);
                            TLanes.Store(TLanes.Multiply(u0c, qc), target + (2 * lanes));
                            TLanes.Store(TLanes.Multiply(u0d, qd), target + (3 * lanes));
                            TLanes.Store(TLanes.Multiply(u1a, qa), target + (4 * lanes));
                            TLanes.Store(TLanes.Multiply(u1b, qb), target + (5 * lanes));
                            TLanes.Store(TLanes.Multiply(u1c, qc), target + (6 * lanes));
                            TLanes.Store(TLanes.Multiply(u1d, qd), target + (7 * lanes));
                            TLanes.Store(TLanes.Multiply(u2a, qa), target + (8 * lanes));
                            TLanes.Store(TLanes.Multiply(u2b, qb), target + (9 * lanes));
                            TLanes.Store(TLanes.Multiply(u2c, qc), target + (10 * lanes));
                            TLanes.Store(TLanes.Multiply(u2d, qd), target + (11 * lanes));
                            TLanes.Store(TLanes.Multiply(u3a, qa), target + (12 * lanes));
                            TLanes.Store(TLanes.Multiply(u3b, qb), target + (13 * lanes));
                            TLanes.Store(TLanes.Multiply(u3c, qc), target + (14 * lanes));
                            TLanes.Store(TLanes.Multiply(u3d, qd), target + (15 * lanes));
                            TLanes.Store(TLanes.Multiply(u4a, qa), target + (16 * lanes));
                            TLanes.Store(TLanes.Multiply(u4b, qb), target + (17 * lanes));
                            TLanes.Store(TLanes.Multiply(u4c, qc), target + (18 * lanes));
                            TLanes.Store(TLanes.Multiply(u4d, qd), target + (19 * lanes));
                        }
                        else
                        {
                            Add<TLanes, TVector, T>(target, u0a, qa);
                            Add<TLanes, TVector, T>(target + lanes, u0b, qb);
                            Add<TLanes, TVector, T>(target + (2 * lanes), u0c, qc);
                            Add<TLanes, TVector, T>(target + (3 * lanes), u0d, qd);
                            Add<TLanes, TVector, T>(target + (4 * lanes), u1a, qa);
                            Add<TLanes, TVector, T>(target + (5 * lanes), u1b, qb);
                            Add<TLanes, TVector, T>(target + (6 * lanes), u1c, qc);
                            Add<TLanes, TVector, T>(target + (7 * lanes), u1d, qd);
                            Add<TLanes, TVector, T>(target + (8 * lanes), u2a, qa);
                            Add<TLanes, TVector, T>(target + (9 * lanes), u2b, qb);
                            Add<TLanes, TVector, T>(target + (10 * lanes), u2c, qc);
                            Add<TLanes, TVector, T>(target + (11 * lanes), u2d, qd);
                            Add<TLanes, TVector, T>(target + (12 * lanes), u3a, qa);
                            Add<TLanes, TVector, T>(target + (13 * lanes), u3b, qb);
                            Add<TLanes, TVector, T>(target + (14 * lanes), u3c, qc);
                            Add<TLanes, TVector, T>(target + (15 * lanes), u3d, qd);
                            Add<TLanes, TVector, T>(target + (16 * lanes), u4a, qa);
                            Add<TLanes, TVector, T>(target + (17 * lanes), u4b, qb);
                            Add<TLanes, TVector, T>(target + (18 * lanes), u4c, qc);
                            Add<TLanes, TVector, T>(target + (19 * lanes), u4d, qd);
                        }
                    }
                }
                var products = partial;
                for (var token = tile; token < end; token += 4)
                {
                    for (var sample = block; sample < block + 5; sample++, products += 4 * lanes)
                    {
                        Sums<TLanes, TVector, T>(products, logits + (sample * SlideShape.Segment) + token);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TLanes, TVector, T>(T* target, TVector sum, TVector query)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.Store(TLanes.MultiplyAdd(sum, query, TLanes.Load(target)), target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sums<TLanes, TVector, T>(T* vectors, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        TLanes.SumFour(
            TLanes.Load(vectors), TLanes.Load(vectors + lanes),
            TLanes.Load(vectors + (2 * lanes)), TLanes.Load(vectors + (3 * lanes)), target);
    }
}
