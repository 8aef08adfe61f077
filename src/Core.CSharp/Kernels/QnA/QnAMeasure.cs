using System.Numerics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>Finds each image's largest scores.</summary>
internal readonly unsafe struct QnAMeasure<T>(QnAShape shape, T* projected, T tableSpread, QnAStatistics<T> statistics) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>The images.</summary>
    public long Items => shape.Batch;

    /// <inheritdoc/>
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var image = (int)begin; image < end; image++)
        {
            var band = new QnABand<T>(shape, image, 0, shape.OutputHeight);
            for (var block = 0; block < shape.Blocks; block++)
            {
                var largest = statistics.Largest + ((long)image * shape.Columns) + (block * shape.Lanes);
                var shares = band.Measure<TLanes, TVector>(projected + shape.Token(image, 0, 0), block, tableSpread, largest);
                statistics.Shares[(image * shape.Blocks) + block] = shares ? (byte)1 : (byte)0;
            }
        }
    }
}
