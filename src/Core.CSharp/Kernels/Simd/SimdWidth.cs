namespace LocalAttention.Core.Kernels.Simd;

/// <summary>How many bits the kernels' vectors have.</summary>
internal enum SimdWidth
{
    /// <summary>No vectors.</summary>
    Scalar = 0,

    /// <summary>SSE, NEON.</summary>
    Bits128 = 128,

    /// <summary>AVX2.</summary>
    Bits256 = 256,

    /// <summary>AVX-512.</summary>
    Bits512 = 512,
}
