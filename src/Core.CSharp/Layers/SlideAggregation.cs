using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The middle of Slide Attention in standard tensor operators: the meaning that every faster kernel must keep. The
/// convolutions are linear in the window, so their sum is taken over the window's tokens instead of storing
/// <c>k²</c> convolved maps:
/// <code>
/// logit[j] = Σ_{c,t} W[c,j,t] · (q_c K[c,p+t]) + Σ_c q_c (b[c,j] + rpb[n,j])
/// out_c = Σ_t (Σ_j a_j W[c,j,t]) · V[c,p+t] + Σ_j a_j b[c,j]          a = softmax_j(logit)
/// </code>
/// </summary>
internal static class SlideAggregation
{
    /// <summary>The attended values of every token.</summary>
    /// <param name="queries">Scaled queries of all images and heads, <c>[B·h, d, L]</c>.</param>
    /// <param name="keys">Each token's window of keys, <c>[B·h, d, k², L]</c>.</param>
    /// <param name="values">Each token's window of values, <c>[B·h, d, k², L]</c>.</param>
    /// <param name="weight"><c>W</c>: sample from position of the window, <c>[d, k², k²]</c>.</param>
    /// <param name="bias"><c>b</c>: <c>[d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb</c>: <c>[h, k²]</c>.</param>
    /// <returns><c>[B·h, d, L]</c>.</returns>
    public static Tensor Attend(Tensor queries, Tensor keys, Tensor values, Tensor weight, Tensor bias, Tensor positionBias)
    {
        var samplesFromWindow = weight.transpose(0, 1).flatten(1);
        var products = (queries.unsqueeze(2) * keys).flatten(1, 2);
        var biases = (bias.transpose(0, 1) + positionBias.unsqueeze(2)).repeat(queries.size(0) / positionBias.size(0), 1, 1);
        var logits = samplesFromWindow.matmul(products) + biases.matmul(queries);
        var attention = logits.softmax(1);
        var windowFromSamples = samplesFromWindow.transpose(0, 1).matmul(attention).view_as(values);
        return (windowFromSamples * values).sum(2) + bias.matmul(attention);
    }
}
