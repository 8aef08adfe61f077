namespace LocalAttention.Core.Kernels.Dense;

/// <summary>By which operator of the tensor library a linear layer is computed.</summary>
internal enum LinearRoute
{
    /// <summary><c>linear</c>: the matrix product of the library's BLAS.</summary>
    Product,

    /// <summary>A 1×1 convolution over the tokens as pixels, channels last, without a copy: the library's convolutions.</summary>
    Convolution,
}
