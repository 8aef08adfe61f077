namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>A kernel that the driver has loaded, until the process ends.</summary>
/// <param name="function">The driver's handle.</param>
/// <param name="subject">The kernel and its device, for messages.</param>
internal sealed class LoadedKernel(nint function, string subject)
{
    // What a block may have without asking.
    private const int Usual = 48 << 10;

    private readonly Lock _asking = new();
    private volatile int _allowed = Usual;

    /// <summary>The driver's handle.</summary>
    public nint Function { get; } = function;

    /// <summary>Lets blocks have so much shared memory, unless they may already.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="bytes">Of a block.</param>
    /// <exception cref="CudaException">The driver refuses.</exception>
    public void AllowSharedMemory(CudaDriver driver, int bytes)
    {
        if (bytes <= _allowed)
        {
            return;
        }
        lock (_asking)
        {
            if (bytes > _allowed)
            {
                driver.AllowSharedMemory(Function, bytes, subject);
                _allowed = bytes;
            }
        }
    }
}
