using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The middle of QnA in standard tensor operators: the meaning that every faster kernel must keep.
/// <code>
/// y[p,s,n,:] = Σ_i Σ_t softmax_t( S[t,s,i,n] + P[t−p,s,i,n] ) · A[t−p,s,i,n] · V[t,n,:]
/// </code>
/// with <c>t</c> over the window at <c>p</c>, inside the map. The softmax subtracts each window's largest score, so that
/// no finite score overflows; scores outside the map are −∞. Values do not depend on the query, so the weights of all
/// queries are summed before they meet the values.
/// </summary>
internal static class QnAAggregation
{
    /// <summary>The aggregated values of every window.</summary>
    /// <param name="scores"><c>S</c>: <c>[B, H, W, sets·Nq·h]</c>.</param>
    /// <param name="values"><c>V</c>: <c>[B, H, W, F]</c>.</param>
    /// <param name="positionBias"><c>P</c>: <c>[k², sets·Nq·h]</c>, or none.</param>
    /// <param name="scale"><c>A</c>: <c>[k² or 1, sets·Nq·h]</c>, or none for 1.</param>
    /// <param name="sets">Sets of queries; each has its own output.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="windows">The grid of windows.</param>
    /// <returns><c>[B, H', W', sets, F]</c>.</returns>
    public static Tensor Attend(
        Tensor scores, Tensor values, Tensor? positionBias, Tensor? scale, int sets, int heads, WindowGrid windows)
    {
        var weights = Weights(scores, positionBias, scale, sets, heads, windows).unsqueeze(-1).unbind(0);
        var (batch, height, width) = (values.size(0), weights[0].size(1), weights[0].size(2));

        var headWidth = values.size(3) / heads;
        var extended = windows.Extend(values);
        var perHead = extended.view(batch, extended.size(1), extended.size(2), 1, heads, headWidth);
        var sum = zeros([batch, height, width, sets, heads, headWidth], dtype: values.dtype, device: values.device);
        foreach (var (offset, neighbour) in windows.Neighbours(perHead).Index())
        {
            sum.addcmul_(weights[offset], neighbour, 1);
        }
        return sum.flatten(4);
    }

    /// <summary>The weight with which the value at each place of a window enters that window's output.</summary>
    /// <param name="scores"><c>S</c>: <c>[B, H, W, sets·Nq·h]</c>.</param>
    /// <param name="positionBias"><c>P</c>: <c>[k², sets·Nq·h]</c>, or none.</param>
    /// <param name="scale"><c>A</c>: <c>[k² or 1, sets·Nq·h]</c>, or none for 1.</param>
    /// <param name="sets">Sets of queries; each has its own output.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="windows">The grid of windows.</param>
    /// <returns><c>[k², B, H', W', sets, h]</c>; of either sign, as the scales are.</returns>
    public static Tensor Weights(
        Tensor scores, Tensor? positionBias, Tensor? scale, int sets, int heads, WindowGrid windows)
    {
        var windowScores = stack(windows.Neighbours(windows.Extend(scores, double.NegativeInfinity)));
        var (area, batch, height, width) = (windows.Area, scores.size(0), windowScores.size(2), windowScores.size(3));
        if (positionBias is not null)
        {
            windowScores = windowScores + positionBias.view(area, 1, 1, 1, -1);
        }
        var attention = windowScores.softmax(0);
        if (scale is not null)
        {
            attention = attention * scale.view(scale.size(0), 1, 1, 1, -1);
        }
        var queries = attention.size(4) / (sets * heads);
        return attention.view(area, batch, height, width, sets, queries, heads).sum(5);
    }
}
