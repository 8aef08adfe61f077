using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Self-attention of all tokens of a map to all, without a position bias: <c>[B, H, W, C]</c> to the same shape. Where it is
/// locally enhanced, a depthwise 3×3 convolution of the values, zeros around the map, is added before the output's projection
/// (CSwin, arXiv 2107.00652, section 3.3):
/// <code>proj(softmax(q·kᵀ/√d)·v + get_v(v))</code>
/// </summary>
/// <remarks>Parameters: <c>qkv.{weight,bias}</c>, <c>get_v.{weight,bias}</c>, <c>proj.{weight,bias}</c>.</remarks>
public sealed class GlobalLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly GlobalAttention _attention;
    private readonly int _channels;
    private readonly string _place;

    private readonly Linear qkv;
    private readonly Conv2d? get_v;
    private readonly Linear proj;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="conventions">How weights start; none: as Swin's do.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The heads do not divide the channels.</exception>
    public GlobalLayer(GlobalAttention attention, int channels, Conventions? conventions = null, string place = "global")
        : base(nameof(GlobalLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        _attention = attention;
        _channels = channels;
        _place = place;
        var initialization = (conventions ?? Conventions.PyTorch).Initialization;
        qkv = WeightInitialization.Linear(channels, 3L * channels, attention.QkvBias, initialization);
        get_v = attention.LocallyEnhanced ? WeightInitialization.Depthwise(channels, initialization) : null;
        proj = WeightInitialization.Linear(channels, channels, attention.ProjectionBias, initialization);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public GlobalAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">The map has another rank, width, element type or device.</exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var projected = Projection.Apply(qkv, map);
        var attended = DotProductAttention.AttendWhole(projected, _attention.Heads, _attention.Order);
        if (get_v is not null)
        {
            attended = attended + LocalEnhancement.Apply(get_v, Values(projected));
        }
        return Projection.Apply(proj, attended).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var (weights, _) = DotProductAttention.Weights(
            Projection.Apply(qkv, map).flatten(1, 2), _attention.Heads, _attention.Order, bias: null);
        return DotProductAttention.Received(weights).view(batch, height, width).MoveToOuterDisposeScope();
    }

    /// <summary>The values of all heads side by side, <c>[B, H, W, C]</c>.</summary>
    private Tensor Values(Tensor projected) => _attention.Order == QkvOrder.QkvMajor
        ? projected.narrow(3, 2L * _channels, _channels)
        : projected.unflatten(3, [_attention.Heads, 3, _channels / _attention.Heads]).select(4, 2).flatten(3);
}
