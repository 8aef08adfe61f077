using System.Numerics;
using System.Runtime.Intrinsics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels;

/// <summary>Runs kernels: at the width in use, on as many threads as the tensor library has.</summary>
internal static class Kernel
{
    /// <summary>Does all items of a kernel.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="count">How many items there are.</param>
    /// <param name="grain">Items that are worth a thread's while; a call of fewer runs on the caller's thread alone.</param>
    public static void Run<TKernel, T>(in TKernel kernel, long count, long grain = 1)
        where TKernel : struct, IKernel<T>
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        switch (SimdWidths.Current)
        {
            case SimdWidth.Bits512:
                WorkSharing.For(new Body<TKernel, Lanes512<T>, Vector512<T>, T>(kernel), count, grain);
                break;
            case SimdWidth.Bits256:
                WorkSharing.For(new Body<TKernel, Lanes256<T>, Vector256<T>, T>(kernel), count, grain);
                break;
            case SimdWidth.Bits128:
                WorkSharing.For(new Body<TKernel, Lanes128<T>, Vector128<T>, T>(kernel), count, grain);
                break;
            default:
                WorkSharing.For(new Body<TKernel, LanesScalar<T>, T, T>(kernel), count, grain);
                break;
        }
    }

    private readonly struct Body<TKernel, TLanes, TVector, T>(TKernel kernel) : IRangeBody
        where TKernel : struct, IKernel<T>
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public void Run(long begin, long end)
        {
            var mine = kernel;
            mine.Run<TLanes, TVector>(begin, end);
        }
    }
}
