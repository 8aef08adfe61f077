using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// Gradients of the convolution: over the tokens of a row, for keys (with the scaled queries and the gradients of the logits)
/// and for values (with the gradients of the output and the attention) alike,
/// <code>
/// dW[c,j,t] += Σ_p e_j[p] m_c[p] X[c,p+t]        db[c,j] += Σ_p e_j[p] m_c[p]
/// </code>
/// Lanes are channels. A block of <c>dW</c> stays in registers over all tokens: 9 samples by 3 positions for the 3×3 window,
/// 25 samples of one position for others.
/// </summary>
internal static unsafe class SlideWeightGradient
{
    /// <summary>Rows of samples that the kernels read, with zeros behind the last sample.</summary>
    public static int Rows(in SlideShape shape) => SlideShape.RoundUp(shape.Area, 25);

    /// <summary>Elements of the sums, which <see cref="LayOut"/> turns into the gradient.</summary>
    public static long Size(in SlideShape shape) =>
        (long)shape.Chunks * shape.Area * (shape.Block == 9 ? 9 : Rows(shape)) * shape.Lanes;

    /// <summary>Adds the products of some tokens to the sums.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="neighbours">For each position, the first token's neighbour there, <c>X</c>.</param>
    /// <param name="shares"><c>e</c> as <c>[sample, Segment]</c>, <see cref="Rows"/> of them.</param>
    /// <param name="factors">The first token in a staged row of <c>m</c>.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="sums">The sums.</param>
    public static void Add<TLanes, TVector, T>(
        in SlideShape shape, T** neighbours, T* shares, T* factors, int count, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        if (shape.Block == 9)
        {
            Nine<TLanes, TVector, T>(shape, neighbours, shares, factors, count, sums);
        }
        else
        {
            TwentyFive<TLanes, TVector, T>(shape, neighbours, shares, factors, count, sums);
        }
    }

    /// <summary>Sums as <c>dW [d, k², k²]</c>.</summary>
    public static void LayOut<T>(in SlideShape shape, T* sums, T* target)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = shape.Lanes;
        for (var channel = 0; channel < shape.Depth; channel++)
        {
            var (chunk, lane) = (channel / lanes, channel % lanes);
            for (var sample = 0; sample < shape.Area; sample++)
            {
                for (var position = 0; position < shape.Area; position++)
                {
                    var place = shape.Block == 9
                        ? ((((long)chunk * 3) + (position / 3)) * 27) + (sample * 3) + (position % 3)
                        : ((((((long)chunk * Rows(shape)) + (sample / 25 * 25)) * shape.Area) + (position * 25)) + (sample % 25));
                    *target++ = sums[(place * lanes) + lane];
                }
            }
        }
    }

    /// <summary>Adds the products of some tokens to <c>db</c>, <c>[chunk, padded sample, lane]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddBias<TLanes, TVector, T>(in SlideShape shape, T* shares, T* factors, int count, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            var factor = factors + (chunk * shape.PaddedWidth * lanes);
            var sum = sums + (chunk * shape.PaddedArea * lanes);
            for (var sample = 0; sample < shape.Area; sample += 5, sum += 5 * lanes)
            {
                var left = Math.Min(5, shape.Area - sample);
                var e = shares + (sample * SlideShape.Segment);
                var m = factor;
                var u0 = TLanes.Zero;
                var u1 = TLanes.Zero;
                var u2 = TLanes.Zero;
                var u3 = TLanes.Zero;
                var u4 = TLanes.Zero;
                for (var token = 0; token < count; token++, e++, m += lanes)
                {
                    var product = TLanes.Load(m);
                    u0 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[0]), u0);
                    u1 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[SlideShape.Segment]), u1);
                    u2 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[2 * SlideShape.Segment]), u2);
                    u3 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[3 * SlideShape.Segment]), u3);
                    u4 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[4 * SlideShape.Segment]), u4);
                }
                TLanes.Store(TLanes.Add(TLanes.Load(sum), u0), sum);
                if (left > 1)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(sum + lanes), u1), sum + lanes);
                }
                if (left > 2)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(sum + (2 * lanes)), u2), sum + (2 * lanes));
                }
                if (left > 3)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(sum + (3 * lanes)), u3), sum + (3 * lanes));
                }
                if (left > 4)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(sum + (4 * lanes)), u4), sum + (4 * lanes));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Nine<TLanes, TVector, T>(
        in SlideShape shape, T** neighbours, T* shares, T* factors, int count, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var dy = 0; dy < 3; dy++, sums += 27 * lanes)
            {
                var x = neighbours[3 * dy] + (chunk * shape.Columns * lanes);
                var m = factors + (chunk * shape.PaddedWidth * lanes);
                var e = shares;
                var u0a = TLanes.Load(sums);
                var u0b = TLanes.Load(sums + lanes);
                var u0c = TLanes.Load(sums + (2 * lanes));
                var u1a = TLanes.Load(sums + (3 * lanes));
                var u1b = TLanes.Load(sums + (4 * lanes));
                var u1c = TLanes.Load(sums + (5 * lanes));
                var u2a = TLanes.Load(sums + (6 * lanes));
                var u2b = TLanes.Load(sums + (7 * lanes));
                var u2c = TLanes.Load(sums + (8 * lanes));
                var u3a = TLanes.Load(sums + (9 * lanes));
                var u3b = TLanes.Load(sums + (10 * lanes));
                var u3c = TLanes.Load(sums + (11 * lanes));
                var u4a = TLanes.Load(sums + (12 * lanes));
                var u4b = TLanes.Load(sums + (13 * lanes));
                var u4c = TLanes.Load(sums + (14 * lanes));
                var u5a = TLanes.Load(sums + (15 * lanes));
                var u5b = TLanes.Load(sums + (16 * lanes));
                var u5c = TLanes.Load(sums + (17 * lanes));
                var u6a = TLanes.Load(sums + (18 * lanes));
                var u6b = TLanes.Load(sums + (19 * lanes));
                var u6c = TLanes.Load(sums + (20 * lanes));
                var u7a = TLanes.Load(sums + (21 * lanes));
                var u7b = TLanes.Load(sums + (22 * lanes));
                var u7c = TLanes.Load(sums + (23 * lanes));
                var u8a = TLanes.Load(sums + (24 * lanes));
                var u8b = TLanes.Load(sums + (25 * lanes));
                var u8c = TLanes.Load(sums + (26 * lanes));
                for (var token = 0; token < count; token++, e++, x += lanes, m += lanes)
                {
                    var factor = TLanes.Load(m);
                    var xa = TLanes.Multiply(factor, TLanes.Load(x));
                    var xb = TLanes.Multiply(factor, TLanes.Load(x + lanes));
                    var xc = TLanes.Multiply(factor, TLanes.Load(x + (2 * lanes)));
                    var share = TLanes.Broadcast(e[0]);
                    u0a = TLanes.MultiplyAdd(share, xa, u0a);
                    u0b = TLanes.MultiplyAdd(share, xb, u0b);
                    u0c = TLanes.MultiplyAdd(share, xc, u0c);
                    share = TLanes.Broadcast(e[SlideShape.Segment]);
                    u1a = TLanes.MultiplyAdd(share, xa, u1a);
                    u1b = TLanes.MultiplyAdd(share, xb, u1b);
                    u1c = TLanes.MultiplyAdd(share, xc, u1c);
                    share = TLanes.Broadcast(e[2 * SlideShape.Segment]);
                    u2a = TLanes.MultiplyAdd(share, xa, u2a);
                    u2b = TLanes.MultiplyAdd(share, xb, u2b);
                    u2c = TLanes.MultiplyAdd(share, xc, u2c);
                    share = TLanes.Broadcast(e[3 * SlideShape.Segment]);
                    u3a = TLanes.MultiplyAdd(share, xa, u3a);
                    u3b = TLanes.MultiplyAdd(share, xb, u3b);
                    u3c = TLanes.MultiplyAdd(share, xc, u3c);
                    share = TLanes.Broadcast(e[4 * SlideShape.Segment]);
                    u4a = TLanes.MultiplyAdd(share, xa, u4a);
                    u4b = TLanes.MultiplyAdd(share, xb, u4b);
                    u4c = TLanes.MultiplyAdd(share, xc, u4c);
                    share = TLanes.Broadcast(e[5 * SlideShape.Segment]);
                    u5a = TLanes.MultiplyAdd(share, xa, u5a);
                    u5b = TLanes.MultiplyAdd(share, xb, u5b);
                    u5c = TLanes.MultiplyAdd(share, xc, u5c);
                    share = TLanes.Broadcast(e[6 * SlideShape.Segment]);
                    u6a = TLanes.MultiplyAdd(share, xa, u6a);
                    u6b = TLanes.MultiplyAdd(share, xb, u6b);
                    u6c = TLanes.MultiplyAdd(share, xc, u6c);
                    share = TLanes.Broadcast(e[7 * SlideShape.Segment]);
                    u7a = TLanes.MultiplyAdd(share, xa, u7a);
                    u7b = TLanes.MultiplyAdd(share, xb, u7b);
                    u7c = TLanes.MultiplyAdd(share, xc, u7c);
                    share = TLanes.Broadcast(e[8 * SlideShape.Segment]);
                    u8a = TLanes.MultiplyAdd(share, xa, u8a);
                    u8b = TLanes.MultiplyAdd(share, xb, u8b);
                    u8c = TLanes.MultiplyAdd(share, xc, u8c);
                }
                TLanes.Store(u0a, sums);
                TLanes.Store(u0b, sums + lanes);
                TLanes.Store(u0c, sums + (2 * lanes));
                TLanes.Store(u1a, sums + (3 * lanes));
                TLanes.Store(u1b, sums + (4 * lanes));
                TLanes.Store(u1c, sums + (5 * lanes));
                TLanes.Store(u2a, sums + (6 * lanes));
                TLanes.Store(u2b, sums + (7 * lanes));
                TLanes.Store(u2c, sums + (8 * lanes));
                TLanes.Store(u3a, sums + (9 * lanes));
                TLanes.Store(u3b, sums + (10 * lanes));
                TLanes.Store(u3c, sums + (11 * lanes));
                TLanes.Store(u4a, sums + (12 * lanes));
                TLanes.Store(u4b, sums + (13 * lanes));
                TLanes.Store(u4c, sums + (14 * lanes));
                TLanes.Store(u5a, sums + (15 * lanes));
                TLanes.Store(u5b, sums + (16 * lanes));
                TLanes.Store(u5c, sums + (17 * lanes));
                TLanes.Store(u6a, sums + (18 * lanes));
                TLanes.Store(u6b, sums + (19 * lanes));
                TLanes.Store(u6c, sums + (20 * lanes));
                TLanes.Store(u7a, sums + (21 * lanes));
                TLanes.Store(u7b, sums + (22 * lanes));
                TLanes.Store(u7c, sums + (23 * lanes));
                TLanes.Store(u8a, sums + (24 * lanes));
                TLanes.Store(u8b, sums + (25 * lanes));
                TLanes.Store(u8c, sums + (26 * lanes));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TwentyFive<TLanes, TVector, T>(
        in SlideShape shape, T** neighbours, T* shares, T* factors, int count, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var lanes = TLanes.Count;
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            for (var sample = 0; sample < shape.Area; sample += 25)
            {
                for (var position = 0; position < shape.Area; position++, sums += 25 * lanes)
                {
                    var x = neighbours[position] + (chunk * shape.Columns * lanes);
                    var m = factors + (chunk * shape.PaddedWidth * lanes);
                    var e = shares + (sample * SlideShape.Segment);
                    var u0 = TLanes.Load(sums);
                    var u1 = TLanes.Load(sums + lanes);
                    var u2 = TLanes.Load(sums + (2 * lanes));
                    var u3 = TLanes.Load(sums + (3 * lanes));
                    var u4 = TLanes.Load(sums + (4 * lanes));
                    var u5 = TLanes.Load(sums + (5 * lanes));
                    var u6 = TLanes.Load(sums + (6 * lanes));
                    var u7 = TLanes.Load(sums + (7 * lanes));
                    var u8 = TLanes.Load(sums + (8 * lanes));
                    var u9 = TLanes.Load(sums + (9 * lanes));
                    var u10 = TLanes.Load(sums + (10 * lanes));
                    var u11 = TLanes.Load(sums + (11 * lanes));
                    var u12 = TLanes.Load(sums + (12 * lanes));
                    var u13 = TLanes.Load(sums + (13 * lanes));
                    var u14 = TLanes.Load(sums + (14 * lanes));
                    var u15 = TLanes.Load(sums + (15 * lanes));
                    var u16 = TLanes.Load(sums + (16 * lanes));
                    var u17 = TLanes.Load(sums + (17 * lanes));
                    var u18 = TLanes.Load(sums + (18 * lanes));
                    var u19 = TLanes.Load(sums + (19 * lanes));
                    var u20 = TLanes.Load(sums + (20 * lanes));
                    var u21 = TLanes.Load(sums + (21 * lanes));
                    var u22 = TLanes.Load(sums + (22 * lanes));
                    var u23 = TLanes.Load(sums + (23 * lanes));
                    var u24 = TLanes.Load(sums + (24 * lanes));
                    for (var token = 0; token < count; token++, e++, x += lanes, m += lanes)
                    {
                        var product = TLanes.Multiply(TLanes.Load(m), TLanes.Load(x));
                        u0 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[0]), u0);
                        u1 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[SlideShape.Segment]), u1);
                        u2 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[2 * SlideShape.Segment]), u2);
                        u3 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[3 * SlideShape.Segment]), u3);
                        u4 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[4 * SlideShape.Segment]), u4);
                        u5 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[5 * SlideShape.Segment]), u5);
                        u6 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[6 * SlideShape.Segment]), u6);
                        u7 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[7 * SlideShape.Segment]), u7);
                        u8 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[8 * SlideShape.Segment]), u8);
                        u9 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[9 * SlideShape.Segment]), u9);
                        u10 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[10 * SlideShape.Segment]), u10);
                        u11 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[11 * SlideShape.Segment]), u11);
                        u12 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[12 * SlideShape.Segment]), u12);
                        u13 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[13 * SlideShape.Segment]), u13);
                        u14 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[14 * SlideShape.Segment]), u14);
                        u15 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[15 * SlideShape.Segment]), u15);
                        u16 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[16 * SlideShape.Segment]), u16);
                        u17 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[17 * SlideShape.Segment]), u17);
                        u18 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[18 * SlideShape.Segment]), u18);
                        u19 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[19 * SlideShape.Segment]), u19);
                        u20 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[20 * SlideShape.Segment]), u20);
                        u21 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[21 * SlideShape.Segment]), u21);
                        u22 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[22 * SlideShape.Segment]), u22);
                        u23 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[23 * SlideShape.Segment]), u23);
                        u24 = TLanes.MultiplyAdd(product, TLanes.Broadcast(e[24 * SlideShape.Segment]), u24);
                    }
                    TLanes.Store(u0, sums);
                    TLanes.Store(u1, sums + lanes);
                    TLanes.Store(u2, sums + (2 * lanes));
                    TLanes.Store(u3, sums + (3 * lanes));
                    TLanes.Store(u4, sums + (4 * lanes));
                    TLanes.Store(u5, sums + (5 * lanes));
                    TLanes.Store(u6, sums + (6 * lanes));
                    TLanes.Store(u7, sums + (7 * lanes));
                    TLanes.Store(u8, sums + (8 * lanes));
                    TLanes.Store(u9, sums + (9 * lanes));
                    TLanes.Store(u10, sums + (10 * lanes));
                    TLanes.Store(u11, sums + (11 * lanes));
                    TLanes.Store(u12, sums + (12 * lanes));
                    TLanes.Store(u13, sums + (13 * lanes));
                    TLanes.Store(u14, sums + (14 * lanes));
                    TLanes.Store(u15, sums + (15 * lanes));
                    TLanes.Store(u16, sums + (16 * lanes));
                    TLanes.Store(u17, sums + (17 * lanes));
                    TLanes.Store(u18, sums + (18 * lanes));
                    TLanes.Store(u19, sums + (19 * lanes));
                    TLanes.Store(u20, sums + (20 * lanes));
                    TLanes.Store(u21, sums + (21 * lanes));
                    TLanes.Store(u22, sums + (22 * lanes));
                    TLanes.Store(u23, sums + (23 * lanes));
                    TLanes.Store(u24, sums + (24 * lanes));
                }
            }
        }
    }
}
