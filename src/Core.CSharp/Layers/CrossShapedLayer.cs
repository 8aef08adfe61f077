using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Cross-shaped window attention (CSwin, arXiv 2107.00652, sections 3.2 and 3.3): the first half of the heads attends inside
/// vertical stripes of the whole height, the second inside horizontal ones of the whole width, and in each a depthwise 3×3
/// convolution of the values, which ends at the stripe's border, is added. <c>[B, H, W, C]</c> to the same shape.
/// <code>output = proj(concat over both halves of softmax(q·kᵀ/√d)·v + get_v(v))</code>
/// </summary>
/// <remarks>
/// <para>Where a stripe is at least as wide as the map, it is the map.</para>
/// <para>
/// Where stripes do not divide the map and <see cref="SizePolicy.Pad"/> allows it, tokens are added at the bottom and the
/// right, masked so that none attends to them, zero for the convolution, and cut off afterwards: the last stripe is what is
/// left of the map.
/// </para>
/// <para>
/// Parameters: <c>qkv.{weight,bias}</c>, <c>get_v_vertical.{weight,bias}</c>, <c>get_v_horizontal.{weight,bias}</c>,
/// <c>proj.{weight,bias}</c>.
/// </para>
/// </remarks>
public sealed class CrossShapedLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly CrossShapedAttention _attention;
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly Linear qkv;
    private readonly Conv2d get_v_vertical;
    private readonly Conv2d get_v_horizontal;
    private readonly Linear proj;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="sizePolicy">What is done with maps that stripes do not divide.</param>
    /// <param name="conventions">How weights start; none: PyTorch's.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">
    /// The heads do not divide the channels or are an odd number, or the stripe is empty.
    /// </exception>
    public CrossShapedLayer(
        CrossShapedAttention attention,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "cross-shaped")
        : base(nameof(CrossShapedLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Heads % 2 != 0)
        {
            throw new ArgumentException(
                $"{place}: {attention.Heads} heads cannot be halved between the two directions of stripes; use an even number");
        }
        if (attention.Stripe < 1)
        {
            throw new ArgumentException($"{place}: the stripe is {attention.Stripe}; use at least 1");
        }
        _attention = attention;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        var initialization = (conventions ?? Conventions.PyTorch).Initialization;
        qkv = WeightInitialization.Linear(channels, 3L * channels, attention.QkvBias, initialization);
        get_v_vertical = WeightInitialization.Depthwise(channels / 2, initialization);
        get_v_horizontal = WeightInitialization.Depthwise(channels / 2, initialization);
        proj = WeightInitialization.Linear(channels, channels, bias: true, initialization);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public CrossShapedAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or stripes do not divide it and the policy is exact.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        RequireStripes(height, width);
        using var scope = NewDisposeScope();
        var (vertical, horizontal) = Stripes(height, width);
        var attended = cat([Half(map, 0, vertical, get_v_vertical), Half(map, 1, horizontal, get_v_horizontal)], 3);
        return Projection.Apply(proj, attended).MoveToOuterDisposeScope();
    }

    private (WindowPartition Vertical, WindowPartition Horizontal) Stripes(long height, long width) => (
        new WindowPartition((int)height, (int)Math.Min(_attention.Stripe, width), 0, 0),
        new WindowPartition((int)Math.Min(_attention.Stripe, height), (int)width, 0, 0));

    /// <summary>The output of half of the heads, <c>[B, H, W, C/2]</c>.</summary>
    private Tensor Half(Tensor map, int half, WindowPartition stripes, Conv2d enhancement)
    {
        var projected = Projected(map, half);
        var values = projected.narrow(3, _channels, _channels / 2);
        return Attend(projected, stripes) + LocalEnhancement.Apply(enhancement, values, stripes);
    }

    /// <summary>Queries, keys and values of half of the heads, <c>[B, H, W, 3C/2]</c>.</summary>
    private Tensor Projected(Tensor map, int half)
    {
        // Its queries, keys and values stand apart in the joint projection; projected by themselves they stand together.
        var weight = qkv.weight.view(3, 2, _channels / 2, _channels).select(1, half).reshape(-1, _channels);
        var bias = qkv.bias?.view(3, 2, _channels / 2).select(1, half).reshape(-1);
        return Projection.Apply(weight, bias, map);
    }

    /// <summary>Attention of half of the heads inside its stripes: from <c>[B, H, W, 3C/2]</c> to <c>[B, H, W, C/2]</c>.</summary>
    private Tensor Attend(Tensor projected, WindowPartition stripes)
    {
        var (batch, height, width, heads) = (projected.size(0), projected.size(1), projected.size(2), _attention.Heads / 2);
        var divided = new AttentionMap(
            batch, new WindowAxis((int)height, stripes.Height, 0), new WindowAxis((int)width, stripes.Width, 0),
            heads, _channels / _attention.Heads, QkvOrder.QkvMajor);
        if (DotProductAttention.IsFused(projected, divided))
        {
            return DotProductAttention.AttendFused(projected, divided);
        }
        var (down, right) = (TokenPadding.Missing(height, stripes.Height), TokenPadding.Missing(width, stripes.Width));
        var padded = down + right > 0 ? nn.functional.pad(projected, [0, 0, 0, right, 0, down]) : projected;
        var mask = stripes.Mask(height + down, width + right, height, width, projected)?.unsqueeze(1);
        var attended = DotProductAttention.Attend(stripes.Divide(padded), heads, QkvOrder.QkvMajor, mask);
        return stripes.Join(attended, batch, height + down, width + right).narrow(1, 0, height).narrow(2, 0, width);
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        RequireStripes(height, width);
        using var scope = NewDisposeScope();
        var (vertical, horizontal) = Stripes(height, width);
        var received = Received(Projected(map, 0), vertical) + Received(Projected(map, 1), horizontal);
        return (received / 2).MoveToOuterDisposeScope();
    }

    /// <summary>What half of the heads give inside their stripes: from <c>[B, H, W, 3C/2]</c> to <c>[B, H, W]</c>.</summary>
    private Tensor Received(Tensor projected, WindowPartition stripes)
    {
        var (batch, height, width) = (projected.size(0), projected.size(1), projected.size(2));
        var (down, right) = (TokenPadding.Missing(height, stripes.Height), TokenPadding.Missing(width, stripes.Width));
        var padded = nn.functional.pad(projected, [0, 0, 0, right, 0, down]);
        var mask = stripes.Mask(height + down, width + right, height, width, projected)?.unsqueeze(1);
        var (weights, _) = DotProductAttention.Weights(
            stripes.Divide(padded), _attention.Heads / 2, QkvOrder.QkvMajor, mask);
        return stripes.Join(DotProductAttention.Received(weights).unsqueeze(-1), batch, height + down, width + right)
            .squeeze(-1).narrow(1, 0, height).narrow(2, 0, width);
    }

    private void RequireStripes(long height, long width)
    {
        var stripe = _attention.Stripe;
        var (down, right) = (
            TokenPadding.Missing(height, Math.Min(stripe, height)), TokenPadding.Missing(width, Math.Min(stripe, width)));
        if (_sizePolicy == SizePolicy.Exact && down + right > 0)
        {
            throw new ArgumentException(
                $"{_place}: the map of {height}×{width} is not a multiple of stripes of {stripe}, and the size policy is exact; "
                + $"use a map of {height + down}×{width + right}, or let the policy pad");
        }
    }
}
