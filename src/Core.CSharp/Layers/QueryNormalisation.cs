using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>What is done to the norm of QnA's learned queries.</summary>
internal static class QueryNormalisation
{
    /// <summary>Keeps a query of norm 0 finite; the official code's value.</summary>
    private const double Epsilon = 1e-6;

    /// <summary>Normalises each head's query.</summary>
    /// <param name="queries"><c>[…, d]</c>; norms are over the last dimension.</param>
    /// <param name="norm">How.</param>
    public static Tensor Apply(Tensor queries, QueryNorm norm)
    {
        switch (norm)
        {
            case UnitNorm unit:
                var length = queries.norm(-1, keepdim: true);
                return queries / ((unit.StopGradient ? length.detach() : length) + Epsilon);
            case LargestNorm largest:
                return queries * (largest.Limit / (queries.norm(-1, keepdim: true) + Epsilon)).clamp_max(1);
            default:
                return queries;
        }
    }
}
