namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>What QnA's kernels are compiled for, as far as a map and a layer decide it.</summary>
/// <param name="Element">The element type's name in a kernel.</param>
/// <param name="Bytes">An element's bytes.</param>
/// <param name="Window">Side of the window, <c>k</c>.</param>
/// <param name="Step">Step between windows.</param>
/// <param name="Token">What lies in a token.</param>
internal readonly record struct QnAProblem(string Element, int Bytes, int Window, int Step, CudaQnAToken Token);

/// <summary>One of QnA's kernels.</summary>
internal enum QnAPass
{
    /// <summary>What windows make.</summary>
    Forward,

    /// <summary>The same by tensor cores.</summary>
    ForwardTensor,

    /// <summary>The softmax's numbers of windows, and gradients of tables.</summary>
    Windows,

    /// <summary>Gradients of tokens.</summary>
    Tokens,
}
