using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>From the specification of an attention to its layer.</summary>
public static class AttentionLayers
{
    /// <summary>The layer of an attention: from <c>[B, H, W, C]</c> to the same shape.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="sizePolicy">What is done with maps that windows do not divide.</param>
    /// <param name="conventions">How weights start; none: PyTorch's.</param>
    /// <param name="place">Where the layer stands, as messages name it; none: its kind.</param>
    /// <exception cref="ArgumentException">The attention does not fit the channels.</exception>
    public static nn.Module<Tensor, Tensor> Build(
        this Attention attention,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string? place = null)
    {
        ArgumentNullException.ThrowIfNull(attention);
        conventions ??= Conventions.PyTorch;
        place ??= attention.Kind;
        return attention switch
        {
            QnAAttention qna => new QnALayer(qna, channels, conventions: conventions, place: place),
            SlideAttention slide => new SlideLayer(slide, channels, conventions, place),
            WindowAttention window => new WindowLayer(window, channels, sizePolicy, conventions, place),
            GlobalAttention global => new GlobalLayer(global, channels, conventions, place),
            SpatialReductionAttention reduced => new SpatialReductionLayer(reduced, channels, sizePolicy, conventions, place),
            PooledAttention pooled => new PooledLayer(pooled, channels, conventions, place),
            CrossShapedAttention cross => new CrossShapedLayer(cross, channels, sizePolicy, conventions, place),
            NeighbourhoodAttention near => new NeighbourhoodLayer(near, channels, sizePolicy, conventions, place),
            _ => throw new ArgumentException($"{place}: no layer for an attention of kind '{attention.Kind}'"),
        };
    }
}
