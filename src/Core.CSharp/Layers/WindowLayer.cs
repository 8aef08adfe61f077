using LocalAttention.Core.Kernels.Window;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Self-attention inside windows, plain or shifted by half a window (Swin, arXiv 2103.14030, section 3.2):
/// <c>softmax(q·kᵀ/√d + relative position bias + mask) · v</c> in each. <c>[B, H, W, C]</c> to the same shape.
/// </summary>
/// <remarks>
/// <para>In a dimension where the window is at least the map, it is the map, and is not shifted.</para>
/// <para>
/// Where windows do not divide the map and <see cref="SizePolicy.Pad"/> allows it, tokens are added at the bottom and the
/// right, masked so that none attends to them, and cut off afterwards.
/// </para>
/// <para>Parameters: <c>qkv.{weight,bias}</c>, <c>proj.{weight,bias}</c>, <c>relative_position_bias_table</c>.</para>
/// </remarks>
public sealed class WindowLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly WindowAttention _attention;
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly Linear qkv;
    private readonly Linear proj;
    private readonly Parameter? relative_position_bias_table;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="sizePolicy">What is done with maps that windows do not divide.</param>
    /// <param name="conventions">How weights start; none: as Swin's do.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The heads do not divide the channels, or the window is empty.</exception>
    public WindowLayer(
        WindowAttention attention,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "window")
        : base(nameof(WindowLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Window < 1)
        {
            throw new ArgumentException($"{place}: the window is {attention.Window}; use at least 1");
        }
        _attention = attention;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        var initialization = (conventions ?? Conventions.PyTorch).Initialization;
        qkv = WeightInitialization.Linear(channels, 3L * channels, attention.QkvBias, initialization);
        proj = WeightInitialization.Linear(channels, channels, attention.ProjectionBias, initialization);
        if (attention.PositionBias)
        {
            var offsets = (2L * attention.Window) - 1;
            relative_position_bias_table = nn.Parameter(zeros(offsets * offsets, attention.Heads));
            if (initialization == Initialization.TruncatedNormal)
            {
                WeightInitialization.TruncatedNormal(relative_position_bias_table, 0.02, bound: 2);
            }
        }
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public WindowAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or windows do not divide it and the policy is exact.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var windows = PartitionOf(height, width);
        var (padDown, padRight) = Padding(windows, height, width);
        var divided = new AttentionMap(
            batch, new WindowAxis((int)height, windows.Height, windows.ShiftDown),
            new WindowAxis((int)width, windows.Width, windows.ShiftRight),
            _attention.Heads, _channels / _attention.Heads, _attention.Order);
        if (DotProductAttention.IsFused(map, divided))
        {
            var fused = DotProductAttention.AttendFused(
                Projection.Apply(qkv, map), divided, relative_position_bias_table, _attention.Window);
            return Projection.Apply(proj, fused).MoveToOuterDisposeScope();
        }
        var padded = padDown + padRight > 0 ? nn.functional.pad(map, [0, 0, 0, padRight, 0, padDown]) : map;
        var (paddedHeight, paddedWidth) = (height + padDown, width + padRight);

        var attended = DotProductAttention.Attend(
            qkv.call(windows.Divide(padded)), _attention.Heads, _attention.Order,
            Bias(windows, windows.Mask(paddedHeight, paddedWidth, height, width, map)));
        var joined = windows.Join(proj.call(attended), batch, paddedHeight, paddedWidth);
        return joined.narrow(1, 0, height).narrow(2, 0, width).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var windows = PartitionOf(height, width);
        var (padDown, padRight) = Padding(windows, height, width);
        var padded = nn.functional.pad(map, [0, 0, 0, padRight, 0, padDown]);
        var (paddedHeight, paddedWidth) = (height + padDown, width + padRight);
        var (weights, _) = DotProductAttention.Weights(
            qkv.call(windows.Divide(padded)), _attention.Heads, _attention.Order,
            Bias(windows, windows.Mask(paddedHeight, paddedWidth, height, width, map)));
        var received = windows.Join(DotProductAttention.Received(weights).unsqueeze(-1), batch, paddedHeight, paddedWidth);
        return received.squeeze(-1).narrow(1, 0, height).narrow(2, 0, width).MoveToOuterDisposeScope();
    }

    private WindowPartition PartitionOf(long height, long width)
    {
        var side = _attention.Window;
        var shift = _attention.Shifted ? side / 2 : 0;
        return new WindowPartition(
            (int)Math.Min(side, height), (int)Math.Min(side, width), side < height ? shift : 0, side < width ? shift : 0);
    }

    private (long Down, long Right) Padding(WindowPartition windows, long height, long width)
    {
        var (down, right) = (TokenPadding.Missing(height, windows.Height), TokenPadding.Missing(width, windows.Width));
        if (_sizePolicy == SizePolicy.Exact && down + right > 0)
        {
            throw new ArgumentException(
                $"{_place}: the map of {height}×{width} is not a multiple of windows of {_attention.Window}×{_attention.Window}, "
                + $"and the size policy is exact; use a map of {height + down}×{width + right}, or let the policy pad");
        }
        return (down, right);
    }

    /// <summary><c>[h, L, L]</c>, with a mask <c>[windows, h, L, L]</c>, or none.</summary>
    private Tensor? Bias(WindowPartition windows, Tensor? mask)
    {
        if (relative_position_bias_table is null)
        {
            return mask?.unsqueeze(1);
        }
        var bias = RelativePositionBias.Of(relative_position_bias_table, _attention.Window, windows.Height, windows.Width);
        return mask is null ? bias : bias + mask.unsqueeze(1);
    }
}
