using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// The gradient of <see cref="NeighbourhoodForward{T}"/>, all rows of one group of sequences in one item. Weights are
/// computed again for four queries of each lane at a time:
/// <code>
/// dP_ij = Σ_c dO_ic · V_jc    dS = P ∘ (dP − Σ_j P ∘ dP)    dQ = dS·K / √d    dK = dSᵀ·Q / √d    dV = Pᵀ·dO
/// </code>
/// Slopes of keys and values gather in rows like the window's, tokens beyond the ends of a sequence by themselves; a row
/// that no later window holds has these added to the tokens that they stand for, and is written.
/// </summary>
/// <param name="shape">The sizes.</param>
/// <param name="projected">Queries, keys and values, <c>[B, H, W, 3, h, d]</c>.</param>
/// <param name="biases">As <see cref="NeighbourhoodBiases"/> lays them out, or none.</param>
/// <param name="slope">The slopes of the output, <c>[B, H, W, h, d]</c>.</param>
/// <param name="projectedSlope">The slopes of the projected map: every element is written; or none.</param>
/// <param name="biasSlope">
/// Those of the biases by offset, <c>[groups, B, dilation, sequences of a group, 2k − 1, 2k − 1]</c>, or none.
/// </param>
internal readonly unsafe struct NeighbourhoodBackward<T>(
    NeighbourhoodShape shape, T* projected, T* biases, T* slope, T* projectedSlope, T* biasSlope) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>How many items there are: groups, images and residues of rows, the last quickest.</summary>
    public static long Items(in NeighbourhoodShape shape) => (long)shape.Groups * shape.Batch * shape.Dilation;

    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var work = NeighbourhoodBackwardWork<T>.Take(shape, hasBiases: biasSlope != null);
        for (var item = begin; item < end; item++)
        {
            var (rest, residue) = Math.DivRem(item, shape.Dilation);
            var (group, image) = Math.DivRem(rest, shape.Batch);
            work.Tokens.Find(shape, (int)group, parts: 3);
            work.OutputTokens.Find(shape, (int)group, parts: 1);
            if (biasSlope != null)
            {
                new Span<T>(work.BiasSlopes, shape.BiasSize).Clear();
            }
            Map<TLanes, TVector>(work, (int)group, image, (int)residue);
            if (biasSlope != null)
            {
                NeighbourhoodBiases.AddUp(
                    shape, (int)group, work.BiasSlopes,
                    biasSlope + (item * shape.SequencesPerGroup * shape.Offsets * shape.Offsets));
            }
        }
    }

    private void Map<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, long image, int residue)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var window = shape.Window;
        var length = shape.LengthOf(shape.Height, residue);
        var (staged, written) = (0, 0);
        for (var row = 0; row < length; row++)
        {
            var first = shape.WindowStart(row, length);
            for (; written < first; written++)
            {
                WriteRow<TLanes, TVector>(work, group, image, residue, written);
            }
            for (; staged < first + window; staged++)
            {
                StageKeys<TLanes, TVector>(work, group, Place(image, residue, staged), staged % window);
            }
            for (var t = 0; t < window; t++)
            {
                work.Point(shape, t, (first + t) % window);
            }
            StageQueries<TLanes, TVector>(work, group, Place(image, residue, row));
            var bias = (long)(first - row + window - 1) * window * shape.Segment * shape.Lanes;
            for (var place = 0; place < shape.Segment; place += NeighbourhoodShape.Block)
            {
                Weigh<TLanes, TVector>(work, group, place, bias + (place * TLanes.Count));
                Spread<TLanes, TVector>(work, group, place, Place(image, residue, row));
            }
        }
        for (; written < length; written++)
        {
            WriteRow<TLanes, TVector>(work, group, image, residue, written);
        }
    }

    /// <summary>The first token of a row, counted from the batch's first.</summary>
    private long Place(long image, int residue, int row) => shape.RowAt(image, residue + (row * shape.Dilation));

    private void StageKeys<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, long place, int slot)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var keys = projected + (((place * 3) + 1) * shape.Channels);
        var values = keys + shape.Channels;
        NeighbourhoodStaging.Plane<TLanes, TVector, T>(
            keys, work.Tokens.Keys, shape.Reach, shape.Depth, T.One, work.TurnedKeys + ((long)slot * shape.KeyPlane));
        NeighbourhoodStaging.Plane<TLanes, TVector, T>(
            values, work.Tokens.Keys, shape.Reach, shape.Depth, T.One, work.TurnedValues + ((long)slot * shape.KeyPlane));
        NeighbourhoodStaging.Rows<TLanes, TVector, T>(
            shape, keys, work.Tokens.Rows, shape.SequencesOf(group), T.One, work.Keys + ((long)slot * shape.RowSize));
        new Span<T>(work.KeySlopes + ((long)slot * shape.RowSize), shape.RowSize).Clear();
        new Span<T>(work.ValueSlopes + ((long)slot * shape.RowSize), shape.RowSize).Clear();
    }

    private void StageQueries<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, long place)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var factor = Factor();
        var before = shape.Window / 2 * shape.Lanes;
        var queries = projected + (place * 3 * shape.Channels);
        var slopes = slope + (place * shape.Channels);
        NeighbourhoodStaging.Plane<TLanes, TVector, T>(
            queries, work.Tokens.Keys + before, shape.Segment, shape.Depth, factor, work.TurnedQueries);
        NeighbourhoodStaging.Rows<TLanes, TVector, T>(
            shape, queries, work.Tokens.Rows, shape.SequencesOf(group), factor, work.Queries);
        NeighbourhoodStaging.Plane<TLanes, TVector, T>(
            slopes, work.OutputTokens.Keys + before, shape.Segment, shape.Depth, T.One, work.TurnedSlopes);
        NeighbourhoodStaging.Rows<TLanes, TVector, T>(
            shape, slopes, work.OutputTokens.Rows, shape.SequencesOf(group), T.One, work.Slopes);
    }

    private T Factor() => T.One / T.Sqrt(T.CreateTruncating(shape.Depth));

    /// <summary>Weights of four queries of each lane, and the slopes by their scores.</summary>
    private void Weigh<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, int place, long bias)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var first = place * TLanes.Count;
        var start = biases == null ? null : biases + ((long)group * shape.BiasSize) + bias;
        NeighbourhoodScores.Run<TLanes, TVector, T>(shape, work.TurnedQueries + first, work.WindowTurnedKeys, place, start, work.Weights);
        NeighbourhoodSoftmax.Forward<TLanes, TVector, T>(shape.Area, work.Weights);
        NeighbourhoodScores.Run<TLanes, TVector, T>(
            shape, work.TurnedSlopes + first, work.WindowTurnedValues, place, null, work.ScoreSlopes);
        NeighbourhoodSoftmax.Backward<TLanes, TVector, T>(shape.Area, work.Weights, work.ScoreSlopes);
        if (biasSlope != null)
        {
            AddBiasSlopes<TLanes, TVector>(work.ScoreSlopes, work.BiasSlopes + bias);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddBiasSlopes<TLanes, TVector>(T* slopes, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var block = NeighbourhoodShape.Block * TLanes.Count;
        for (var place = 0; place < shape.Area; place++, slopes += block, sums += shape.Segment * TLanes.Count)
        {
            for (var query = 0; query < block; query += TLanes.Count)
            {
                TLanes.Store(TLanes.Add(TLanes.Load(sums + query), TLanes.Load(slopes + query)), sums + query);
            }
        }
    }

    /// <summary>What four queries of each lane add to the slopes of keys and values, and their own slopes.</summary>
    private void Spread<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, int place, long row)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (projectedSlope == null)
        {
            return;
        }
        for (var index = 0; index < shape.SequencesOf(group); index++)
        {
            var (_, residue) = shape.Sequence((group * shape.SequencesPerGroup) + index);
            var length = shape.LengthOf(shape.Width, residue);
            for (var stretch = 0; stretch < shape.Stretches; stretch++)
            {
                var query = (stretch * shape.Segment) + place;
                if (query >= length)
                {
                    break;
                }
                var (lane, count) = ((index * shape.Stretches) + stretch, Math.Min(NeighbourhoodShape.Block, length - query));
                var token = (index * shape.Extended) + query;
                var itself = token + (shape.Window / 2);
                var offset = (long)token * shape.PaddedDepth;
                NeighbourhoodMixture.Run<TLanes, TVector, T>(shape, work.ScoreSlopes + lane, work.WindowKeys, offset, work.Mixtures);
                NeighbourhoodStaging.Write<TLanes, TVector, T>(
                    shape, work.Mixtures, work.Tokens.Rows + itself, count, Factor(), projectedSlope + (row * 3 * shape.Channels));
                NeighbourhoodSpread.Run<TLanes, TVector, T>(
                    shape, work.ScoreSlopes + lane, work.Queries + ((long)itself * shape.PaddedDepth), count,
                    work.WindowKeySlopes, offset);
                NeighbourhoodSpread.Run<TLanes, TVector, T>(
                    shape, work.Weights + lane, work.Slopes + ((long)itself * shape.PaddedDepth), count,
                    work.WindowValueSlopes, offset);
            }
        }
    }

    /// <summary>Writes the slopes of a row of keys and values that no later window holds.</summary>
    private void WriteRow<TLanes, TVector>(in NeighbourhoodBackwardWork<T> work, int group, long image, int residue, int row)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (projectedSlope == null)
        {
            return;
        }
        var before = shape.Window / 2;
        var target = projectedSlope + (Place(image, residue, row) * 3 * shape.Channels);
        for (var index = 0; index < shape.SequencesOf(group); index++)
        {
            var (_, column) = shape.Sequence((group * shape.SequencesPerGroup) + index);
            var length = shape.LengthOf(shape.Width, column);
            var start = (long)(row % shape.Window * shape.RowSize) + ((long)index * shape.Extended * shape.PaddedDepth);
            for (var part = 1; part <= 2; part++)
            {
                var slopes = (part == 1 ? work.KeySlopes : work.ValueSlopes) + start;
                Fold<TLanes, TVector>(slopes, length);
                NeighbourhoodStaging.Write<TLanes, TVector, T>(
                    shape, slopes + (before * shape.PaddedDepth), work.Tokens.Rows + (index * shape.Extended) + before, length,
                    T.One, target + (part * shape.Channels));
            }
        }
    }

    /// <summary>Adds what gathered beyond the ends of a sequence to the tokens that stand there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Fold<TLanes, TVector>(T* slopes, int length)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var before = shape.Window / 2;
        for (var place = 0; place < length + shape.Window - 1; place++)
        {
            if (place == before)
            {
                place += length;
            }
            if (place == length + shape.Window - 1)
            {
                break;
            }
            var from = slopes + ((long)place * shape.PaddedDepth);
            var to = slopes + ((long)(shape.Resolve(place, length) + before) * shape.PaddedDepth);
            for (var channel = 0; channel < shape.PaddedDepth; channel += TLanes.Count)
            {
                TLanes.Store(TLanes.Add(TLanes.Load(to + channel), TLanes.Load(from + channel)), to + channel);
            }
        }
    }
}
