namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>A CUDA kernel could not be compiled or launched.</summary>
public sealed class CudaException : InvalidOperationException
{
    /// <summary>An error without a text.</summary>
    public CudaException()
    {
    }

    /// <summary>An error.</summary>
    /// <param name="message">What failed, on which device, and why.</param>
    public CudaException(string message)
        : base(message)
    {
    }

    /// <summary>An error that another one caused.</summary>
    /// <param name="message">What failed, on which device, and why.</param>
    /// <param name="innerException">The cause.</param>
    public CudaException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Whether the device lacks what this launch asks for, so that one that asks for less may succeed.</summary>
    internal bool IsRefusal { get; init; }
}
