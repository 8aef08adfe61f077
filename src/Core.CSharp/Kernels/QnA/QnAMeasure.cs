using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// Finds each image's largest scores, over all of its positions: those that no window sees have exponentials, too, in the
/// gathering of <see cref="QnATokenGradients{T}"/>.
/// </summary>
internal readonly unsafe struct QnAMeasure<T>(QnAShape shape, T* projected, T tableSpread, QnAStatistics<T> statistics) : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>The images.</summary>
    public long Items => shape.Batch;

    /// <summary>
    /// e⁻⁴⁰ is 4·10⁻¹⁸: in single precision this leaves values down to 10⁻²⁰ their full accuracy, and in double precision
    /// e⁻³⁰⁰ does down to 10⁻¹⁷⁰.
    /// </summary>
    private static T LargestSpread => T.CreateTruncating(typeof(T) == typeof(float) ? 40.0 : 300.0);

    /// <inheritdoc/>
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var image = (int)begin; image < end; image++)
        {
            for (var block = 0; block < shape.Blocks; block++)
            {
                var largest = statistics.Largest + ((long)image * shape.Columns) + (block * shape.Lanes);
                var shares = Of<TLanes, TVector>(
                    shape, projected + shape.Token(image, 0, 0), 0, shape.Height, block, tableSpread, largest);
                statistics.Shares[(image * shape.Blocks) + block] = shares ? (byte)1 : (byte)0;
            }
        }
    }

    /// <summary>
    /// The largest score of each column in some rows of the map, and whether exponentials relative to it serve every window
    /// there: where all scores are finite and spread little enough that neither an exponential nor its product with a table
    /// or a value leaves the normal numbers.
    /// </summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="tokens">The image's projected tokens.</param>
    /// <param name="firstRow">The first row.</param>
    /// <param name="endRow">Behind the last.</param>
    /// <param name="block">The vector of scores.</param>
    /// <param name="tableSpread">How far the position biases spread.</param>
    /// <param name="largest">The largest scores; a vector.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static bool Of<TLanes, TVector>(
        in QnAShape shape, T* tokens, int firstRow, int endRow, int block, T tableSpread, T* largest)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var count = (long)(endRow - firstRow) * shape.Width;
        var scores = tokens + ((long)firstRow * shape.Width * shape.TokenWidth) + (block * shape.Lanes);
        var highest = TLanes.Broadcast(T.NegativeInfinity);
        var lowest = TLanes.Broadcast(T.PositiveInfinity);
        var strays = TLanes.Zero;
        for (var token = 0L; token < count; token++)
        {
            var score = TLanes.Load(scores + (token * shape.TokenWidth));
            highest = TLanes.Max(highest, score);
            lowest = TLanes.Min(lowest, score);
            strays = TLanes.MultiplyAdd(score, TLanes.Zero, strays);
        }
        TLanes.Store(highest, largest);
        var spread = TLanes.Largest(TLanes.Subtract(highest, lowest)) + tableSpread;
        // A score that is not finite times 0 is NaN.
        return count > 0 && TLanes.Sum(strays) == T.Zero && spread <= LargestSpread;
    }
}
