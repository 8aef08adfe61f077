using LocalAttention.Core.Kernels.Cuda.Driver;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>Which device runs the kernels for a tensor.</summary>
internal static class CudaDevices
{
    private static readonly AsyncLocal<ICudaDevice?> Played = new();

    /// <summary>The device that a tensor's kernels run on.</summary>
    /// <param name="map">The tensor.</param>
    /// <param name="obstacle">Why there is none.</param>
    /// <returns>The device, or none: the tensor is elsewhere, or its device cannot be driven.</returns>
    public static ICudaDevice? Find(Tensor map, out string? obstacle)
    {
        obstacle = null;
        if (map.device_type == DeviceType.CPU && Played.Value is { } played)
        {
            return played;
        }
        if (map.device_type == DeviceType.CUDA)
        {
            return DrivenDevice.Find(map.device_index, out obstacle);
        }
        obstacle = $"the map is on {map.device_type}";
        return null;
    }

    /// <summary>The same, where a kernel has been chosen already.</summary>
    /// <exception cref="NotSupportedException">There is none.</exception>
    public static ICudaDevice For(Tensor map) =>
        Find(map, out var obstacle) ?? throw new NotSupportedException($"no CUDA device runs this kernel: {obstacle}");

    /// <summary>For the caller, has tensors in main memory computed by something that plays a device, until disposed of.</summary>
    /// <param name="device">The device; <see cref="Backend.FusedCuda"/> is used only where it is asked for by name.</param>
    public static IDisposable Play(ICudaDevice device)
    {
        var before = Played.Value;
        Played.Value = device;
        return new Restore(before);
    }

    private sealed class Restore(ICudaDevice? before) : IDisposable
    {
        public void Dispose() => Played.Value = before;
    }
}
