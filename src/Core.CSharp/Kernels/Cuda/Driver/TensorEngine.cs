using System.Reflection;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// What the tensor library knows and its public names do not say: where a tensor's elements stand on a device, and on which
/// stream the library works now. Found by name in whichever library is loaded.
/// </summary>
internal sealed unsafe class TensorEngine
{
    private static readonly Lazy<TensorEngine> OfTensors = new(() => new TensorEngine(typeof(Tensor).Assembly));

    private readonly AddressOf? _nativeAddress;
    private readonly Func<nint, nint>? _managedAddress;
    private readonly Func<int, nint>? _stream;

    /// <summary>The engine that an assembly has.</summary>
    /// <param name="assembly">The tensor library.</param>
    /// <exception cref="NotSupportedException">It is neither of the two that are known.</exception>
    internal TensorEngine(Assembly assembly)
    {
        // Ours: void* tn_tensor_data(nint) and nint tn_cuda_current_stream(int).
        if (Function(assembly, "TorchSharp.TorchNative", "tn_tensor_data") is { } data
            && Function(assembly, "TorchSharp.TorchNative", "tn_cuda_current_stream") is { } stream)
        {
            _nativeAddress = data.CreateDelegate<AddressOf>();
            _stream = stream.CreateDelegate<Func<int, nint>>();
        }
        // TorchSharp's package. It has no way to change the stream, which so is the default one.
        else if (Function(assembly, "TorchSharp.PInvoke.NativeMethods", "THSTensor_data") is { } packaged)
        {
            _managedAddress = packaged.CreateDelegate<Func<nint, nint>>();
        }
        else
        {
            throw new NotSupportedException(
                $"{assembly.GetName().FullName} tells nothing of tensors' addresses (neither TorchNative.tn_tensor_data nor "
                + "NativeMethods.THSTensor_data); CUDA kernels work with TorchSharp 0.107 and with this project's own library");
        }
    }

    private delegate void* AddressOf(nint handle);

    /// <summary>The engine of the tensor library in use.</summary>
    /// <exception cref="NotSupportedException">It is not one of those that are known.</exception>
    public static TensorEngine Current => OfTensors.Value;

    /// <summary>The address of a tensor's first element on its device; 0 where it has no elements.</summary>
    /// <exception cref="CudaException">The tensor has elements, but no memory.</exception>
    public nint AddressOfFirst(Tensor tensor)
    {
        var address = _nativeAddress is not null ? (nint)_nativeAddress(tensor.Handle) : _managedAddress!(tensor.Handle);
        return address != 0 || tensor.NumberOfElements == 0
            ? address
            : throw new CudaException($"a tensor of {string.Join("×", tensor.shape)} elements has no memory for a kernel");
    }

    /// <summary>The stream that the library puts its work on, on a device; 0: the default one.</summary>
    public nint StreamOf(int device) => _stream?.Invoke(device) ?? 0;

    private static MethodInfo? Function(Assembly assembly, string type, string name) =>
        assembly.GetType(type)?.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public);
}
