using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// QnA's contextual position bias: a learned linear map of a query, all its heads together, to one value for each offset
/// and head (arXiv 2107.14222).
/// <code>P[t,i,m] = Σ_n Σ_d q̂[i,n,d] · kernel[n,d,t,m] + bias[t,m]</code>
/// </summary>
internal sealed class ContextualPositionBias : nn.Module<Tensor, Tensor>
{
    private readonly Parameter kernel;
    private readonly Parameter bias;

    public ContextualPositionBias(int heads, int headWidth, long offsets)
        : base(nameof(ContextualPositionBias))
    {
        kernel = nn.Parameter(empty(heads, headWidth, offsets, heads));
        WeightInitialization.Weight(kernel, (long)heads * headWidth, Initialization.LecunNormal);
        bias = nn.Parameter(zeros(offsets, heads));
        RegisterComponents();
    }

    /// <summary>From queries <c>[Nq, h, d]</c> to the table <c>[k², Nq·h]</c>.</summary>
    public override Tensor forward(Tensor queries) =>
        (queries.flatten(1).matmul(kernel.flatten(0, 1).flatten(1)) + bias.flatten())
            .view(queries.size(0), bias.size(0), bias.size(1))
            .transpose(0, 1)
            .flatten(1);
}
