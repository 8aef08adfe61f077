namespace LocalAttention.Core.Kernels;

/// <summary>What computes a layer. Every backend has the same meaning; they differ in speed and memory.</summary>
public enum Backend
{
    /// <summary>The fastest that takes the tensor's device, element type and shape.</summary>
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
    FusedCuda,
}
