using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels;

/// <summary>Where a tensor's elements stand in main memory.</summary>
internal static unsafe class TensorPointer
{
    /// <summary>
    /// The address of a contiguous tensor's first element. The caller keeps the tensor alive while it uses the address.
    /// </summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous.</exception>
    public static T* Of<T>(Tensor tensor)
        where T : unmanaged
    {
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException($"a kernel needs a contiguous tensor, not strides of {string.Join(", ", tensor.stride())}");
        }
        if (tensor.NumberOfElements * tensor.ElementSize <= int.MaxValue)
        {
            return (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
        }
        // A span counts its bytes in an int: a larger tensor is seen by its first element.
        using var flat = tensor.view(-1);
        using var first = flat.narrow(0, 0, 1);
        return (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
