using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>Tokens turned over: the channels of as many tokens as a vector has lanes become vectors with a lane for each.</summary>
internal static unsafe class LaneTranspose
{
    /// <summary><c>target[channel · targetRow + lane] = source[tokens[lane] + channel]</c>.</summary>
    /// <param name="source">The map, at the part and row that are wanted.</param>
    /// <param name="tokens">Where each lane's token begins in it.</param>
    /// <param name="channels">How many channels; nothing behind them is read.</param>
    /// <param name="target">The first channel's vector.</param>
    /// <param name="targetRow">From a channel to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TLanes, TVector, T>(T* source, int* tokens, int channels, T* target, int targetRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var channel = 0;
        if (typeof(TVector) == typeof(Vector512<float>) && Avx512F.IsSupported)
        {
            for (; channel + 16 <= channels; channel += 16)
            {
                Sixteen((float*)source + channel, tokens, (float*)target + ((long)channel * targetRow), targetRow);
            }
        }
        else if (typeof(TVector) == typeof(Vector256<float>) && Avx.IsSupported)
        {
            for (; channel + 8 <= channels; channel += 8)
            {
                Eight((float*)source + channel, tokens, (float*)target + ((long)channel * targetRow), targetRow);
            }
        }
        for (var lane = 0; lane < TLanes.Count; lane++)
        {
            var token = source + tokens[lane];
            for (var rest = channel; rest < channels; rest++)
            {
                target[((long)rest * targetRow) + lane] = token[rest];
            }
        }
    }

    /// <summary>16 × 16: inside 128 bits by pairs and pairs of pairs, then whole 128 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sixteen(float* source, int* tokens, float* target, int targetRow)
    {
        var (a0, a1, a2, a3) = Four(source, tokens);
        var (b0, b1, b2, b3) = Four(source, tokens + 4);
        var (c0, c1, c2, c3) = Four(source, tokens + 8);
        var (d0, d1, d2, d3) = Four(source, tokens + 12);
        Spread(a0, b0, c0, d0, target, 4 * targetRow);
        Spread(a1, b1, c1, d1, target + targetRow, 4 * targetRow);
        Spread(a2, b2, c2, d2, target + (2 * targetRow), 4 * targetRow);
        Spread(a3, b3, c3, d3, target + (3 * targetRow), 4 * targetRow);
    }

    /// <summary>Four tokens: in each 128 bits of the n-th result their channels n, n + 4, n + 8, n + 12.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float>, Vector512<float>, Vector512<float>, Vector512<float>) Four(float* source, int* tokens)
    {
        var first = Vector512.Load(source + tokens[0]);
        var second = Vector512.Load(source + tokens[1]);
        var third = Vector512.Load(source + tokens[2]);
        var fourth = Vector512.Load(source + tokens[3]);
        var lowerPairs = Avx512F.UnpackLow(first, second).AsDouble();
        var upperPairs = Avx512F.UnpackHigh(first, second).AsDouble();
        var lowerOthers = Avx512F.UnpackLow(third, fourth).AsDouble();
        var upperOthers = Avx512F.UnpackHigh(third, fourth).AsDouble();
        return (Avx512F.UnpackLow(lowerPairs, lowerOthers).AsSingle(), Avx512F.UnpackHigh(lowerPairs, lowerOthers).AsSingle(),
            Avx512F.UnpackLow(upperPairs, upperOthers).AsSingle(), Avx512F.UnpackHigh(upperPairs, upperOthers).AsSingle());
    }

    /// <summary>A 4 × 4 transpose of 128 bits, each row of the result stored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Spread(
        Vector512<float> first, Vector512<float> second, Vector512<float> third, Vector512<float> fourth, float* target, int step)
    {
        const byte Even = 0b10_00_10_00, Odd = 0b11_01_11_01;
        var evenFormer = Avx512F.Shuffle4x128(first, second, Even);
        var oddFormer = Avx512F.Shuffle4x128(first, second, Odd);
        var evenLatter = Avx512F.Shuffle4x128(third, fourth, Even);
        var oddLatter = Avx512F.Shuffle4x128(third, fourth, Odd);
        Avx512F.Shuffle4x128(evenFormer, evenLatter, Even).Store(target);
        Avx512F.Shuffle4x128(oddFormer, oddLatter, Even).Store(target + step);
        Avx512F.Shuffle4x128(evenFormer, evenLatter, Odd).Store(target + (2 * step));
        Avx512F.Shuffle4x128(oddFormer, oddLatter, Odd).Store(target + (3 * step));
    }

    /// <summary>8 × 8, in the same way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Eight(float* source, int* tokens, float* target, int targetRow)
    {
        var (a0, a1, a2, a3) = FourOfEight(source, tokens);
        var (b0, b1, b2, b3) = FourOfEight(source, tokens + 4);
        Halves(a0, b0, target, 4 * targetRow);
        Halves(a1, b1, target + targetRow, 4 * targetRow);
        Halves(a2, b2, target + (2 * targetRow), 4 * targetRow);
        Halves(a3, b3, target + (3 * targetRow), 4 * targetRow);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float>, Vector256<float>, Vector256<float>, Vector256<float>) FourOfEight(float* source, int* tokens)
    {
        var first = Vector256.Load(source + tokens[0]);
        var second = Vector256.Load(source + tokens[1]);
        var third = Vector256.Load(source + tokens[2]);
        var fourth = Vector256.Load(source + tokens[3]);
        var lowerPairs = Avx.UnpackLow(first, second).AsDouble();
        var upperPairs = Avx.UnpackHigh(first, second).AsDouble();
        var lowerOthers = Avx.UnpackLow(third, fourth).AsDouble();
        var upperOthers = Avx.UnpackHigh(third, fourth).AsDouble();
        return (Avx.UnpackLow(lowerPairs, lowerOthers).AsSingle(), Avx.UnpackHigh(lowerPairs, lowerOthers).AsSingle(),
            Avx.UnpackLow(upperPairs, upperOthers).AsSingle(), Avx.UnpackHigh(upperPairs, upperOthers).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Halves(Vector256<float> first, Vector256<float> second, float* target, int step)
    {
        Avx.Permute2x128(first, second, 0x20).Store(target);
        Avx.Permute2x128(first, second, 0x31).Store(target + step);
    }
}
