using System.Numerics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// The output, a band of rows of one group of sequences at a time: keys turned over and values side by side of the window's
/// <c>k</c> rows stay in the second cache, and scores of four queries in each lane in the first.
/// </summary>
/// <param name="shape">The sizes.</param>
/// <param name="projected">Queries, keys and values, <c>[B, H, W, 3, h, d]</c>.</param>
/// <param name="biases">As <see cref="NeighbourhoodBiases"/> lays them out, or none.</param>
/// <param name="output"><c>[B, H, W, h, d]</c>.</param>
internal readonly unsafe struct NeighbourhoodForward<T>(NeighbourhoodShape shape, T* projected, T* biases, T* output) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    // With fewer items than this, rows are cut into bands, each of which stages k − 1 rows of its neighbours again.
    private const int EnoughItems = 32;

    /// <summary>How many items there are: groups, images, residues of rows and bands, the last quickest.</summary>
    public static long Items(in NeighbourhoodShape shape) => Whole(shape) * Bands(shape);

    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var work = Work.Take(shape);
        var bands = Bands(shape);
        for (var item = begin; item < end; item++)
        {
            var (rest, band) = Math.DivRem(item, bands);
            (rest, var residue) = Math.DivRem(rest, shape.Dilation);
            var (group, image) = Math.DivRem(rest, shape.Batch);
            work.Tokens.Find(shape, (int)group, parts: 3);
            work.OutputTokens.Find(shape, (int)group, parts: 1);
            var rows = shape.LengthOf(shape.Height, (int)residue);
            Band<TLanes, TVector>(work, (int)group, image, (int)residue, (int)(rows * band / bands), (int)(rows * (band + 1) / bands));
        }
    }

    private static long Whole(in NeighbourhoodShape shape) => (long)shape.Groups * shape.Batch * shape.Dilation;

    private static long Bands(in NeighbourhoodShape shape) =>
        Math.Clamp(EnoughItems / Whole(shape), 1, Math.Max(1, shape.Height / shape.Dilation / (2 * shape.Window)));

    /// <summary>Some rows of queries.</summary>
    private void Band<TLanes, TVector>(in Work work, int group, long image, int residue, int begin, int end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var window = shape.Window;
        var length = shape.LengthOf(shape.Height, residue);
        var factor = T.One / T.Sqrt(T.CreateTruncating(shape.Depth));
        var staged = shape.WindowStart(begin, length);
        for (var row = begin; row < end; row++)
        {
            var first = shape.WindowStart(row, length);
            for (; staged < first + window; staged++)
            {
                var slot = staged % window;
                var source = Row(image, residue, staged);
                NeighbourhoodStaging.Plane<TLanes, TVector, T>(
                    source + shape.Channels, work.Tokens.Keys, shape.Reach, shape.Depth, T.One,
                    work.Keys + ((long)slot * shape.KeyPlane));
                NeighbourhoodStaging.Rows<TLanes, TVector, T>(
                    shape, source + (2 * shape.Channels), work.Tokens.Rows, shape.SequencesOf(group), T.One,
                    work.Values + ((long)slot * shape.RowSize));
            }
            for (var t = 0; t < window; t++)
            {
                var slot = (first + t) % window;
                work.WindowKeys[t] = work.Keys + ((long)slot * shape.KeyPlane);
                work.WindowValues[t] = work.Values + ((long)slot * shape.RowSize);
            }
            NeighbourhoodStaging.Plane<TLanes, TVector, T>(
                Row(image, residue, row), work.Tokens.Keys + (shape.Window / 2 * shape.Lanes), shape.Segment, shape.Depth, factor,
                work.Queries);
            var start = biases == null
                ? null
                : biases + ((long)group * shape.BiasSize)
                    + ((long)(first - row + window - 1) * window * shape.Segment * shape.Lanes);
            Attend<TLanes, TVector>(work, group, start, output + (shape.RowAt(image, residue + (row * shape.Dilation)) * shape.Channels));
        }
    }

    private T* Row(long image, int residue, int row) =>
        projected + (shape.RowAt(image, residue + (row * shape.Dilation)) * 3 * shape.Channels);

    /// <summary>A row of queries whose keys and values are in place.</summary>
    private void Attend<TLanes, TVector>(in Work work, int group, T* start, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var place = 0; place < shape.Segment; place += NeighbourhoodShape.Block)
        {
            NeighbourhoodScores.Run<TLanes, TVector, T>(
                shape, work.Queries + (place * TLanes.Count), work.WindowKeys, place,
                start == null ? null : start + (place * TLanes.Count), work.Scores);
            NeighbourhoodSoftmax.Forward<TLanes, TVector, T>(shape.Area, work.Scores);
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
                    var token = (index * shape.Extended) + query;
                    NeighbourhoodMixture.Run<TLanes, TVector, T>(
                        shape, work.Scores + (index * shape.Stretches) + stretch, work.WindowValues,
                        (long)token * shape.PaddedDepth, work.Mixtures);
                    NeighbourhoodStaging.Write<TLanes, TVector, T>(
                        shape, work.Mixtures, work.OutputTokens.Rows + token + (shape.Window / 2),
                        Math.Min(NeighbourhoodShape.Block, length - query), T.One, target);
                }
            }
        }
    }

    /// <summary>A thread's scratch memory.</summary>
    private struct Work
    {
        public NeighbourhoodTokens Tokens;
        public NeighbourhoodTokens OutputTokens;
        public T* Keys;
        public T* Values;
        public T* Queries;
        public T* Scores;
        public T* Mixtures;
        public T** WindowKeys;
        public T** WindowValues;

        public static Work Take(in NeighbourhoodShape shape)
        {
            var (window, block) = (shape.Window, NeighbourhoodShape.Block);
            var (keys, values) = ((long)window * shape.KeyPlane, (long)window * shape.RowSize);
            var scores = (long)shape.Area * block * shape.Lanes;
            var scratch = Scratch.Begin(
                (2 * NeighbourhoodTokens.Bytes(shape)) + Scratch.Size<T>(keys) + Scratch.Size<T>(values)
                + Scratch.Size<T>(shape.QueryPlane) + Scratch.Size<T>(scores) + Scratch.Size<T>(block * shape.PaddedDepth)
                + (2 * Scratch.Size<nint>(window)));
            return new Work
            {
                Tokens = NeighbourhoodTokens.Take(shape, scratch),
                OutputTokens = NeighbourhoodTokens.Take(shape, scratch),
                Keys = scratch.Take<T>(keys),
                Values = scratch.Take<T>(values),
                Queries = scratch.Take<T>(shape.QueryPlane),
                Scores = scratch.Take<T>(scores),
                Mixtures = scratch.Take<T>(block * shape.PaddedDepth),
                WindowKeys = (T**)scratch.Take<nint>(window),
                WindowValues = (T**)scratch.Take<nint>(window),
            };
        }
    }
}
