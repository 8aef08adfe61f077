using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>What the backward pass reads and writes.</summary>
/// <typeparam name="T">The element type.</typeparam>
internal unsafe struct SlideGradients<T>
    where T : unmanaged
{
    /// <summary>The gradient of the output, <c>[B, H, W, h, d]</c>.</summary>
    public T* Output;

    /// <summary>The attention that the forward pass kept, <c>[B, h, H, k², W]</c>.</summary>
    public T* Attention;

    /// <summary>The gradient of the projected map, <c>[B, H, W, h, 3, d]</c>, or null.</summary>
    public T* Projected;

    /// <summary>Seam rows of keys and values, <c>[band, 2, SeamRows, RowSize]</c>; with <see cref="Projected"/>.</summary>
    public T* Seams;

    /// <summary>Sums of <c>dW</c> as <see cref="SlideWeightGradient"/> has them, one for each part, or null.</summary>
    public T* Weight;

    /// <summary>Sums of <c>db</c>, <c>[part, d, k²]</c>, or null.</summary>
    public T* Bias;

    /// <summary>Sums of <c>drpb</c>, <c>[part, h, k²]</c>, with <see cref="Bias"/>.</summary>
    public T* PositionBias;
}

/// <summary>
/// Slide Attention of projected tokens, backward. With <c>g</c> the gradient of the output, <c>K̃</c> and <c>Ṽ</c> the samples
/// and <c>a</c> the attention:
/// <code>
/// da_j = Σ_c g_c Ṽ[c,j]        ds_j = a_j (da_j − Σ_i a_i da_i)        dq_c = scale · Σ_j ds_j (K̃[c,j] + rpb[n,j])
/// dK[c,p+t] += scale · q_c Σ_j ds_j W[c,j,t]        dV[c,p+t] += g_c Σ_j a_j W[c,j,t]
/// dW[c,j,t] = Σ_p scale · ds_j q_c K[c,p+t] + a_j g_c V[c,p+t]        db and drpb likewise
/// </code>
/// An item is a part of <see cref="SlideBands"/>.
/// </summary>
/// <param name="shape">The sizes.</param>
/// <param name="bands">How the work is divided.</param>
/// <param name="projected">Queries, keys and values, <c>[B, H, W, h, 3, d]</c>.</param>
/// <param name="weights">The parameters.</param>
/// <param name="scale">The factor of the logits.</param>
/// <param name="gradients">Gradients, given and wanted.</param>
internal readonly unsafe struct SlideBackward<T>(
    SlideShape shape, SlideBands bands, T* projected, SlideWeights<T> weights, T scale, SlideGradients<T> gradients)
    : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var rows = new SlideBackwardRows<T>(shape);
        for (var part = begin; part < end; part++)
        {
            var sums = gradients;
            if (gradients.Weight != null)
            {
                var size = SlideWeightGradient.Size(shape);
                sums.Weight += part * size;
                Clear(sums.Weight, size);
            }
            if (gradients.Bias != null)
            {
                sums.Bias += part * shape.Depth * shape.Area;
                sums.PositionBias += part * shape.Heads * shape.Area;
                Clear(sums.Bias, (long)shape.Depth * shape.Area);
                Clear(sums.PositionBias, (long)shape.Heads * shape.Area);
            }
            for (var index = bands.Count * part / bands.Parts; index < bands.Count * (part + 1) / bands.Parts; index++)
            {
                Band<TLanes, TVector>(rows, sums, index);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Band<TLanes, TVector>(in SlideBackwardRows<T> rows, in SlideGradients<T> sums, long index)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var band = (int)(index % bands.PerMap);
        var head = (int)(index / bands.PerMap % shape.Heads);
        var image = index / bands.PerMap / shape.Heads;
        var (top, bottom) = (bands.Begin(band), bands.Begin(band + 1));
        var radius = shape.Radius;
        new Span<T>(rows.KeyBias, rows.BiasSize).Clear();
        new Span<T>(rows.ValueBias, rows.BiasSize).Clear();
        for (var row = top; row < bottom; row++)
        {
            for (var fresh = row == top ? row - radius : row + radius; fresh <= row + radius; fresh++)
            {
                SlideStaging.ReadExtended<SameStorage<T>, T, TLanes, TVector, T>(
                    shape, projected, image, head, 1, fresh, rows.Keys.Row(fresh), rows.Buffer);
                SlideStaging.ReadExtended<SameStorage<T>, T, TLanes, TVector, T>(
                    shape, projected, image, head, 2, fresh, rows.Values.Row(fresh), rows.Buffer);
                new Span<T>(rows.KeyGradients.Row(fresh), shape.ExtendedRowSize).Clear();
                new Span<T>(rows.ValueGradients.Row(fresh), shape.ExtendedRowSize).Clear();
            }
            SlideStaging.Read<SameStorage<T>, T, TLanes, TVector, T>(
                shape, projected + shape.ProjectedAt(image, row, 0, head, 0), shape.TokenStride, scale, rows.Queries,
                shape.PaddedWidth, rows.Buffer);
            SlideStaging.Read<SameStorage<T>, T, TLanes, TVector, T>(
                shape, gradients.Output + shape.OutputAt(image, row, 0, head), shape.Heads * shape.Depth, T.One, rows.Outputs,
                shape.PaddedWidth, rows.Buffer);
            for (var column = 0; column < shape.Width; column += SlideShape.Segment)
            {
                Segment<TLanes, TVector>(rows, sums, image, head, row, column);
            }
            if (gradients.Projected != null)
            {
                SlideStaging.Write<SameStorage<T>, T, TLanes, TVector, T>(
                    shape, rows.Mixtures, shape.PaddedWidth, scale,
                    gradients.Projected + shape.ProjectedAt(image, row, 0, head, 0), shape.TokenStride, rows.Buffer);
                for (var done = row - radius; done <= (row == bottom - 1 ? row + radius : row - radius); done++)
                {
                    Finish<TLanes, TVector>(rows.KeyGradients.Row(done), index, image, head, 1, done, rows.Buffer);
                    Finish<TLanes, TVector>(rows.ValueGradients.Row(done), index, image, head, 2, done, rows.Buffer);
                }
            }
        }
        if (sums.Bias != null)
        {
            rows.AddBiases(sums.Bias, sums.PositionBias + ((long)head * shape.Area));
        }
    }

    /// <summary>All gradients that some tokens of a row have a share in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Segment<TLanes, TVector>(
        in SlideBackwardRows<T> rows, in SlideGradients<T> sums, long image, int head, int row, int column)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = TLanes.Count;
        var tokens = Math.Min(SlideShape.Segment, shape.Width - column);
        var count = SlideShape.RoundUp(tokens, SlideShape.Group);
        var offset = column * lanes;
        var attention = rows.Attention;
        var logits = rows.Logits;
        var kept = gradients.Attention + shape.AttentionAt(image, row, head) + column;
        var stretch = SlidePrefetch.StretchOf(shape, weights.AreShifts);
        var nextOutputs = row + 1 < shape.Height ? gradients.Output + shape.OutputAt(image, row + 1, 0, head) : null;
        var nextQueries = row + 1 < shape.Height ? projected + shape.ProjectedAt(image, row + 1, 0, head, 0) : null;
        var nextExtended = shape.Resolve(row + shape.Radius + 1, shape.Height);
        var nextKeys = nextExtended < 0 ? null : projected + shape.ProjectedAt(image, nextExtended, 0, head, 1);
        var wanted = gradients.Projected;
        var queriesGradient = wanted == null ? null : wanted + shape.ProjectedAt(image, row, 0, head, 0);
        var keysGradient = wanted == null || row < shape.Radius
            ? null : wanted + shape.ProjectedAt(image, row - shape.Radius, 0, head, 1);
        for (var begun = 0; begun < count; begun += stretch)
        {
            var from = column + begun;
            var to = Math.Min(from + stretch, column + tokens);
            SlidePrefetch.Tokens(queriesGradient, shape.TokenStride, shape.Depth, from, to);
            SlidePrefetch.Tokens(keysGradient, shape.TokenStride, 2 * shape.Depth, from, to);
            SlidePrefetch.Tokens(nextOutputs, shape.Heads * shape.Depth, shape.Depth, from, to);
            SlidePrefetch.Tokens(nextQueries, shape.TokenStride, shape.Depth, from, to);
            SlidePrefetch.Tokens(nextKeys, shape.TokenStride, 2 * shape.Depth, from, to);
            SlideScores.Of<TLanes, TVector, T>(
                shape, weights.AreShifts, rows.Values.Window(row, from * lanes), weights.BySample, weights.Bias,
                rows.Outputs + (from * lanes), Math.Min(stretch, count - begun), rows.Partial, logits + begun);
        }
        for (var sample = 0; sample < shape.Area; sample++)
        {
            new ReadOnlySpan<T>(kept + ((long)sample * shape.Width), tokens)
                .CopyTo(new Span<T>(attention + (sample * SlideShape.Segment), tokens));
        }
        SlideSoftmax.Backward<TLanes, TVector, T>(shape.Area, count, attention, logits);
        if (tokens < count)
        {
            // Tokens behind the row's end have no share.
            for (var sample = 0; sample < shape.Area; sample++)
            {
                new Span<T>(attention + (sample * SlideShape.Segment) + tokens, count - tokens).Clear();
                new Span<T>(logits + (sample * SlideShape.Segment) + tokens, count - tokens).Clear();
            }
        }
        rows.Keys.Positions(row, offset, rows.KeyPlaces);
        rows.Values.Positions(row, offset, rows.ValuePlaces);
        if (gradients.Projected != null)
        {
            rows.KeyGradients.Positions(row, offset, rows.GradientPlaces);
            SlideSpread.Of<TLanes, TVector, T>(
                shape, weights.AreShifts, rows.GradientPlaces, rows.KeyPlaces, weights.ByPosition,
                weights.KeyBias + ((long)head * rows.BiasSize), logits, rows.Queries + offset, count, rows.Mixtures + offset);
            rows.ValueGradients.Positions(row, offset, rows.GradientPlaces);
            SlideSpread.Of<TLanes, TVector, T>(
                shape, weights.AreShifts, rows.GradientPlaces, rows.ValuePlaces, weights.ByPosition, weights.Bias, attention,
                rows.Outputs + offset, count, mixtures: null);
        }
        if (sums.Weight != null)
        {
            SlideWeightGradient.Add<TLanes, TVector, T>(
                shape, rows.KeyPlaces, logits, rows.Queries + offset, tokens, sums.Weight);
            SlideWeightGradient.Add<TLanes, TVector, T>(
                shape, rows.ValuePlaces, attention, rows.Outputs + offset, tokens, sums.Weight);
        }
        if (sums.Bias != null)
        {
            SlideWeightGradient.AddBias<TLanes, TVector, T>(shape, logits, rows.Queries + offset, tokens, rows.KeyBias);
            SlideWeightGradient.AddBias<TLanes, TVector, T>(shape, attention, rows.Outputs + offset, tokens, rows.ValueBias);
        }
    }

    /// <summary>Folds the columns outside the map onto what stands there, and writes the row or keeps it beside.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Finish<TLanes, TVector>(T* gradient, long index, long image, int head, int part, int row, T* buffer)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = TLanes.Count;
        for (var column = -shape.Radius; column < shape.Width + shape.Radius; column++)
        {
            if (column == 0)
            {
                column = shape.Width;
            }
            var inside = shape.Resolve(column, shape.Width);
            if (inside < 0 || column >= shape.Width + shape.Radius)
            {
                continue;
            }
            for (var chunk = 0; chunk < shape.Chunks; chunk++)
            {
                var start = gradient + (((chunk * shape.Columns) + shape.Radius) * lanes);
                var sum = TLanes.Add(TLanes.Load(start + (inside * lanes)), TLanes.Load(start + (column * lanes)));
                TLanes.Store(sum, start + (inside * lanes));
            }
        }
        var band = (int)(index % bands.PerMap);
        if (bands.IsWhole(band, row))
        {
            SlideStaging.Write<SameStorage<T>, T, TLanes, TVector, T>(
                shape, gradient + (shape.Radius * lanes), shape.Columns, T.One,
                gradients.Projected + shape.ProjectedAt(image, row, 0, head, part), shape.TokenStride, buffer);
            return;
        }
        var seam = gradients.Seams + (((((index * 2) + (part - 1)) * bands.SeamRows) + bands.Slot(band, row)) * shape.RowSize);
        for (var chunk = 0; chunk < shape.Chunks; chunk++)
        {
            var size = shape.PaddedWidth * lanes;
            new ReadOnlySpan<T>(gradient + (((chunk * shape.Columns) + shape.Radius) * lanes), size)
                .CopyTo(new Span<T>(seam + (chunk * size), size));
        }
    }

    private static void Clear(T* target, long count)
    {
        for (; count > int.MaxValue; count -= int.MaxValue, target += int.MaxValue)
        {
            new Span<T>(target, int.MaxValue).Clear();
        }
        new Span<T>(target, (int)count).Clear();
    }
}
