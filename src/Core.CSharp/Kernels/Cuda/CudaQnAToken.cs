using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// How a projected token stands in memory for QnA's CUDA kernels: scores <c>[sets, Nq, h]</c>, zeros up to a multiple of 8
/// elements, values <c>[h, d]</c>.
/// </summary>
/// <param name="Sets">Sets of queries, each with its own output.</param>
/// <param name="Queries">Queries of a set, <c>Nq</c>.</param>
/// <param name="Heads">Heads, <c>h</c>.</param>
/// <param name="HeadWidth">Channels of a head, <c>d</c>.</param>
internal readonly record struct CudaQnAToken(int Sets, int Queries, int Heads, int HeadWidth)
{
    // Values then begin where packs of elements can, and products take whole vectors.
    private const int Unit = 8;

    /// <summary>Columns of all scores.</summary>
    public int Columns => Sets * Queries * Heads;

    /// <summary>Where values begin.</summary>
    public int ValuesStart => (Columns + Unit - 1) / Unit * Unit;

    /// <summary>Elements of all values, and of a window's output.</summary>
    public int ValueWidth => Heads * HeadWidth;

    /// <summary>Elements of a token.</summary>
    public int Width => ValuesStart + ValueWidth;

    /// <summary>What makes scores and what makes values, side by side along a dimension, with the zeros between.</summary>
    /// <param name="scores"><see cref="Columns"/> along the dimension.</param>
    /// <param name="values"><see cref="ValueWidth"/> along it.</param>
    /// <param name="dimension">The dimension.</param>
    public Tensor Join(Tensor scores, Tensor values, int dimension)
    {
        if (ValuesStart == Columns)
        {
            return cat([scores, values], dimension);
        }
        var shape = scores.shape;
        shape[dimension] = ValuesStart - Columns;
        using var padding = zeros(shape, dtype: scores.dtype, device: scores.device);
        return cat([scores, padding, values], dimension);
    }
}
