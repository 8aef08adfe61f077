namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// What runs CUDA kernels: a device by its driver (<see cref="Driver"/>), or, in tests, the host that plays one.
/// </summary>
internal interface ICudaDevice
{
    /// <summary>What a launch may ask for.</summary>
    CudaLimits Limits { get; }

    /// <summary>
    /// Launches a kernel on the tensor library's current stream, and returns before it has run; compiles it where it is new.
    /// </summary>
    /// <param name="kernel">The kernel, with its constants.</param>
    /// <param name="grid">Blocks, threads of a block, and a block's shared memory.</param>
    /// <param name="arguments">Its parameters, in their order; the caller keeps tensors alive until it returns.</param>
    /// <exception cref="CudaException">The kernel does not compile, or the device refuses the launch.</exception>
    void Launch(CudaKernel kernel, CudaGrid grid, params ReadOnlySpan<CudaArgument> arguments);

    /// <summary>
    /// Which of several ways to use: on a device the fastest, measured once by running each, and remembered with the
    /// question, the device and the sources' text; in tests the one that the test asks for.
    /// </summary>
    /// <param name="question">The work, so that equal questions have one answer: the kernel, element type and sizes.</param>
    /// <param name="count">How many ways there are, at least one.</param>
    /// <param name="run">Does the work in one of the ways, numbered from 0; may be called any number of times.</param>
    /// <returns>The way's number.</returns>
    int Choose(string question, int count, Action<int> run);
}
