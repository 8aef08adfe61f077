namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// Makes a device's context the calling thread's until disposed of, and then the one before again: the threads of a backward
/// pass come without one, and the tensor library takes the current context for the current device.
/// </summary>
internal readonly ref struct CurrentContext
{
    private readonly CudaDriver _driver;
    private readonly nint _before;
    private readonly bool _changed;
    private readonly string _subject;

    /// <summary>Makes it current.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="context">The device's context.</param>
    /// <param name="subject">The device, for messages.</param>
    /// <exception cref="CudaException">The driver refuses.</exception>
    public CurrentContext(CudaDriver driver, nint context, string subject)
    {
        _driver = driver;
        _subject = subject;
        _before = driver.CurrentContext(subject);
        _changed = _before != context;
        if (_changed)
        {
            driver.MakeCurrent(context, subject);
        }
    }

    /// <summary>Makes the one before current again.</summary>
    public void Dispose()
    {
        if (_changed)
        {
            _driver.MakeCurrent(_before, _subject);
        }
    }
}
