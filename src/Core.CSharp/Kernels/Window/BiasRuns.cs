using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// Swin's bias by offset, laid out so that the keys of one row of a window are a run of it:
/// <c>runs[n, y' − y + w − 1, x' − x + w − 1] = table[(y − y' + w − 1)·(2w − 1) + (x − x' + w − 1), n]</c>.
/// </summary>
internal static unsafe class BiasRuns
{
    /// <summary>Elements of the runs of all heads, and as many behind them as the widest vector may read too far.</summary>
    public static long Length(int window, int heads) => (long)heads * Offsets(window) + 64;

    /// <summary>Offsets of a window, <c>(2w − 1)²</c>.</summary>
    public static long Offsets(int window) => (2L * window - 1) * (2L * window - 1);

    /// <summary>From the parameter, <c>[(2w − 1)², h]</c>.</summary>
    public static void FromTable<TStored, T, TStorage>(TStored* table, int window, int heads, T* runs)
        where TStored : unmanaged
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStorage : struct, IStorage<TStored, T>
    {
        var offsets = Offsets(window);
        var row = stackalloc T[1];
        for (long offset = 0; offset < offsets; offset++)
        {
            for (var head = 0; head < heads; head++)
            {
                TStorage.Read(table + offset * heads + head, row, 1);
                // Both signs turn round: the last offset comes first.
                runs[head * offsets + (offsets - 1 - offset)] = *row;
            }
        }
        new Span<T>(runs + heads * offsets, 64).Clear();
    }

    /// <summary>Adds parts of a gradient in the layout of runs, <c>[parts, h, (2w − 1)²]</c>, in order, into the parameter's.</summary>
    public static void ToTable<T>(T* parts, int count, int window, int heads, T* table)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var offsets = Offsets(window);
        for (var head = 0; head < heads; head++)
        {
            for (long offset = 0; offset < offsets; offset++)
            {
                var sum = T.Zero;
                for (var part = 0; part < count; part++)
                {
                    sum += parts[((long)part * heads + head) * offsets + offset];
                }
                table[(offsets - 1 - offset) * heads + head] = sum;
            }
        }
    }

    /// <summary>
    /// The biases of one query with the keys <paramref name="begin"/> to <paramref name="end"/>, and −∞ behind them up to a
    /// whole vector. Writes a vector more than that.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Gather<TLanes, TVector, T>(
        T* runs, int window, in WindowTokens tokens, int query, int begin, int end, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var offsets = 2L * window - 1;
        var (y, x) = Math.DivRem(query, tokens.Width);
        var (row, column) = Math.DivRem(begin, tokens.Width);
        // What a store writes too far, the next one puts right.
        for (var key = begin; key < end; row++)
        {
            var run = runs + (row - y + window - 1) * offsets + (column - x + window - 1);
            var length = Math.Min(tokens.Width - column, end - key);
            for (var index = 0; index < length; index += TLanes.Count)
            {
                TLanes.Store(TLanes.Load(run + index), target + index);
            }
            target += length;
            key += length;
            column = 0;
        }
        TLanes.Store(TLanes.Broadcast(T.NegativeInfinity), target);
    }

    /// <summary>Adds a query's slopes by its scores with the keys <paramref name="begin"/> to <paramref name="end"/> to the runs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scatter<TLanes, TVector, T>(
        T* slopes, int window, in WindowTokens tokens, int query, int begin, int end, T* runs)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var offsets = 2L * window - 1;
        var (y, x) = Math.DivRem(query, tokens.Width);
        var (row, column) = Math.DivRem(begin, tokens.Width);
        for (var key = begin; key < end; row++)
        {
            var run = runs + (row - y + window - 1) * offsets + (column - x + window - 1);
            var length = Math.Min(tokens.Width - column, end - key);
            var index = 0;
            for (; index + TLanes.Count <= length; index += TLanes.Count)
            {
                TLanes.Store(TLanes.Add(TLanes.Load(run + index), TLanes.Load(slopes + index)), run + index);
            }
            for (; index < length; index++)
            {
                run[index] += slopes[index];
            }
            slopes += length;
            key += length;
            column = 0;
        }
    }
}
