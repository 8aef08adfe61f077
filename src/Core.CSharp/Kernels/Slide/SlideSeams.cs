using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// Adds up the rows of the keys' and values' gradients in which several bands or the padding have a share. An item is the keys
/// or the values of one head of one image.
/// </summary>
/// <param name="shape">The sizes.</param>
/// <param name="bands">How the backward pass was divided.</param>
/// <param name="seams">What the bands kept beside, <c>[band, 2, SeamRows, RowSize]</c>.</param>
/// <param name="projected">The gradient of the projected map.</param>
internal readonly unsafe struct SlideSeams<T>(SlideShape shape, SlideBands bands, T* seams, T* projected) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var bufferSize = shape.Chunks * TLanes.Count;
        var scratch = Scratch.Begin(Scratch.Size<T>(shape.RowSize) + Scratch.Size<T>(bufferSize));
        var sum = scratch.Take<T>(shape.RowSize);
        var buffer = scratch.Take<T>(bufferSize);
        for (var item = begin; item < end; item++)
        {
            var (map, part) = Math.DivRem(item, 2);
            for (var band = 0; band < bands.PerMap; band++)
            {
                for (var row = bands.Begin(band); row < bands.Begin(band + 1); row++)
                {
                    if (bands.IsWhole(band, row))
                    {
                        continue;
                    }
                    new Span<T>(sum, shape.RowSize).Clear();
                    Collect<TLanes, TVector>(map, (int)part, row, sum);
                    SlideStaging.Write<SameStorage<T>, T, TLanes, TVector, T>(
                        shape, sum, shape.PaddedWidth, T.One,
                        projected + shape.ProjectedAt(map / shape.Heads, row, 0, (int)(map % shape.Heads), (int)part + 1),
                        shape.TokenStride, buffer);
                }
            }
        }
    }

    /// <summary>Adds up whatever the bands kept for a row, band by band from the top.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Collect<TLanes, TVector>(long map, int part, int row, T* sum)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var band = 0; band < bands.PerMap; band++)
        {
            for (var kept = bands.Begin(band) - shape.Radius; kept < bands.Begin(band + 1) + shape.Radius; kept++)
            {
                if (bands.IsWhole(band, kept) || shape.Resolve(kept, shape.Height) != row)
                {
                    continue;
                }
                var index = (((map * bands.PerMap) + band) * 2) + part;
                var seam = seams + (((index * bands.SeamRows) + bands.Slot(band, kept)) * shape.RowSize);
                for (var place = 0; place < shape.RowSize; place += TLanes.Count)
                {
                    TLanes.Store(TLanes.Add(TLanes.Load(sum + place), TLanes.Load(seam + place)), sum + place);
                }
            }
        }
    }
}
