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
    public static ICudaDevice? Find(Tensor map, out string? obstacle) =>
        map.device_type == DeviceType.CUDA
            ? Find(DeviceType.CUDA, map.device_index, out obstacle)
            : Find(map.device_type, 0, out obstacle);

    /// <summary>The device that runs the kernels for tensors of such a place.</summary>
    /// <param name="place">Where tensors are.</param>
    /// <param name="index">On which one, as the tensor library counts.</param>
    /// <param name="obstacle">Why there is none.</param>
    public static ICudaDevice? Find(DeviceType place, int index, out string? obstacle)
    {
        obstacle = null;
        if (place is DeviceType.CPU or DeviceType.CUDA && Played.Value is { } played)
        {
            return played;
        }
        if (place == DeviceType.CUDA)
        {
            return DrivenDevice.Find(index, out obstacle);
        }
        obstacle = $"the map is on {place}";
        return null;
    }

    /// <summary>The same, where a kernel has been chosen already.</summary>
    /// <exception cref="NotSupportedException">There is none.</exception>
    public static ICudaDevice For(Tensor map) =>
        Find(map, out var obstacle) ?? throw new NotSupportedException($"no CUDA device runs this kernel: {obstacle}");

    /// <summary>
    /// For the caller, has tensors in main memory or on a device computed by something that plays one, until disposed of.
    /// </summary>
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
