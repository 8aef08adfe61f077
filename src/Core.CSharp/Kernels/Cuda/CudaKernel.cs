namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// One kernel, compiled with constants: those of another value are another kernel. Equal when all three are.
/// </summary>
/// <param name="File">The source beside this class, as <c>SlideForward.cu</c>.</param>
/// <param name="Function">The <c>extern "C" __global__</c> function.</param>
/// <param name="Constants">The macros, as <c>ELEMENT=half WINDOW=3</c>: names and values, a space between two.</param>
internal sealed record CudaKernel(string File, string Function, string Constants)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Function} ({Constants})";
}
