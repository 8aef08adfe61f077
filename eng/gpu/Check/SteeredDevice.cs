using LocalAttention.Core.Kernels.Cuda;

namespace LocalAttention.Gpu.Check;

/// <summary>A device whose ways are picked from outside, so that each of them is run.</summary>
/// <param name="device">What runs the kernels.</param>
internal sealed class SteeredDevice(ICudaDevice device) : ICudaDevice
{
    /// <summary>The way to pick, the last where there are fewer; none: the device's own choice.</summary>
    public int? Way { get; set; }

    /// <summary>The most ways that any question since <see cref="Forget"/> had.</summary>
    public int MostWays { get; private set; }

    public CudaLimits Limits => device.Limits;

    public void Forget() => MostWays = 0;

    public void Launch(CudaKernel kernel, CudaGrid grid, params ReadOnlySpan<CudaArgument> arguments) =>
        device.Launch(kernel, grid, arguments);

    public int Choose(string question, int count, Action<int> run)
    {
        MostWays = Math.Max(MostWays, count);
        return Way is { } way ? Math.Min(way, count - 1) : device.Choose(question, count, run);
    }
}
