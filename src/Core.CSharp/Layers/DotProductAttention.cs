using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Multi-head attention: <c>softmax(q·kᵀ/√d + bias) · v</c>.</summary>
internal static class DotProductAttention
{
    /// <summary>Attention of all tokens of a map to all.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="order">How the <c>3C</c> channels are laid out.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor AttendWhole(Tensor projected, int heads, QkvOrder order)
    {
        var (batch, height, width) = (projected.size(0), (int)projected.size(1), (int)projected.size(2));
        var channels = (int)(projected.size(3) / 3);
        var whole = new AttentionMap(
            batch, new WindowAxis(height, height, 0), new WindowAxis(width, width, 0), heads, channels / heads, order);
        if (IsFused(projected, whole))
        {
            return AttendFused(projected, whole);
        }
        return Attend(projected.flatten(1, 2), heads, order, bias: null).view(batch, height, width, channels);
    }

    /// <summary>Whether a fused kernel attends to such a map.</summary>
    /// <param name="map">A tensor of the projected map's device and element type.</param>
    /// <param name="divided">How the projected map is divided.</param>
    public static bool IsFused(Tensor map, in AttentionMap divided) => Backends.For(map) switch
    {
        Backend.FusedCpu => true,
        Backend.FusedCuda => CudaAttention.Takes(divided.HeadWidth),
        _ => false,
    };

    /// <summary>Attention inside windows by a fused kernel, where there is one.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="divided">How they are divided.</param>
    /// <param name="table">Swin's biases, <c>[(2w − 1)², h]</c>, or none.</param>
    /// <param name="biasWindow">The window that they were made for, <c>w</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor AttendFused(Tensor projected, in AttentionMap divided, Tensor? table = null, int biasWindow = 0) =>
        Backends.For(projected) == Backend.FusedCuda
            ? CudaAttention.Apply(projected, divided, table, biasWindow)
            : FusedAttention.Apply(projected, divided, table, biasWindow);

    /// <summary>Attention of queries to the keys and values of another, smaller map.</summary>
    /// <param name="queries"><c>[B, H, W, C]</c>.</param>
    /// <param name="keysAndValues">All keys, then all values, <c>[B, H', W', 2C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor AttendTo(Tensor queries, Tensor keysAndValues, int heads)
    {
        var (weights, values) = WeightsTo(queries, keysAndValues, heads);
        return weights.matmul(values).transpose(1, 2).reshape(queries.shape);
    }

    /// <summary>The weights that queries give to the tokens of another map, and that map's values.</summary>
    /// <param name="queries"><c>[B, H, W, C]</c>.</param>
    /// <param name="keysAndValues">All keys, then all values, <c>[B, H', W', 2C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <returns><c>[B, h, H·W, H'·W']</c> and <c>[B, h, H'·W', C/h]</c>.</returns>
    public static (Tensor Weights, Tensor Values) WeightsTo(Tensor queries, Tensor keysAndValues, int heads)
    {
        var (batch, channels) = (queries.size(0), queries.size(3));
        var width = channels / heads;
        var own = queries.view(batch, -1, heads, width).transpose(1, 2) / Math.Sqrt(width);
        var others = keysAndValues.view(batch, -1, 2, heads, width).permute(2, 0, 3, 1, 4).unbind(0);
        return (own.matmul(others[0].transpose(2, 3)).softmax(-1), others[1]);
    }

    /// <summary>Attends inside each sequence.</summary>
    /// <param name="projected">Queries, keys and values, <c>[N, L, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="order">How the <c>3C</c> channels are laid out.</param>
    /// <param name="bias">
    /// Added to the logits: <c>[h, L, L]</c> for all sequences, <c>[w, h, L, L]</c> for each of <c>w</c> sequences that
    /// repeat, or none.
    /// </param>
    /// <returns><c>[N, L, C]</c>.</returns>
    public static Tensor Attend(Tensor projected, int heads, QkvOrder order, Tensor? bias)
    {
        var (sequences, length, channels) = (projected.size(0), projected.size(1), projected.size(2) / 3);
        var (weights, values) = Weights(projected, heads, order, bias);
        return weights.matmul(values).transpose(1, 2).reshape(sequences, length, channels);
    }

    /// <summary>The weights that tokens of each sequence give to each other, and their values.</summary>
    /// <param name="projected">Queries, keys and values, <c>[N, L, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="order">How the <c>3C</c> channels are laid out.</param>
    /// <param name="bias">As <see cref="Attend"/> takes it.</param>
    /// <returns><c>[N, h, L, L]</c>, queries before keys, and <c>[N, h, L, C/h]</c>.</returns>
    public static (Tensor Weights, Tensor Values) Weights(Tensor projected, int heads, QkvOrder order, Tensor? bias)
    {
        var (sequences, length, channels) = (projected.size(0), projected.size(1), projected.size(2) / 3);
        var width = channels / heads;
        var parts = order == QkvOrder.HeadMajor
            ? projected.view(sequences, length, heads, 3, width).permute(3, 0, 2, 1, 4).unbind(0)
            : projected.view(sequences, length, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0);
        var logits = (parts[0] / Math.Sqrt(width)).matmul(parts[1].transpose(2, 3));
        if (bias is { ndim: 3 })
        {
            logits = logits + bias;
        }
        else if (bias is not null)
        {
            logits = (logits.view(sequences / bias.size(0), bias.size(0), heads, length, length) + bias).view_as(logits);
        }
        return (logits.softmax(-1), parts[2]);
    }

    /// <summary>What each key receives from all queries, averaged over heads: from <c>[N, h, Q, K]</c> to <c>[N, K]</c>.</summary>
    public static Tensor Received(Tensor weights) => weights.sum(2).mean([1L]);
}
