namespace LocalAttention.Core.Kernels;

/// <summary>What computes a layer. Every backend has the same meaning; they differ in speed and memory.</summary>
public enum Backend
{
    /// <summary>
    /// The fastest that takes the tensor's device, element type and shape: CUDA kernels on a CUDA device that can be driven,
    /// the processor's on it, and otherwise tensor operators. <see cref="Backends.Describe"/> says which, and why.
    /// </summary>
    Auto,

    /// <summary>Standard tensor operators: every device and element type, differentiable any number of times.</summary>
    Composite,

    /// <summary>
    /// C# over the processor's vectors: float32 and float64, and bfloat16 without gradients; differentiable once.
    /// </summary>
    FusedCpu,

    /// <summary>
    /// CUDA kernels, compiled for the device at run time: float32, float16 and bfloat16, sums in float32; differentiable once.
    /// </summary>
    /// <remarks>
    /// Needs a device of compute capability 8.0 or later, its driver, and NVRTC, CUDA's run-time compiler, of 11.2 or later,
    /// which comes with CUDA and with CUDA builds of the tensor library; nothing of these is needed to build. Compiled
    /// kernels, and which of several is the fastest here, are kept in the user's folder of caches. Variables:
    /// <c>LOCALATTENTION_CACHE</c> names another folder, <c>LOCALATTENTION_TUNING=off</c> takes the first of several kernels
    /// without measuring (the same last bits in every process), and <c>LOCALATTENTION_CUDA_DRIVER</c> and
    /// <c>LOCALATTENTION_NVRTC</c> name the files of the two libraries.
    /// </remarks>
    FusedCuda,
}
