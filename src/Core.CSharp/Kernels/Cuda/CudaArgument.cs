using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>One parameter of a kernel: a number, or a tensor's memory and what the kernel does with it.</summary>
internal readonly struct CudaArgument
{
    private CudaArgument(CudaArgumentKind kind, ulong bits, Tensor? tensor)
    {
        Kind = kind;
        Bits = bits;
        Tensor = tensor;
    }

    /// <summary>A number, or what happens to the tensor.</summary>
    public CudaArgumentKind Kind { get; }

    /// <summary>The number's bits, in the lower bytes.</summary>
    public ulong Bits { get; }

    /// <summary>The tensor; none: a null pointer.</summary>
    public Tensor? Tensor { get; }

    /// <summary>A tensor that the kernel reads; none: a null pointer.</summary>
    public static CudaArgument Read(Tensor? tensor) => Of(CudaArgumentKind.Read, tensor);

    /// <summary>A tensor of which the kernel writes every element, whatever it held; none: a null pointer.</summary>
    public static CudaArgument Write(Tensor? tensor) => Of(CudaArgumentKind.Write, tensor);

    /// <summary>A tensor that the kernel changes in part, or reads and writes.</summary>
    public static CudaArgument Update(Tensor tensor) => Of(CudaArgumentKind.Update, tensor);

    /// <summary>A 32-bit integer, <c>int</c> in the kernel.</summary>
    public static implicit operator CudaArgument(int value) => new(CudaArgumentKind.Int32, (uint)value, null);

    /// <summary>A 64-bit integer, <c>long long</c> in the kernel.</summary>
    public static implicit operator CudaArgument(long value) => new(CudaArgumentKind.Int64, (ulong)value, null);

    /// <summary>A single, <c>float</c> in the kernel.</summary>
    public static implicit operator CudaArgument(float value) =>
        new(CudaArgumentKind.Single, Unsafe.BitCast<float, uint>(value), null);

    private static CudaArgument Of(CudaArgumentKind kind, Tensor? tensor) =>
        tensor is null || tensor.is_contiguous()
            ? new CudaArgument(kind, 0, tensor)
            : throw new ArgumentException(
                $"a kernel needs a contiguous tensor, not strides of {string.Join(", ", tensor.stride())}", nameof(tensor));
}

/// <summary>What an argument is.</summary>
internal enum CudaArgumentKind
{
    /// <summary>A tensor that is read.</summary>
    Read,

    /// <summary>A tensor that is written whole.</summary>
    Write,

    /// <summary>A tensor that is changed in part.</summary>
    Update,

    /// <summary>A 32-bit integer.</summary>
    Int32,

    /// <summary>A 64-bit integer.</summary>
    Int64,

    /// <summary>A single.</summary>
    Single,
}
