using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>How tensors stand in a kernel's memory.</summary>
internal static class CudaElement
{
    /// <summary>Bytes at whose multiples a kernel's tensors begin: what one instruction moves.</summary>
    private const int Alignment = 16;

    /// <summary>The constant ELEMENT of a kernel over such elements.</summary>
    /// <exception cref="ArgumentException">No kernel computes them.</exception>
    public static string Of(ScalarType dtype) => dtype switch
    {
        ScalarType.Float32 => "float",
        ScalarType.Float16 => "half",
        ScalarType.BFloat16 => "bfloat16",
        var other => throw new ArgumentException($"no CUDA kernel computes {other}; use Float32, Float16 or BFloat16"),
    };

    /// <summary>The tensor as kernels read it: contiguous, and beginning where packs of elements can; a copy where it is neither.</summary>
    public static Tensor Readable(Tensor tensor) =>
        !tensor.is_contiguous() ? tensor.contiguous()
        : tensor.storage_offset() * tensor.ElementSize % Alignment == 0 ? tensor.alias()
        : tensor.clone();

    /// <summary>A table of parameters as kernels read it: float32.</summary>
    public static Tensor Table(Tensor parameters)
    {
        using var singles = parameters.to_type(ScalarType.Float32);
        return Readable(singles);
    }
}
