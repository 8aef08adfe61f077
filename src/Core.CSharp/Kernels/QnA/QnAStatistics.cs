using System.Numerics;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// What the gradients' two passes share. Of each window and column of scores they keep <c>1/D</c>, one over the sum of
/// exponentials, and <c>δ = Σ_c g_c N_c / D</c>, the slope of that sum's logarithm; and of each image and column the largest
/// score, and whether exponentials relative to it serve the whole image.
/// </summary>
internal readonly unsafe struct QnAStatistics<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>The largest score of each image, <c>[B, columns]</c>.</summary>
    public required T* Largest { get; init; }

    /// <summary>1 where exponentials relative to it serve, else 0, <c>[B, vectors]</c>.</summary>
    public required byte* Shares { get; init; }

    /// <summary><c>1/D</c>, <c>[B, H', W', columns]</c>.</summary>
    public required T* Reciprocals { get; init; }

    /// <summary><c>δ</c>, <c>[B, H', W', columns]</c>.</summary>
    public required T* Deltas { get; init; }

    /// <summary>The largest biased score of each window, where exponentials are not shared; <c>[B, H', W', columns]</c>.</summary>
    public required T* WindowLargest { get; init; }
}
