using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// What a mixture of samples passes back to the tokens that it was made of: for the tokens of a row, with
/// <c>s[c,t] = Σ_j e_j W[c,j,t]</c>,
/// <code>
/// gradient[c,p+t] += m_c · s[c,t]
/// mixture_c = Σ_t s[c,t] X[c,p+t] + Σ_j e_j start[c,j]
/// </code>
/// Both uses of <c>s</c> at once: for keys, whose products with <c>m</c> gave logits with gradients <c>e</c>, the mixture is the
/// gradient of <c>m</c>. Lanes are channels; nine positions of two tokens, or five of four, stand in registers.
/// </summary>
internal static unsafe class SlideSpread
{
    /// <summary>Passes the gradients of some tokens back.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="areShifts">Whether sample j is position j.</param>
    /// <param name="gradients">For each padded position, the gradient of the first token's neighbour there.</param>
    /// <param name="neighbours">For each padded position, the first token's neighbour there, <c>X</c>.</param>
    /// <param name="weights"><see cref="SlideWeights{T}.ByPosition"/>.</param>
    /// <param name="start"><c>[chunk, padded sample, lane]</c>.</param>
    /// <param name="shares"><c>e</c> as <c>[padded sample, Segment]</c>.</param>
    /// <param name="factors">The first token in a staged row of <c>m</c>.</param>
    /// <param name="count">How many tokens, a multiple of <see cref="SlideShape.Group"/>.</param>
    /// <param name="mixtures">The first token in a staged row, or null where no mixture is needed.</param>
    public static void Of<TLanes, TVector, T>(
        in SlideShape shape, bool areShifts, T** gradients, T** neighbours, T* weights, T* start, T* shares, T* factors,
        int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (areShifts)
        {
            Shifts<TLanes, TVector, T>(shape, gradients, neighbours, start, shares, factors, count, mixtures);
            return;
        }
        if (mixtures != null)
        {
            Biases<TLanes, TVector, T>(shape, start, shares, count, mixtures);
        }
        if (shape.Block == 9)
        {
            Nine<TLanes, TVector, T>(shape, gradients, neighbours, weights, shares, factors, count, mixtures);
        }
        else
        {
            Five<TLanes, TVector, T>(shape, gradients, neighbours, weights, shares, factors, count, mixtures);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Biases<TLanes, TVector, T>(in SlideShape shape, T* start, T* shares, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var token = 0; token < count; token += 4)
            {
                var (oa, ob, oc, od) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                var bias = start + (chunk * shape.PaddedArea * lanes);
                var e = shares + token;
                for (var sample = 0; sample < shape.Area; sample++, bias += lanes, e += SlideShape.Segment)
                {
                    var b = TLanes.Load(bias);
                    oa = TLanes.MultiplyAdd(TLanes.Broadcast(e[0]), b, oa);
                    ob = TLanes.MultiplyAdd(TLanes.Broadcast(e[1]), b, ob);
                    oc = TLanes.MultiplyAdd(TLanes.Broadcast(e[2]), b, oc);
                    od = TLanes.MultiplyAdd(TLanes.Broadcast(e[3]), b, od);
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
    private static void Shifts<TLanes, TVector, T>(
        in SlideShape shape, T** gradients, T** neighbours, T* start, T* shares, T* factors, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            var bias = start + (chunk * shape.PaddedArea * lanes);
            for (var token = 0; token < count; token += 4)
            {
                var place = ((chunk * shape.Columns) + token) * lanes;
                var factor = factors + (((chunk * shape.PaddedWidth) + token) * lanes);
                var ma = TLanes.Load(factor);
                var mb = TLanes.Load(factor + lanes);
                var mc = TLanes.Load(factor + (2 * lanes));
                var md = TLanes.Load(factor + (3 * lanes));
                var (oa, ob, oc, od) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                for (var sample = 0; sample < shape.Area; sample++)
                {
                    var e = shares + (sample * SlideShape.Segment) + token;
                    var ea = TLanes.Broadcast(e[0]);
                    var eb = TLanes.Broadcast(e[1]);
                    var ec = TLanes.Broadcast(e[2]);
                    var ed = TLanes.Broadcast(e[3]);
                    var gradient = gradients[sample] + place;
                    Add<TLanes, TVector, T>(gradient, ea, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, eb, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), ec, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), ed, md);
                    if (mixtures != null)
                    {
                        var x = neighbours[sample] + place;
                        var b = TLanes.Load(bias + (sample * lanes));
                        oa = TLanes.MultiplyAdd(ea, TLanes.Add(b, TLanes.Load(x)), oa);
                        ob = TLanes.MultiplyAdd(eb, TLanes.Add(b, TLanes.Load(x + lanes)), ob);
                        oc = TLanes.MultiplyAdd(ec, TLanes.Add(b, TLanes.Load(x + (2 * lanes))), oc);
                        od = TLanes.MultiplyAdd(ed, TLanes.Add(b, TLanes.Load(x + (3 * lanes))), od);
                    }
                }
                if (mixtures != null)
                {
                    var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                    TLanes.Store(oa, target);
                    TLanes.Store(ob, target + lanes);
                    TLanes.Store(oc, target + (2 * lanes));
                    TLanes.Store(od, target + (3 * lanes));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Nine<TLanes, TVector, T>(
        in SlideShape shape, T** gradients, T** neighbours, T* weights, T* shares, T* factors, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var token = 0; token < count; token += 2)
            {
                var w = weights + (chunk * 81 * lanes);
                var e = shares + token;
                var (u0a, u0b) = (TLanes.Zero, TLanes.Zero);
                var (u1a, u1b) = (TLanes.Zero, TLanes.Zero);
                var (u2a, u2b) = (TLanes.Zero, TLanes.Zero);
                var (u3a, u3b) = (TLanes.Zero, TLanes.Zero);
                var (u4a, u4b) = (TLanes.Zero, TLanes.Zero);
                var (u5a, u5b) = (TLanes.Zero, TLanes.Zero);
                var (u6a, u6b) = (TLanes.Zero, TLanes.Zero);
                var (u7a, u7b) = (TLanes.Zero, TLanes.Zero);
                var (u8a, u8b) = (TLanes.Zero, TLanes.Zero);
                for (var sample = 0; sample < 9; sample++, w += 9 * lanes, e += SlideShape.Segment)
                {
                    var ea = TLanes.Broadcast(e[0]);
                    var eb = TLanes.Broadcast(e[1]);
                    var position = TLanes.Load(w);
                    u0a = TLanes.MultiplyAdd(position, ea, u0a);
                    u0b = TLanes.MultiplyAdd(position, eb, u0b);
                    position = TLanes.Load(w + lanes);
                    u1a = TLanes.MultiplyAdd(position, ea, u1a);
                    u1b = TLanes.MultiplyAdd(position, eb, u1b);
                    position = TLanes.Load(w + (2 * lanes));
                    u2a = TLanes.MultiplyAdd(position, ea, u2a);
                    u2b = TLanes.MultiplyAdd(position, eb, u2b);
                    position = TLanes.Load(w + (3 * lanes));
                    u3a = TLanes.MultiplyAdd(position, ea, u3a);
                    u3b = TLanes.MultiplyAdd(position, eb, u3b);
                    position = TLanes.Load(w + (4 * lanes));
                    u4a = TLanes.MultiplyAdd(position, ea, u4a);
                    u4b = TLanes.MultiplyAdd(position, eb, u4b);
                    position = TLanes.Load(w + (5 * lanes));
                    u5a = TLanes.MultiplyAdd(position, ea, u5a);
                    u5b = TLanes.MultiplyAdd(position, eb, u5b);
                    position = TLanes.Load(w + (6 * lanes));
                    u6a = TLanes.MultiplyAdd(position, ea, u6a);
                    u6b = TLanes.MultiplyAdd(position, eb, u6b);
                    position = TLanes.Load(w + (7 * lanes));
                    u7a = TLanes.MultiplyAdd(position, ea, u7a);
                    u7b = TLanes.MultiplyAdd(position, eb, u7b);
                    position = TLanes.Load(w + (8 * lanes));
                    u8a = TLanes.MultiplyAdd(position, ea, u8a);
                    u8b = TLanes.MultiplyAdd(position, eb, u8b);
                }
                var place = ((chunk * shape.Columns) + token) * lanes;
                if (mixtures != null)
                {
                    var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                    var oa = TLanes.Load(target);
                    var ob = TLanes.Load(target + lanes);
                    var x0 = neighbours[0] + place;
                    var x0a = TLanes.Load(x0);
                    var x0b = TLanes.Load(x0 + lanes);
                    var x0c = TLanes.Load(x0 + (2 * lanes));
                    var x0d = TLanes.Load(x0 + (3 * lanes));
                    oa = TLanes.MultiplyAdd(u0a, x0a, oa);
                    ob = TLanes.MultiplyAdd(u0b, x0b, ob);
                    oa = TLanes.MultiplyAdd(u1a, x0b, oa);
                    ob = TLanes.MultiplyAdd(u1b, x0c, ob);
                    oa = TLanes.MultiplyAdd(u2a, x0c, oa);
                    ob = TLanes.MultiplyAdd(u2b, x0d, ob);
                    var x1 = neighbours[3] + place;
                    var x1a = TLanes.Load(x1);
                    var x1b = TLanes.Load(x1 + lanes);
                    var x1c = TLanes.Load(x1 + (2 * lanes));
                    var x1d = TLanes.Load(x1 + (3 * lanes));
                    oa = TLanes.MultiplyAdd(u3a, x1a, oa);
                    ob = TLanes.MultiplyAdd(u3b, x1b, ob);
                    oa = TLanes.MultiplyAdd(u4a, x1b, oa);
                    ob = TLanes.MultiplyAdd(u4b, x1c, ob);
                    oa = TLanes.MultiplyAdd(u5a, x1c, oa);
                    ob = TLanes.MultiplyAdd(u5b, x1d, ob);
                    var x2 = neighbours[6] + place;
                    var x2a = TLanes.Load(x2);
                    var x2b = TLanes.Load(x2 + lanes);
                    var x2c = TLanes.Load(x2 + (2 * lanes));
                    var x2d = TLanes.Load(x2 + (3 * lanes));
                    oa = TLanes.MultiplyAdd(u6a, x2a, oa);
                    ob = TLanes.MultiplyAdd(u6b, x2b, ob);
                    oa = TLanes.MultiplyAdd(u7a, x2b, oa);
                    ob = TLanes.MultiplyAdd(u7b, x2c, ob);
                    oa = TLanes.MultiplyAdd(u8a, x2c, oa);
                    ob = TLanes.MultiplyAdd(u8b, x2d, ob);
                    TLanes.Store(oa, target);
                    TLanes.Store(ob, target + lanes);
                }
                var factor = factors + (((chunk * shape.PaddedWidth) + token) * lanes);
                var ma = TLanes.Load(factor);
                var mb = TLanes.Load(factor + lanes);
                var g0 = gradients[0] + place;
                Add<TLanes, TVector, T>(g0, u0a, ma);
                Add<TLanes, TVector, T>(g0 + lanes, u1a, ma, u0b, mb);
                Add<TLanes, TVector, T>(g0 + (2 * lanes), u2a, ma, u1b, mb);
                Add<TLanes, TVector, T>(g0 + (3 * lanes), u2b, mb);
                var g1 = gradients[3] + place;
                Add<TLanes, TVector, T>(g1, u3a, ma);
                Add<TLanes, TVector, T>(g1 + lanes, u4a, ma, u3b, mb);
                Add<TLanes, TVector, T>(g1 + (2 * lanes), u5a, ma, u4b, mb);
                Add<TLanes, TVector, T>(g1 + (3 * lanes), u5b, mb);
                var g2 = gradients[6] + place;
                Add<TLanes, TVector, T>(g2, u6a, ma);
                Add<TLanes, TVector, T>(g2 + lanes, u7a, ma, u6b, mb);
                Add<TLanes, TVector, T>(g2 + (2 * lanes), u8a, ma, u7b, mb);
                Add<TLanes, TVector, T>(g2 + (3 * lanes), u8b, mb);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Five<TLanes, TVector, T>(
        in SlideShape shape, T** gradients, T** neighbours, T* weights, T* shares, T* factors, int count, T* mixtures)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var block = 0; block < shape.PaddedArea; block += 5)
            {
                for (var token = 0; token < count; token += 4)
                {
                    var w = weights + ((((long)chunk * shape.PaddedArea) + block) * shape.Area * lanes);
                    var e = shares + token;
                    var (u0a, u0b, u0c, u0d) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                    var (u1a, u1b, u1c, u1d) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                    var (u2a, u2b, u2c, u2d) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                    var (u3a, u3b, u3c, u3d) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                    var (u4a, u4b, u4c, u4d) = (TLanes.Zero, TLanes.Zero, TLanes.Zero, TLanes.Zero);
                    for (var sample = 0; sample < shape.Area; sample++, w += 5 * lanes, e += SlideShape.Segment)
                    {
                        var ea = TLanes.Broadcast(e[0]);
                        var eb = TLanes.Broadcast(e[1]);
                        var ec = TLanes.Broadcast(e[2]);
                        var ed = TLanes.Broadcast(e[3]);
                        var position = TLanes.Load(w);
                        u0a = TLanes.MultiplyAdd(position, ea, u0a);
                        u0b = TLanes.MultiplyAdd(position, eb, u0b);
                        u0c = TLanes.MultiplyAdd(position, ec, u0c);
                        u0d = TLanes.MultiplyAdd(position, ed, u0d);
                        position = TLanes.Load(w + lanes);
                        u1a = TLanes.MultiplyAdd(position, ea, u1a);
                        u1b = TLanes.MultiplyAdd(position, eb, u1b);
                        u1c = TLanes.MultiplyAdd(position, ec, u1c);
                        u1d = TLanes.MultiplyAdd(position, ed, u1d);
                        position = TLanes.Load(w + (2 * lanes));
                        u2a = TLanes.MultiplyAdd(position, ea, u2a);
                        u2b = TLanes.MultiplyAdd(position, eb, u2b);
                        u2c = TLanes.MultiplyAdd(position, ec, u2c);
                        u2d = TLanes.MultiplyAdd(position, ed, u2d);
                        position = TLanes.Load(w + (3 * lanes));
                        u3a = TLanes.MultiplyAdd(position, ea, u3a);
                        u3b = TLanes.MultiplyAdd(position, eb, u3b);
                        u3c = TLanes.MultiplyAdd(position, ec, u3c);
                        u3d = TLanes.MultiplyAdd(position, ed, u3d);
                        position = TLanes.Load(w + (4 * lanes));
                        u4a = TLanes.MultiplyAdd(position, ea, u4a);
                        u4b = TLanes.MultiplyAdd(position, eb, u4b);
                        u4c = TLanes.MultiplyAdd(position, ec, u4c);
                        u4d = TLanes.MultiplyAdd(position, ed, u4d);
                    }
                    var place = ((chunk * shape.Columns) + token) * lanes;
                    if (mixtures != null)
                    {
                        var target = mixtures + (((chunk * shape.PaddedWidth) + token) * lanes);
                        var oa = TLanes.Load(target);
                        var ob = TLanes.Load(target + lanes);
                        var oc = TLanes.Load(target + (2 * lanes));
                        var od = TLanes.Load(target + (3 * lanes));
                        var x = neighbours[block] + place;
                        oa = TLanes.MultiplyAdd(u0a, TLanes.Load(x), oa);
                        ob = TLanes.MultiplyAdd(u0b, TLanes.Load(x + lanes), ob);
                        oc = TLanes.MultiplyAdd(u0c, TLanes.Load(x + (2 * lanes)), oc);
                        od = TLanes.MultiplyAdd(u0d, TLanes.Load(x + (3 * lanes)), od);
                        x = neighbours[block + 1] + place;
                        oa = TLanes.MultiplyAdd(u1a, TLanes.Load(x), oa);
                        ob = TLanes.MultiplyAdd(u1b, TLanes.Load(x + lanes), ob);
                        oc = TLanes.MultiplyAdd(u1c, TLanes.Load(x + (2 * lanes)), oc);
                        od = TLanes.MultiplyAdd(u1d, TLanes.Load(x + (3 * lanes)), od);
                        x = neighbours[block + 2] + place;
                        oa = TLanes.MultiplyAdd(u2a, TLanes.Load(x), oa);
                        ob = TLanes.MultiplyAdd(u2b, TLanes.Load(x + lanes), ob);
                        oc = TLanes.MultiplyAdd(u2c, TLanes.Load(x + (2 * lanes)), oc);
                        od = TLanes.MultiplyAdd(u2d, TLanes.Load(x + (3 * lanes)), od);
                        x = neighbours[block + 3] + place;
                        oa = TLanes.MultiplyAdd(u3a, TLanes.Load(x), oa);
                        ob = TLanes.MultiplyAdd(u3b, TLanes.Load(x + lanes), ob);
                        oc = TLanes.MultiplyAdd(u3c, TLanes.Load(x + (2 * lanes)), oc);
                        od = TLanes.MultiplyAdd(u3d, TLanes.Load(x + (3 * lanes)), od);
                        x = neighbours[block + 4] + place;
                        oa = TLanes.MultiplyAdd(u4a, TLanes.Load(x), oa);
                        ob = TLanes.MultiplyAdd(u4b, TLanes.Load(x + lanes), ob);
                        oc = TLanes.MultiplyAdd(u4c, TLanes.Load(x + (2 * lanes)), oc);
                        od = TLanes.MultiplyAdd(u4d, TLanes.Load(x + (3 * lanes)), od);
                        TLanes.Store(oa, target);
                        TLanes.Store(ob, target + lanes);
                        TLanes.Store(oc, target + (2 * lanes));
                        TLanes.Store(od, target + (3 * lanes));
                    }
                    var factor = factors + (((chunk * shape.PaddedWidth) + token) * lanes);
                    var ma = TLanes.Load(factor);
                    var mb = TLanes.Load(factor + lanes);
                    var mc = TLanes.Load(factor + (2 * lanes));
                    var md = TLanes.Load(factor + (3 * lanes));
                    var gradient = gradients[block] + place;
                    Add<TLanes, TVector, T>(gradient, u0a, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, u0b, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), u0c, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), u0d, md);
                    gradient = gradients[block + 1] + place;
                    Add<TLanes, TVector, T>(gradient, u1a, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, u1b, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), u1c, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), u1d, md);
                    gradient = gradients[block + 2] + place;
                    Add<TLanes, TVector, T>(gradient, u2a, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, u2b, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), u2c, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), u2d, md);
                    gradient = gradients[block + 3] + place;
                    Add<TLanes, TVector, T>(gradient, u3a, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, u3b, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), u3c, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), u3d, md);
                    gradient = gradients[block + 4] + place;
                    Add<TLanes, TVector, T>(gradient, u4a, ma);
                    Add<TLanes, TVector, T>(gradient + lanes, u4b, mb);
                    Add<TLanes, TVector, T>(gradient + (2 * lanes), u4c, mc);
                    Add<TLanes, TVector, T>(gradient + (3 * lanes), u4d, md);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TLanes, TVector, T>(T* target, TVector left, TVector right)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.Store(TLanes.MultiplyAdd(left, right, TLanes.Load(target)), target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TLanes, TVector, T>(T* target, TVector left, TVector right, TVector left2, TVector right2)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        TLanes.Store(TLanes.MultiplyAdd(left, right, TLanes.MultiplyAdd(left2, right2, TLanes.Load(target))), target);
}
