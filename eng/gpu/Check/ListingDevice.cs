using LocalAttention.Core.Kernels.Cuda;

namespace LocalAttention.Gpu.Check;

/// <summary>A device that computes nothing and notes what it is asked to launch, in every way.</summary>
internal sealed class ListingDevice : ICudaDevice
{
    private readonly HashSet<CudaKernel> _kernels = [];

    /// <summary>As a large device of compute capability 8.0 has them.</summary>
    public CudaLimits Limits { get; } = new("a list", 80, 108, 163 * 1024);

    /// <summary>The kernels.</summary>
    public IEnumerable<CudaKernel> Kernels => _kernels
        .OrderBy(kernel => kernel.File, StringComparer.Ordinal)
        .ThenBy(kernel => kernel.Function, StringComparer.Ordinal)
        .ThenBy(kernel => kernel.Constants, StringComparer.Ordinal);

    public void Launch(CudaKernel kernel, CudaGrid grid, params ReadOnlySpan<CudaArgument> arguments) => _kernels.Add(kernel);

    public int Choose(string question, int count, Action<int> run)
    {
        for (var way = 0; way < count; way++)
        {
            run(way);
        }
        return 0;
    }
}
