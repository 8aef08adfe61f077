using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Linear spatial-reduction attention (PVTv2, arXiv 2106.13797, section 3.3): every token attends to a map of fixed size, each
/// of whose tokens is the average of a cell. <c>[B, H, W, C]</c> to the same shape.
/// <code>
/// k, v = kv(gelu(norm(sr(average(x)))))            sr: a 1×1 convolution
/// output = proj(softmax(q(x)·kᵀ/√d)·v)
/// </code>
/// </summary>
/// <remarks>
/// <para>Cell <c>i</c> of <c>P</c> holds the rows from <c>⌊i·H/P⌋</c> to before <c>⌈(i+1)·H/P⌉</c>, columns likewise.</para>
/// <para>
/// Parameters: <c>q.{weight,bias}</c>, <c>kv.{weight,bias}</c>, <c>sr.{weight,bias}</c>, <c>norm.{weight,bias}</c>,
/// <c>proj.{weight,bias}</c>.
/// </para>
/// </remarks>
public sealed class PooledLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly PooledAttention _attention;
    private readonly int _channels;
    private readonly string _place;

    private readonly Linear q;
    private readonly Linear kv;
    private readonly Conv2d sr;
    private readonly LayerNorm norm;
    private readonly Linear proj;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The heads do not divide the channels, or the pool is below 1.</exception>
    public PooledLayer(PooledAttention attention, int channels, Conventions? conventions = null, string place = "pooled")
        : base(nameof(PooledLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Pool < 1)
        {
            throw new ArgumentException($"{place}: the pool is {attention.Pool}; use at least 1");
        }
        _attention = attention;
        _channels = channels;
        _place = place;
        conventions ??= Conventions.PyTorch;
        var initialization = conventions.Initialization;
        q = WeightInitialization.Linear(channels, channels, attention.QkvBias, initialization);
        kv = WeightInitialization.Linear(channels, 2L * channels, attention.QkvBias, initialization);
        sr = WeightInitialization.ByFanOut(
            WeightInitialization.Convolution(channels, channels, kernel: 1, stride: 1, padding: 0, bias: true, initialization),
            initialization);
        norm = nn.LayerNorm(channels, conventions.EpsilonAroundBlocks);
        proj = WeightInitialization.Linear(channels, channels, bias: true, initialization);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public PooledAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">The map has another rank, width, element type or device.</exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, q.weight, _place);
        using var scope = NewDisposeScope();
        var attended = DotProductAttention.AttendTo(
            Projection.Apply(q, map), Projection.Apply(kv, Pooled(map)), _attention.Heads);
        return Projection.Apply(proj, attended).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, q.weight, _place);
        using var scope = NewDisposeScope();
        var (weights, _) = DotProductAttention.WeightsTo(
            Projection.Apply(q, map), Projection.Apply(kv, Pooled(map)), _attention.Heads);
        var cells = DotProductAttention.Received(weights).view(batch, _attention.Pool, _attention.Pool);
        return TokenCells
            .Spread(cells, TokenCells.Pools(height, _attention.Pool), TokenCells.Pools(width, _attention.Pool))
            .MoveToOuterDisposeScope();
    }

    /// <summary>The map of cells, <c>[B, P, P, C]</c>.</summary>
    private Tensor Pooled(Tensor map)
    {
        var cells = nn.functional.adaptive_avg_pool2d(map.permute(0, 3, 1, 2), _attention.Pool).permute(0, 2, 3, 1);
        // A 1×1 convolution is a linear layer of every token.
        var projected = Projection.Apply(sr.weight.flatten(1), sr.bias, cells);
        return Activations.Fused(Normalisation.Apply(norm, projected), Activation.Gelu);
    }
}
