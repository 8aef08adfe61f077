using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>Records what a piece of work launches on a device, so that it can be launched again as a whole.</summary>
internal interface IGraphCapture
{
    /// <summary>Runs the work once, recording it.</summary>
    /// <param name="device">The device, as the tensor library counts.</param>
    /// <param name="work">
    /// What is recorded: it reads and writes tensors that stay where they are. It must have run before, so that nothing is
    /// compiled, tuned or first allocated while it is recorded.
    /// </param>
    /// <exception cref="CudaException">The work does something that cannot be recorded.</exception>
    ICapturedGraph Capture(int device, Func<Tensor> work);
}

/// <summary>Recorded work.</summary>
internal interface ICapturedGraph : IDisposable
{
    /// <summary>The tensor that the work returned: every replay writes it anew.</summary>
    Tensor Result { get; }

    /// <summary>Launches the work on the current stream.</summary>
    void Replay();
}
