using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Simd;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels;

/// <summary>The one place where the backend is chosen, and where a user overrides the choice.</summary>
public static class Backends
{
    /// <summary>The variable that sets <see cref="Preferred"/> at the start: a name of <see cref="Backend"/>.</summary>
    public const string Variable = "LOCALATTENTION_BACKEND";

    // What a caller asks for a while concerns its own flow of control, not what other threads do meanwhile.
    private static readonly AsyncLocal<Backend?> Scoped = new();

    private static Backend? _preferred;

    /// <summary>
    /// What layers use: <see cref="Backend.Auto"/> unless set here, for the whole process, or by
    /// <c>LOCALATTENTION_BACKEND</c>; inside <see cref="Use"/>, what that says.
    /// </summary>
    /// <exception cref="InvalidOperationException">The variable's value is no backend.</exception>
    public static Backend Preferred
    {
        get => Scoped.Value ?? (_preferred ??= FromEnvironment(Environment.GetEnvironmentVariable(Variable)));
        set => _preferred = value;
    }

    /// <summary>Overrides <see cref="Preferred"/> for the caller until the result is disposed of.</summary>
    /// <param name="backend">What its layers use meanwhile.</param>
    public static IDisposable Use(Backend backend)
    {
        var before = Scoped.Value;
        Scoped.Value = backend;
        return new Restore(before);
    }

    /// <summary>What a layer does with such a map.</summary>
    /// <param name="map">The layer's input.</param>
    /// <returns>One of the backends other than <see cref="Backend.Auto"/>.</returns>
    /// <exception cref="NotSupportedException">A fused backend is asked for and does not take the map.</exception>
    public static Backend For(Tensor map)
    {
        ArgumentNullException.ThrowIfNull(map);
        var preferred = Preferred;
        if (preferred == Backend.Auto)
        {
            return map.device_type == DeviceType.CPU
                ? ObstacleToFusedCpu(map) is null ? Backend.FusedCpu : Backend.Composite
                : ObstacleToFusedCuda(map) is null ? Backend.FusedCuda : Backend.Composite;
        }
        var obstacle = preferred switch
        {
            Backend.FusedCpu => ObstacleToFusedCpu(map),
            Backend.FusedCuda => ObstacleToFusedCuda(map),
            _ => null,
        };
        return obstacle is null
            ? preferred
            : throw new NotSupportedException(
                $"the backend {preferred} is asked for, but {obstacle}; use {Backend.Composite} or {Backend.Auto}");
    }

    /// <summary>What runs here, in words: for a printed model.</summary>
    /// <param name="device">Where the parameters are.</param>
    /// <param name="dtype">Their element type.</param>
    /// <param name="index">On which device of several, as the tensor library counts.</param>
    /// <returns>
    /// The backend and what it runs on, as <c>FusedCuda: NVIDIA H200, sm_90, 132 multiprocessors</c>; for tensors on a CUDA
    /// device that no kernel takes, also why.
    /// </returns>
    public static string Describe(DeviceType device, ScalarType dtype, int index = 0)
    {
        var preferred = Preferred;
        if (preferred == Backend.FusedCuda || (preferred == Backend.Auto && device == DeviceType.CUDA))
        {
            var obstacle = ObstacleToFusedCuda(device, index, dtype, out var found);
            return obstacle is null
                ? $"{Backend.FusedCuda}: {found!.Name}, sm_{found.Architecture}, {found.Multiprocessors} multiprocessors"
                : $"{Backend.Composite}: standard tensor operators on {device} ({obstacle})";
        }
        if (preferred == Backend.Composite || device != DeviceType.CPU || !Computes(dtype))
        {
            return $"{Backend.Composite}: standard tensor operators on {device}";
        }
        var width = SimdWidths.Current == SimdWidth.Scalar ? "no vectors" : $"{(int)SimdWidths.Current}-bit vectors";
        var threads = get_num_threads();
        return $"{Backend.FusedCpu}: {width}, {threads} {(threads == 1 ? "thread" : "threads")}";
    }

    /// <summary>The backend that a value of the variable names.</summary>
    /// <exception cref="InvalidOperationException">The value is no backend.</exception>
    internal static Backend FromEnvironment(string? value)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return Backend.Auto;
        }
        return Enum.TryParse<Backend>(value.Trim(), ignoreCase: true, out var backend) && Enum.IsDefined(backend)
            ? backend
            : throw new InvalidOperationException(
                $"{Variable} is '{value}'; it can be {string.Join(", ", Enum.GetNames<Backend>())}");
    }

    private static string? ObstacleToFusedCpu(Tensor map) =>
        map.device_type != DeviceType.CPU ? $"the map is on {map.device_type}"
        : !Computes(map.dtype) ? $"the map has elements of {map.dtype}"
        : map.dtype == ScalarType.BFloat16 && is_grad_enabled() ? "bfloat16 has no fused gradients; disable them by no_grad()"
        : null;

    private static string? ObstacleToFusedCuda(Tensor map) => ObstacleToFusedCuda(
        map.device_type, map.device_type == DeviceType.CUDA ? map.device_index : 0, map.dtype, out _);

    private static string? ObstacleToFusedCuda(DeviceType place, int index, ScalarType dtype, out CudaLimits? found)
    {
        found = null;
        if (dtype is not (ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16))
        {
            return $"the map has elements of {dtype}";
        }
        found = CudaDevices.Find(place, index, out var obstacle)?.Limits;
        return obstacle;
    }

    private static bool Computes(ScalarType dtype) => dtype is ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16;

    private sealed class Restore(Backend? before) : IDisposable
    {
        public void Dispose() => Scoped.Value = before;
    }
}
