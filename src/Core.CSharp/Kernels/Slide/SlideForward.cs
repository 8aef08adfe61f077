using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// Slide Attention of projected tokens, forward. An item is a row of one head of one image; a run of rows keeps the
/// window's keys and values in a ring of <c>k</c> staged rows.
/// </summary>
/// <param name="shape">The sizes.</param>
/// <param name="projected">Queries, keys and values, <c>[B, H, W, h, 3, d]</c>.</param>
/// <param name="weights">The parameters.</param>
/// <param name="scale">The factor of the logits.</param>
/// <param name="output">The result, <c>[B, H, W, h, d]</c>.</param>
/// <param name="attention">Where the attention is kept for the backward pass, <c>[B, h, H, k², W]</c>, or null.</param>
internal readonly unsafe struct SlideForward<TStored, T, TStorage>(
    SlideShape shape, TStored* projected, SlideWeights<T> weights, T scale, TStored* output, T* attention) : IKernel<T>
    where TStored : unmanaged
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
    where TStorage : struct, IStorage<TStored, T>
{
    /// <summary>How many items there are.</summary>
    public static long Items(in SlideShape shape) => (long)shape.Batch * shape.Heads * shape.Height;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = TLanes.Count;
        var rowSize = shape.RowSize;
        var logitsSize = shape.PaddedArea * SlideShape.Segment;
        var partialSize = SlideScores.PartialVectors * lanes;
        var scratch = Scratch.Begin(
            (2 * SlideRing<T>.Size(shape)) + (2 * Scratch.Size<T>(rowSize)) + Scratch.Size<T>(logitsSize)
            + Scratch.Size<T>(partialSize) + Scratch.Size<T>(shape.Chunks * lanes));
        var keys = new SlideRing<T>(shape, scratch);
        var values = new SlideRing<T>(shape, scratch);
        var queries = scratch.Take<T>(rowSize);
        var mixtures = scratch.Take<T>(rowSize);
        var logits = scratch.Take<T>(logitsSize);
        var partial = scratch.Take<T>(partialSize);
        var buffer = scratch.Take<T>(shape.Chunks * lanes);
        new Span<T>(queries, rowSize).Clear();
        var biases = shape.Chunks * shape.PaddedArea * lanes;
        for (var item = begin; item < end; item++)
        {
            var row = (int)(item % shape.Height);
            var head = (int)(item / shape.Height % shape.Heads);
            var image = item / shape.Height / shape.Heads;
            var newest = row + shape.Radius;
            for (var fresh = item == begin || row == 0 ? row - shape.Radius : newest; fresh <= newest; fresh++)
            {
                SlideStaging.ReadExtended<TStorage, TStored, TLanes, TVector, T>(
                    shape, projected, image, head, 1, fresh, keys.Row(fresh), buffer);
                SlideStaging.ReadExtended<TStorage, TStored, TLanes, TVector, T>(
                    shape, projected, image, head, 2, fresh, values.Row(fresh), buffer);
            }
            SlideStaging.Read<TStorage, TStored, TLanes, TVector, T>(
                shape, projected + shape.ProjectedAt(image, row, 0, head, 0), shape.TokenStride, scale, queries,
                shape.PaddedWidth, buffer);
            var next = item + 1 < end && row + 1 < shape.Height;
            var nextQueries = next ? projected + shape.ProjectedAt(image, row + 1, 0, head, 0) : null;
            var nextExtended = next ? shape.Resolve(newest + 1, shape.Height) : -1;
            var nextKeys = nextExtended < 0 ? null : projected + shape.ProjectedAt(image, nextExtended, 0, head, 1);
            var written = output + shape.OutputAt(image, row, 0, head);
            for (var column = 0; column < shape.Width; column += SlideShape.Segment)
            {
                var tokens = Math.Min(SlideShape.Segment, shape.Width - column);
                var count = SlideShape.RoundUp(tokens, SlideShape.Group);
                var stretch = SlidePrefetch.StretchOf(shape, weights.AreShifts);
                for (var begun = 0; begun < count; begun += stretch)
                {
                    var from = column + begun;
                    var to = Math.Min(from + stretch, column + tokens);
                    SlidePrefetch.Tokens(written, shape.Heads * shape.Depth, shape.Depth, from, to);
                    SlidePrefetch.Tokens(nextQueries, shape.TokenStride, shape.Depth, from, to);
                    SlidePrefetch.Tokens(nextKeys, shape.TokenStride, 2 * shape.Depth, from, to);
                    SlideScores.Of<TLanes, TVector, T>(
                        shape, weights.AreShifts, keys.Window(row, from * lanes), weights.BySample,
                        weights.KeyBias + ((long)head * biases), queries + (from * lanes), Math.Min(stretch, count - begun),
                        partial, logits + begun);
                }
                SlideSoftmax.Forward<TLanes, TVector, T>(shape.Area, count, logits);
                // Padded samples must not bring into the mixture what scratch held.
                new Span<T>(logits + (shape.Area * SlideShape.Segment), logitsSize - (shape.Area * SlideShape.Segment)).Clear();
                SlideMixture.Of<TLanes, TVector, T>(
                    shape, weights.AreShifts, values.Window(row, column * lanes), weights.BySample, weights.Bias, logits, count,
                    mixtures + (column * lanes));
                if (attention != null)
                {
                    Keep(logits, attention + shape.AttentionAt(image, row, head) + column, tokens);
                }
            }
            SlideStaging.Write<TStorage, TStored, TLanes, TVector, T>(
                shape, mixtures, shape.PaddedWidth, T.One, written, shape.Heads * shape.Depth, buffer);
        }
    }

    private void Keep(T* logits, T* target, int tokens)
    {
        for (var sample = 0; sample < shape.Area; sample++)
        {
            new ReadOnlySpan<T>(logits + (sample * SlideShape.Segment), tokens)
                .CopyTo(new Span<T>(target + ((long)sample * shape.Width), tokens));
        }
    }
}
