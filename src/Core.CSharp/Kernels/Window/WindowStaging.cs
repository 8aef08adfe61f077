using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>Copies of one head's tokens of a window between a map and scratch memory, where they stand side by side.</summary>
internal static unsafe class WindowStaging
{
    /// <summary>The smallest number of whole vectors that holds <paramref name="count"/> elements, in elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Padded(int count, int lanes) => (count + lanes - 1) / lanes * lanes;

    /// <summary>
    /// Tokens <paramref name="begin"/> to <paramref name="end"/> as rows of <paramref name="targetRow"/> elements, times
    /// <paramref name="factor"/>, with zeros behind the head's width.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows<TStored, T, TStorage, TLanes, TVector>(
        TStored* source, long tokenStride, in WindowTokens window, int begin, int end, int width, T factor, T* target, int targetRow)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var factors = TLanes.Broadcast(factor);
        var (y, x) = Math.DivRem(begin, window.Width);
        for (var token = begin; token < end; token++)
        {
            var from = source + (window.First + (long)y * window.Stride + x) * tokenStride;
            var channel = 0;
            if (typeof(TStored) == typeof(T))
            {
                for (; channel + TLanes.Count <= width; channel += TLanes.Count)
                {
                    TLanes.Store(TLanes.Multiply(TLanes.Load((T*)from + channel), factors), target + channel);
                }
                for (; channel < width; channel++)
                {
                    target[channel] = ((T*)from)[channel] * factor;
                }
            }
            else
            {
                TStorage.Read(from, target, width);
                for (; channel < width; channel++)
                {
                    target[channel] *= factor;
                }
            }
            for (; channel < targetRow; channel++)
            {
                target[channel] = T.Zero;
            }
            target += targetRow;
            if (++x == window.Width)
            {
                (y, x) = (y + 1, 0);
            }
        }
    }

    /// <summary>
    /// Rows that stand in scratch memory, turned over: <c>target[c, t] = source[t, c]</c>, with zeros behind the last token.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose<T>(T* source, int sourceRow, int tokens, int width, T* target, int targetRow)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var token = 0;
        for (; token + 4 <= tokens; token += 4)
        {
            var from = source + (long)token * sourceRow;
            var to = target + token;
            for (var channel = 0; channel < width; channel++)
            {
                to[0] = from[channel];
                to[1] = from[channel + sourceRow];
                to[2] = from[channel + 2 * sourceRow];
                to[3] = from[channel + 3 * sourceRow];
                to += targetRow;
            }
        }
        for (; token < tokens; token++)
        {
            for (var channel = 0; channel < width; channel++)
            {
                target[(long)channel * targetRow + token] = source[(long)token * sourceRow + channel];
            }
        }
        for (; token < targetRow; token++)
        {
            for (var channel = 0; channel < width; channel++)
            {
                target[(long)channel * targetRow + token] = T.Zero;
            }
        }
    }
}
