using System.Numerics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels;

/// <summary>
/// A loop over independent items, written once for every vector width. A kernel is a struct of pointers and sizes; it is
/// copied to each thread.
/// </summary>
/// <typeparam name="T">What it computes in: <see cref="float"/> or <see cref="double"/>.</typeparam>
internal interface IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>
    /// Does the items <paramref name="begin"/> to <paramref name="end"/>, the last left out. What an item's result is must
    /// not depend on how items are divided into calls: then it does not depend on the number of threads.
    /// </summary>
    void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct;
}
