using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Spatial-reduction attention (PVT, arXiv 2102.12122, section 3.3): every token attends to a map whose tokens are patches of
/// <c>R×R</c> tokens, projected and normalised. <c>[B, H, W, C]</c> to the same shape.
/// <code>
/// k, v = kv(norm(sr(x)))            sr: a convolution of kernel and stride R; with R = 1, k, v = kv(x)
/// output = proj(softmax(q(x)·kᵀ/√d)·v)
/// </code>
/// </summary>
/// <remarks>
/// <para>
/// Where patches do not divide the map and <see cref="SizePolicy.Pad"/> allows it, zeros are added at the bottom and the right
/// of what is reduced.
/// </para>
/// <para>
/// Parameters: <c>q.{weight,bias}</c>, <c>kv.{weight,bias}</c>, <c>sr.{weight,bias}</c>, <c>norm.{weight,bias}</c>,
/// <c>proj.{weight,bias}</c>; <c>sr</c> and <c>norm</c> only where something is reduced.
/// </para>
/// </remarks>
public sealed class SpatialReductionLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly SpatialReductionAttention _attention;
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly Linear q;
    private readonly Linear kv;
    private readonly Conv2d? sr;
    private readonly LayerNorm? norm;
    private readonly Linear proj;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="sizePolicy">What is done with maps that patches do not divide.</param>
    /// <param name="conventions">Norm and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The heads do not divide the channels, or the reduction is below 1.</exception>
    public SpatialReductionLayer(
        SpatialReductionAttention attention,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "reduction")
        : base(nameof(SpatialReductionLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Reduction < 1)
        {
            throw new ArgumentException($"{place}: the reduction is {attention.Reduction}; use at least 1");
        }
        _attention = attention;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        conventions ??= Conventions.PyTorch;
        var initialization = conventions.Initialization;
        q = WeightInitialization.Linear(channels, channels, attention.QkvBias, initialization);
        kv = WeightInitialization.Linear(channels, 2L * channels, attention.QkvBias, initialization);
        if (attention.Reduction > 1)
        {
            sr = WeightInitialization.Convolution(
                channels, channels, attention.Reduction, attention.Reduction, padding: 0, bias: true, initialization);
            norm = nn.LayerNorm(channels, conventions.EpsilonAroundBlocks);
        }
        proj = WeightInitialization.Linear(channels, channels, bias: true, initialization);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public SpatialReductionAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or patches do not divide it and the policy is exact.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        MapInput.Require(map, _channels, q.weight, _place);
        using var scope = NewDisposeScope();
        var attended = sr is null
            ? DotProductAttention.AttendWhole(ProjectedTogether(map), _attention.Heads, QkvOrder.QkvMajor)
            : DotProductAttention.AttendTo(
                Projection.Apply(q, map), Projection.Apply(kv, Reduced(map, sr, norm!)), _attention.Heads);
        return Projection.Apply(proj, attended).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, q.weight, _place);
        using var scope = NewDisposeScope();
        if (sr is null)
        {
            var (whole, _) = DotProductAttention.Weights(
                ProjectedTogether(map).flatten(1, 2), _attention.Heads, QkvOrder.QkvMajor, bias: null);
            return DotProductAttention.Received(whole).view(batch, height, width).MoveToOuterDisposeScope();
        }
        var (weights, _) = DotProductAttention.WeightsTo(
            Projection.Apply(q, map), Projection.Apply(kv, Reduced(map, sr, norm!)), _attention.Heads);
        var (rows, columns) = (
            TokenCells.Patches(height, _attention.Reduction), TokenCells.Patches(width, _attention.Reduction));
        var cells = DotProductAttention.Received(weights).view(batch, rows.Count, columns.Count);
        return TokenCells.Spread(cells, rows, columns).MoveToOuterDisposeScope();
    }

    /// <summary>The smaller map, <c>[B, ⌈H/R⌉, ⌈W/R⌉, C]</c>.</summary>
    private Tensor Reduced(Tensor map, Conv2d reduction, LayerNorm after)
    {
        var whole = TokenPadding.ToMultiple(map, (1, 2), _attention.Reduction, _sizePolicy, _place, "map");
        return Normalisation.Apply(after, reduction.call(whole.permute(0, 3, 1, 2)).permute(0, 2, 3, 1));
    }

    /// <summary>Queries, keys and values of all tokens by one product, <c>[B, H, W, 3C]</c>.</summary>
    private Tensor ProjectedTogether(Tensor map) => Projection.Apply(
        cat([q.weight, kv.weight]), _attention.QkvBias ? cat([q.bias!, kv.bias!]) : null, map);
}
