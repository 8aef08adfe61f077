using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// <c>softmax(q·kᵀ/√d + bias) · v</c> in every window and head, straight from the projected map <c>[B, H, W, 3C]</c> into
/// <c>[B, H, W, C]</c>. An item is a window's head, or a block of its queries where the window is large.
/// </summary>
/// <remarks>
/// Keys come in blocks, and a row's maximum, sum and result are corrected after each (arXiv 2205.14135, algorithm 1), so
/// that scores of a window never exist all at once; a window of up to <see cref="KeyBlock"/> tokens is one block, and
/// nothing is corrected.
/// </remarks>
internal readonly unsafe struct WindowForward<TStored, T, TStorage>(
    AttentionMap map, TStored* projected, T* runs, int biasWindow, TStored* output, T* statistics) : IKernel<T>
    where TStored : unmanaged
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
    where TStorage : struct, IStorage<TStored, T>
{
    /// <summary>Keys of a block: its scores, keys and values stay in the second cache.</summary>
    public const int KeyBlock = 256;

    private const int QueryBlock = 64;

    // A block of keys is brought into place once for so many queries.
    private const int QueriesOfItem = 256;

    /// <summary>How many items a map has.</summary>
    public static long Items(in AttentionMap map) => map.Batch * map.Windows * map.Heads * ItemsOfWindow(map);

    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var keys = Math.Min(KeyBlock, map.Longest);
        var (rowLength, width) = (WindowStaging.Padded(keys, TLanes.Count), WindowStaging.Padded(map.HeadWidth, TLanes.Count));
        var queries = Math.Min(map.Longest, ItemsOfWindow(map) == 1 ? QueryBlock : QueriesOfItem);
        var slots = BiasBlock<T>.Slots(map.Longest, keys, map.Heads, TLanes.Count);
        var scratch = Scratch.Begin(
            Scratch.Size<T>((long)queries * width) * 2
            + Scratch.Size<T>((long)keys * width) * 2
            + Scratch.Size<T>((long)rowLength * map.HeadWidth)
            + Scratch.Size<T>((long)Math.Min(queries, QueryBlock) * rowLength)
            + BiasBlock<T>.Bytes(keys, Math.Min(queries, QueryBlock), slots, TLanes.Count)
            + Scratch.Size<T>(queries) * 2);
        var work = new Work
        {
            Width = width,
            RowLength = rowLength,
            Queries = scratch.Take<T>((long)queries * width),
            Results = scratch.Take<T>((long)queries * width),
            Keys = scratch.Take<T>((long)keys * width),
            Values = scratch.Take<T>((long)keys * width),
            TurnedKeys = scratch.Take<T>((long)rowLength * map.HeadWidth),
            Scores = scratch.Take<T>((long)Math.Min(queries, QueryBlock) * rowLength),
            Biases = BiasBlock<T>.Take(
                scratch, runs, biasWindow, map.Rows.Longest, map.Columns.Longest, keys, Math.Min(queries, QueryBlock), slots, TLanes.Count),
            Largest = scratch.Take<T>(queries),
            Sums = scratch.Take<T>(queries),
        };
        var parts = ItemsOfWindow(map);
        for (var item = begin; item < end; item++)
        {
            var (rest, part) = Math.DivRem(item, parts);
            long head, image, window;
            if (slots == map.Heads || runs == null)
            {
                // The heads of a token stand side by side in memory.
                (rest, head) = Math.DivRem(rest, map.Heads);
                (image, window) = Math.DivRem(rest, map.Windows);
            }
            else
            {
                // A thread's piece has one head, whose biases are laid out once.
                (rest, window) = Math.DivRem(rest, map.Windows);
                (head, image) = Math.DivRem(rest, map.Batch);
            }
            var tokens = map.WindowOf(image, window);
            var step = parts == 1 ? QueryBlock : QueriesOfItem;
            var first = (int)part * QueriesOfItem;
            var last = parts == 1 ? tokens.Count : Math.Min(tokens.Count, first + QueriesOfItem);
            for (var query = first; query < last; query += step)
            {
                Attend<TLanes, TVector>(
                    work, tokens, (int)head, query, Math.Min(last, query + step), staged: query > first && parts == 1);
            }
        }
    }

    private static long ItemsOfWindow(in AttentionMap map) =>
        map.Longest <= KeyBlock ? 1 : (map.Longest + QueriesOfItem - 1) / QueriesOfItem;

    /// <summary>The results of some queries of a window's head.</summary>
    private void Attend<TLanes, TVector>(in Work work, in WindowTokens tokens, int head, int first, int last, bool staged)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (width, count) = (map.HeadWidth, last - first);
        var stride = 3L * map.Channels;
        WindowStaging.Rows<TStored, T, TStorage, TLanes, TVector>(
            projected + map.Offset(0, head), stride, tokens, first, last, width,
            T.One / T.Sqrt(T.CreateTruncating(width)), work.Queries, work.Width);
        for (var begin = 0; begin < tokens.Count; begin += KeyBlock)
        {
            var end = Math.Min(tokens.Count, begin + KeyBlock);
            var (keys, rowLength) = (end - begin, WindowStaging.Padded(end - begin, TLanes.Count));
            if (!staged)
            {
                WindowStaging.Rows<TStored, T, TStorage, TLanes, TVector>(
                    projected + map.Offset(1, head), stride, tokens, begin, end, width, T.One, work.Keys, work.Width);
                WindowStaging.Transpose(work.Keys, work.Width, keys, width, work.TurnedKeys, rowLength);
                WindowStaging.Rows<TStored, T, TStorage, TLanes, TVector>(
                    projected + map.Offset(2, head), stride, tokens, begin, end, width, T.One, work.Values, work.Width);
            }
            for (var query = 0; query < count; query += QueryBlock)
            {
                var rows = Math.Min(QueryBlock, count - query);
                var biases = work.Biases.Of<TLanes, TVector>(tokens, head, first + query, rows, begin, end, out var biasRow);
                BlockProduct.Run<TLanes, TVector, T>(
                    work.Queries + (long)query * work.Width, work.Width, 1, work.TurnedKeys, rowLength,
                    work.Scores, rowLength, rows, rowLength / TLanes.Count, width, biases, biasRow);
                Weigh<TLanes, TVector>(work, query, rows, begin == 0, rowLength);
                var results = work.Results + (long)query * work.Width;
                BlockProduct.Run<TLanes, TVector, T>(
                    work.Scores, rowLength, 1, work.Values, work.Width,
                    results, work.Width, rows, work.Width / TLanes.Count, keys, begin > 0 ? results : null, work.Width);
            }
        }
        Finish<TLanes, TVector>(work, tokens, head, first, last);
    }

    /// <summary>Scores, biases added, to <c>e^(score − largest)</c>; sums, maxima and earlier results follow.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Weigh<TLanes, TVector>(in Work work, int query, int rows, bool isFirst, int rowLength)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var row = 0; row < rows; row++)
        {
            var scores = work.Scores + (long)row * rowLength;
            var largest = TLanes.Load(scores);
            for (var key = TLanes.Count; key < rowLength; key += TLanes.Count)
            {
                largest = TLanes.Max(largest, TLanes.Load(scores + key));
            }
            var top = TLanes.Largest(largest);
            var before = T.Zero;
            if (!isFirst)
            {
                top = T.MaxNative(top, work.Largest[query + row]);
                before = Rescale<TLanes, TVector>(work, query + row, top);
            }
            var tops = TLanes.Broadcast(top);
            var sum = TLanes.Zero;
            for (var key = 0; key < rowLength; key += TLanes.Count)
            {
                var weight = Exponential.Of<TLanes, TVector, T>(TLanes.Subtract(TLanes.Load(scores + key), tops));
                TLanes.Store(weight, scores + key);
                sum = TLanes.Add(sum, weight);
            }
            work.Largest[query + row] = top;
            work.Sums[query + row] = before + TLanes.Sum(sum);
        }
    }

    /// <summary>A row's sum and results when its maximum has become <paramref name="top"/>.</summary>
    private static T Rescale<TLanes, TVector>(in Work work, int row, T top)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var factors = Exponential.Of<TLanes, TVector, T>(TLanes.Broadcast(work.Largest[row] - top));
        var results = work.Results + (long)row * work.Width;
        for (var channel = 0; channel < work.Width; channel += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TLanes.Load(results + channel), factors), results + channel);
        }
        return work.Sums[row] * TLanes.Largest(factors);
    }

    /// <summary>Divides by the sums, writes the results and what the backward pass needs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Finish<TLanes, TVector>(in Work work, in WindowTokens tokens, int head, int first, int last)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var width = map.HeadWidth;
        var (y, x) = Math.DivRem(first, tokens.Width);
        for (var row = 0; row < last - first; row++)
        {
            var token = tokens.First + (long)y * tokens.Stride + x;
            var results = work.Results + (long)row * work.Width;
            var target = output + token * map.Channels + (long)head * width;
            var inverse = T.One / work.Sums[row];
            var inverses = TLanes.Broadcast(inverse);
            var channel = 0;
            if (typeof(TStored) == typeof(T))
            {
                for (; channel + TLanes.Count <= width; channel += TLanes.Count)
                {
                    TLanes.Store(TLanes.Multiply(TLanes.Load(results + channel), inverses), (T*)target + channel);
                }
                for (; channel < width; channel++)
                {
                    ((T*)target)[channel] = results[channel] * inverse;
                }
            }
            else
            {
                for (; channel < work.Width; channel += TLanes.Count)
                {
                    TLanes.Store(TLanes.Multiply(TLanes.Load(results + channel), inverses), results + channel);
                }
                TStorage.Write(results, target, width);
            }
            if (statistics != null)
            {
                var statistic = statistics + (token * map.Heads + head) * 2;
                statistic[0] = work.Largest[row];
                statistic[1] = inverse;
            }
            if (++x == tokens.Width)
            {
                (y, x) = (y + 1, 0);
            }
        }
    }

    /// <summary>A thread's scratch memory. Rows are whole vectors long.</summary>
    private struct Work
    {
        public int Width;
        public int RowLength;
        public T* Queries;
        public T* Results;
        public T* Keys;
        public T* Values;
        public T* TurnedKeys;
        public T* Scores;
        public BiasBlock<T> Biases;
        public T* Largest;
        public T* Sums;
    }
}
