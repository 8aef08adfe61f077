using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The middle of Slide Attention in standard tensor operators: the meaning that every faster kernel must keep. The
/// convolutions are linear in the window, so their sum is taken over the window's tokens instead of storing
/// <c>k²</c> convolved maps:
/// <code>
/// logit[j] = Σ_t Σ_c W[c,j,t] · q_c K[c,p+t] + Σ_c q_c (b[c,j] + rpb[n,j])
/// out_c = Σ_t (Σ_j a_j W[c,j,t]) · V[c,p+t] + Σ_j a_j b[c,j]          a = softmax_j(logit)
/// </code>
/// </summary>
internal static class SlideAggregation
{
    /// <summary>The attended values of every token.</summary>
    /// <param name="queries">Scaled queries, <c>[B, H, W, h, d]</c>.</param>
    /// <param name="keys">Keys on the extended map, <c>[B, H + 2r, W + 2r, h, d]</c>.</param>
    /// <param name="values">Values on the extended map, <c>[B, H + 2r, W + 2r, h, d]</c>.</param>
    /// <param name="weight"><c>W</c>: channel, sample, position of the window, <c>[d, k², k²]</c>.</param>
    /// <param name="bias"><c>b</c>: <c>[d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb</c>: <c>[h, k²]</c>.</param>
    /// <param name="windows">The grid of windows.</param>
    /// <returns><c>[B, H, W, h, d]</c>.</returns>
    public static Tensor Attend(
        Tensor queries, Tensor keys, Tensor values, Tensor weight, Tensor bias, Tensor positionBias, WindowGrid windows)
    {
        var attention = Weights(queries, keys, weight, bias, positionBias, windows);
        var samples = weight.unbind(2);
        var attended = attention.matmul(bias.transpose(0, 1));
        foreach (var (position, value) in windows.Neighbours(values).Index())
        {
            using var shares = attention.matmul(samples[position].transpose(0, 1));
            attended.addcmul_(shares, value, 1);
        }
        return attended;
    }

    /// <summary>The weight that every token gives to each of its samples.</summary>
    /// <param name="queries">Scaled queries, <c>[B, H, W, h, d]</c>.</param>
    /// <param name="keys">Keys on the extended map, <c>[B, H + 2r, W + 2r, h, d]</c>.</param>
    /// <param name="weight"><c>W</c>: channel, sample, position of the window, <c>[d, k², k²]</c>.</param>
    /// <param name="bias"><c>b</c>: <c>[d, k²]</c>.</param>
    /// <param name="positionBias"><c>rpb</c>: <c>[h, k²]</c>.</param>
    /// <param name="windows">The grid of windows.</param>
    /// <returns><c>[B, H, W, h, k²]</c>.</returns>
    public static Tensor Weights(
        Tensor queries, Tensor keys, Tensor weight, Tensor bias, Tensor positionBias, WindowGrid windows)
    {
        var samples = weight.unbind(2);
        var logits = queries.matmul(bias) + (queries.sum(-1, keepdim: true) * positionBias);
        foreach (var (position, key) in windows.Neighbours(keys).Index())
        {
            using var products = queries * key;
            using var part = products.matmul(samples[position]);
            logits.add_(part);
        }
        return logits.softmax(-1);
    }
}
