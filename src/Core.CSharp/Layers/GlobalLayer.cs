using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Self-attention of all tokens of a map to all, without a position bias: <c>[B, H, W, C]</c> to the same shape.
/// </summary>
/// <remarks>Parameters: <c>qkv.{weight,bias}</c>, <c>proj.{weight,bias}</c>.</remarks>
public sealed class GlobalLayer : nn.Module<Tensor, Tensor>
{
    private readonly GlobalAttention _attention;
    private readonly int _channels;
    private readonly string _place;

    private readonly Linear qkv;
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
        proj = WeightInitialization.Linear(channels, channels, attention.ProjectionBias, initialization);
        RegisterComponents();
    }

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">The map has another rank, width, element type or device.</exception>
    public override Tensor forward(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        if (Backends.For(map) == Backend.FusedCpu)
        {
            var whole = new AttentionMap(
                batch, new WindowAxis((int)height, (int)height, 0), new WindowAxis((int)width, (int)width, 0),
                _attention.Heads, _channels / _attention.Heads, _attention.Order);
            var fused = FusedAttention.Apply(Projection.Apply(qkv, map), whole, table: null, biasWindow: 0);
            return Projection.Apply(proj, fused).MoveToOuterDisposeScope();
        }
        var attended = DotProductAttention.Attend(qkv.call(map.flatten(1, 2)), _attention.Heads, _attention.Order, bias: null);
        return proj.call(attended).view(map.shape).MoveToOuterDisposeScope();
    }
}
