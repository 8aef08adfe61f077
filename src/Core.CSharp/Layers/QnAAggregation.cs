using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The middle of QnA in standard tensor operators: the meaning that every faster kernel must keep.
/// <code>
/// y[p,s,n,:] = Σ_i Σ_t softmax_t( S[t,s,i,n] + P[t−p,s,i,n] ) · A[t−p,s,i,n] · V[t,n,:]
/// </code>
/// with <c>t</c> over the window at <c>p</c>, inside the map. The softmax subtracts each window's largest score, so that
/// no finite score overflows. Values do not depend on the query, so the weights of all queries are summed before they
/// meet the values.
/// </summary>
internal static class QnAAggregation
{
    /// <summary>The aggregated values of every window.</summary>
    /// <param name="scores"><c>S</c>: <c>[B, H, W, sets·Nq·h]</c>.</param>
    /// <param name="values"><c>V</c>: <c>[B, H, W, F]</c>.</param>
    /// <param name="positionBias"><c>P</c>: <c>[sets·Nq·h, k²]</c>, or none.</param>
    /// <param name="scale"><c>A</c>: <c>[sets·Nq·h, k² or 1]</c>, or none for 1.</param>
    /// <param name="sets">Sets of queries; each has its own output.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="windows">The grid of windows.</param>
    /// <returns><c>[B, sets, F, L]</c>, windows row by row.</returns>
    public static Tensor Attend(
        Tensor scores, Tensor values, Tensor? positionBias, Tensor? scale, int sets, int heads, WindowGrid windows)
    {
        var (batch, height, width) = (values.size(0), values.size(1), values.size(2));
        var outside = windows.OutsideBias(height, width, values);
        var bias = positionBias is null ? outside : positionBias.unsqueeze(-1) + outside;
        var weights = (windows.Unfold(scores.permute(0, 3, 1, 2)) + bias).softmax(2);
        if (scale is not null)
        {
            weights = weights * scale.unsqueeze(-1);
        }
        var perHead = weights.view(batch, sets, -1, heads, windows.Area, weights.size(3)).sum(2);
        var neighbours = windows.Unfold(values.permute(0, 3, 1, 2))
            .view(batch, 1, heads, values.size(3) / heads, windows.Area, weights.size(3));
        return (perHead.unsqueeze(3) * neighbours).sum(4).flatten(2, 3);
    }
}
