using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// The gradient of <see cref="WindowForward{TStored, T, TStorage}"/>, in the layout of its input. Weights are computed again
/// from the kept maxima and sums, and never exist for more than a block of queries and keys:
/// <code>
/// dV = Pᵀ·dO    dP = dO·Vᵀ    dS = P ∘ (dP − D),  D_i = Σ_c dO_ic · O_ic    dQ = dS·K / √d    dK = dSᵀ·Q / √d
/// </code>
/// An item is one head of a part of the windows: the biases' slopes of each part are summed apart.
/// </summary>
internal readonly unsafe struct WindowBackward<T>(
    AttentionMap map, T* projected, T* runs, int biasWindow, T* output, T* statistics, T* slope, T* projectedSlope, T* runsSlope,
    long parts) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private const int KeyBlock = 256;

    private const int QueryBlock = 64;

    /// <summary>Into how many parts the windows of all images are divided: by their number alone.</summary>
    public static long Parts(in AttentionMap map) => Math.Clamp(map.Batch * map.Windows, 1, 64);

    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var work = Work.Take(map, runs, biasWindow, TLanes.Count);
        var windows = map.Batch * map.Windows;
        for (var item = begin; item < end; item++)
        {
            var (part, head) = Math.DivRem(item, map.Heads);
            var headSlopes = runsSlope == null ? null : runsSlope + item * BiasRuns.Offsets(biasWindow);
            if (headSlopes != null)
            {
                new Span<T>(headSlopes, (int)BiasRuns.Offsets(biasWindow)).Clear();
                new Span<T>(work.Panel, work.PanelLength).Clear();
            }
            var whole = default(WindowTokens);
            for (var index = windows * part / parts; index < windows * (part + 1) / parts; index++)
            {
                var (image, window) = Math.DivRem(index, map.Windows);
                var tokens = map.WindowOf(image, window);
                // Slopes of whole windows are added place by place, and by offset only once.
                var isWhole = tokens.Count == map.Longest && map.Longest <= KeyBlock;
                whole = isWhole ? tokens : whole;
                Window<TLanes, TVector>(work, tokens, (int)head, headSlopes, isWhole);
            }
            if (headSlopes != null && whole.Count > 0)
            {
                var rowLength = WindowStaging.Padded(whole.Count, TLanes.Count);
                for (var query = 0; query < whole.Count; query++)
                {
                    BiasRuns.Scatter<TLanes, TVector, T>(
                        work.Panel + (long)query * rowLength, biasWindow, whole, query, 0, whole.Count, headSlopes);
                }
            }
        }
    }

    private void Window<TLanes, TVector>(in Work work, in WindowTokens tokens, int head, T* headSlopes, bool inPanel)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (width, stride) = (map.HeadWidth, 3L * map.Channels);
        var factor = T.One / T.Sqrt(T.CreateTruncating(width));
        for (var begin = 0; begin < tokens.Count; begin += KeyBlock)
        {
            var end = Math.Min(tokens.Count, begin + KeyBlock);
            var (keys, rowLength) = (end - begin, WindowStaging.Padded(end - begin, TLanes.Count));
            var (vectors, rowVectors) = (work.Width / TLanes.Count, rowLength / TLanes.Count);
            Stage<TLanes, TVector>(projected + map.Offset(2, head), stride, tokens, begin, end, T.One, work.Keys, work.Width);
            WindowStaging.Transpose(work.Keys, work.Width, keys, width, work.TurnedValues, rowLength);
            Stage<TLanes, TVector>(projected + map.Offset(1, head), stride, tokens, begin, end, T.One, work.Keys, work.Width);
            WindowStaging.Transpose(work.Keys, work.Width, keys, width, work.TurnedKeys, rowLength);
            for (var first = 0; first < tokens.Count; first += QueryBlock)
            {
                var rows = Math.Min(QueryBlock, tokens.Count - first);
                Stage<TLanes, TVector>(
                    projected + map.Offset(0, head), stride, tokens, first, first + rows, factor, work.Queries, work.Width);
                StageSlopes<TLanes, TVector>(work, tokens, head, first, rows);
                var biases = work.Biases.Of<TLanes, TVector>(tokens, head, first, rows, begin, end, out var biasRow);
                BlockProduct.Run<TLanes, TVector, T>(
                    work.Queries, work.Width, 1, work.TurnedKeys, rowLength, work.Scores, rowLength, rows, rowVectors, width,
                    biases, biasRow);
                BlockProduct.Run<TLanes, TVector, T>(
                    work.Slopes, work.Width, 1, work.TurnedValues, rowLength, work.ScoreSlopes, rowLength, rows, rowVectors, width,
                    null, 0);
                Weigh<TLanes, TVector>(work, tokens, head, first, rows, begin, end, rowLength, headSlopes, inPanel);
                BlockProduct.Run<TLanes, TVector, T>(
                    work.Scores, 1, rowLength, work.Slopes, work.Width, work.ValueSlopes, work.Width, keys, vectors, rows,
                    first > 0 ? work.ValueSlopes : null, work.Width);
                BlockProduct.Run<TLanes, TVector, T>(
                    work.ScoreSlopes, 1, rowLength, work.Queries, work.Width, work.KeySlopes, work.Width, keys, vectors, rows,
                    first > 0 ? work.KeySlopes : null, work.Width);
                var querySlopes = work.QuerySlopes + (long)first * work.Width;
                BlockProduct.Run<TLanes, TVector, T>(
                    work.ScoreSlopes, rowLength, 1, work.Keys, work.Width, querySlopes, work.Width, rows, vectors, keys,
                    begin > 0 ? querySlopes : null, work.Width);
            }
            Write<TLanes, TVector>(work.KeySlopes, work.Width, tokens, begin, end, T.One, projectedSlope + map.Offset(1, head));
            Write<TLanes, TVector>(work.ValueSlopes, work.Width, tokens, begin, end, T.One, projectedSlope + map.Offset(2, head));
        }
        Write<TLanes, TVector>(work.QuerySlopes, work.Width, tokens, 0, tokens.Count, factor, projectedSlope + map.Offset(0, head));
    }

    /// <summary>Scores to weights, and slopes by weights to slopes by scores.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Weigh<TLanes, TVector>(
        in Work work, in WindowTokens tokens, int head, int first, int rows, int begin, int end, int rowLength, T* headSlopes,
        bool inPanel)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (y, x) = Math.DivRem(first, tokens.Width);
        for (var row = 0; row < rows; row++)
        {
            var statistic = statistics + ((tokens.First + (long)y * tokens.Stride + x) * map.Heads + head) * 2;
            var largest = TLanes.Broadcast(statistic[0]);
            var inverse = TLanes.Broadcast(statistic[1]);
            var scores = work.Scores + (long)row * rowLength;
            var slopes = work.ScoreSlopes + (long)row * rowLength;
            var sum = TLanes.Zero;
            for (var key = 0; key < rowLength; key += TLanes.Count)
            {
                var score = TLanes.Load(scores + key);
                var weight = TLanes.Multiply(Exponential.Of<TLanes, TVector, T>(TLanes.Subtract(score, largest)), inverse);
                TLanes.Store(weight, scores + key);
                sum = TLanes.MultiplyAdd(weight, TLanes.Load(slopes + key), sum);
            }
            // Where all keys are here, D = Σ_j P_ij · dP_ij: exact for a single key.
            var mean = TLanes.Broadcast(end - begin == tokens.Count ? TLanes.Sum(sum) : work.Means[row]);
            for (var key = 0; key < rowLength; key += TLanes.Count)
            {
                var difference = TLanes.Subtract(TLanes.Load(slopes + key), mean);
                TLanes.Store(TLanes.Multiply(TLanes.Load(scores + key), difference), slopes + key);
            }
            if (headSlopes != null && inPanel)
            {
                var panel = work.Panel + (long)(first + row) * rowLength;
                for (var key = 0; key < rowLength; key += TLanes.Count)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(panel + key), TLanes.Load(slopes + key)), panel + key);
                }
            }
            else if (headSlopes != null)
            {
                BiasRuns.Scatter<TLanes, TVector, T>(slopes, biasWindow, tokens, first + row, begin, end, headSlopes);
            }
            if (++x == tokens.Width)
            {
                (y, x) = (y + 1, 0);
            }
        }
    }

    /// <summary>The slopes by some queries' results and, for several blocks of keys, <c>D</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void StageSlopes<TLanes, TVector>(in Work work, in WindowTokens tokens, int head, int first, int rows)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var offset = (long)head * map.HeadWidth;
        Stage<TLanes, TVector>(slope + offset, map.Channels, tokens, first, first + rows, T.One, work.Slopes, work.Width);
        if (tokens.Count <= KeyBlock)
        {
            return;
        }
        Stage<TLanes, TVector>(output + offset, map.Channels, tokens, first, first + rows, T.One, work.Results, work.Width);
        for (var row = 0; row < rows; row++)
        {
            var sum = TLanes.Zero;
            for (var channel = (long)row * work.Width; channel < (row + 1L) * work.Width; channel += TLanes.Count)
            {
                sum = TLanes.MultiplyAdd(TLanes.Load(work.Results + channel), TLanes.Load(work.Slopes + channel), sum);
            }
            work.Means[row] = TLanes.Sum(sum);
        }
    }

    private void Stage<TLanes, TVector>(
        T* source, long stride, in WindowTokens tokens, int begin, int end, T factor, T* target, int targetRow)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct =>
        WindowStaging.Rows<T, T, SameStorage<T>, TLanes, TVector>(
            source, stride, tokens, begin, end, map.HeadWidth, factor, target, targetRow);

    /// <summary>Rows in scratch memory, times a factor, to the tokens of a map of <c>3C</c> channels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Write<TLanes, TVector>(T* source, int sourceRow, in WindowTokens tokens, int begin, int end, T factor, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (width, factors) = (map.HeadWidth, TLanes.Broadcast(factor));
        var (y, x) = Math.DivRem(begin, tokens.Width);
        for (var token = begin; token < end; token++)
        {
            var to = target + (tokens.First + (long)y * tokens.Stride + x) * 3 * map.Channels;
            var channel = 0;
            for (; channel + TLanes.Count <= width; channel += TLanes.Count)
            {
                TLanes.Store(TLanes.Multiply(TLanes.Load(source + channel), factors), to + channel);
            }
            for (; channel < width; channel++)
            {
                to[channel] = source[channel] * factor;
            }
            source += sourceRow;
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
        public int PanelLength;
        public T* Queries;
        public T* Slopes;
        public T* Results;
        public T* Keys;
        public T* TurnedKeys;
        public T* TurnedValues;
        public T* Scores;
        public T* ScoreSlopes;
        public T* QuerySlopes;
        public T* KeySlopes;
        public T* ValueSlopes;
        public T* Panel;
        public BiasBlock<T> Biases;
        public T* Means;

        public static Work Take(in AttentionMap map, T* runs, int biasWindow, int lanes)
        {
            var keys = Math.Min(KeyBlock, map.Longest);
            var rows = Math.Min(QueryBlock, map.Longest);
            var (rowLength, width) = (WindowStaging.Padded(keys, lanes), WindowStaging.Padded(map.HeadWidth, lanes));
            long queryRows = (long)rows * width, keyRows = (long)keys * width, turned = (long)rowLength * map.HeadWidth;
            long scores = (long)rows * rowLength, allRows = (long)map.Longest * width;
            var panel = map.Longest <= KeyBlock ? map.Longest * rowLength : 0;
            // An item has one head.
            var slots = Math.Min(1, BiasBlock<T>.Slots(map.Longest, keys, map.Heads, lanes));
            var scratch = Scratch.Begin(
                (3 * Scratch.Size<T>(queryRows)) + (3 * Scratch.Size<T>(keyRows)) + (2 * Scratch.Size<T>(turned))
                + (2 * Scratch.Size<T>(scores)) + Scratch.Size<T>(allRows) + Scratch.Size<T>(panel)
                + BiasBlock<T>.Bytes(keys, rows, slots, lanes) + Scratch.Size<T>(rows));
            return new Work
            {
                Width = width,
                PanelLength = panel,
                Queries = scratch.Take<T>(queryRows),
                Slopes = scratch.Take<T>(queryRows),
                Results = scratch.Take<T>(queryRows),
                Keys = scratch.Take<T>(keyRows),
                KeySlopes = scratch.Take<T>(keyRows),
                ValueSlopes = scratch.Take<T>(keyRows),
                TurnedKeys = scratch.Take<T>(turned),
                TurnedValues = scratch.Take<T>(turned),
                Scores = scratch.Take<T>(scores),
                ScoreSlopes = scratch.Take<T>(scores),
                QuerySlopes = scratch.Take<T>(allRows),
                Panel = scratch.Take<T>(panel),
                Biases = BiasBlock<T>.Take(scratch, runs, biasWindow, map.Rows.Longest, map.Columns.Longest, keys, rows, slots, lanes),
                Means = scratch.Take<T>(rows),
            };
        }
    }
}
