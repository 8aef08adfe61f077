using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Neighbourhood;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Neighbourhood attention (NAT, arXiv 2204.07143, section 3.1), plain or dilated (DiNAT, arXiv 2209.15001, section 3.1): every
/// token attends to the <c>k×k</c> window around it, which at the border is shifted inwards.
/// <c>[B, H, W, C]</c> to the same shape.
/// <code>
/// logit[j] = q_i·k_j/√d + rpb[n, y_j − y_i + k − 1, x_j − x_i + k − 1]      offsets in steps of the dilation
/// output = proj(Σ_j softmax_j(logit) · v_j)
/// </code>
/// </summary>
/// <remarks>
/// <para>
/// Where the map has fewer than <c>k·dilation</c> tokens each way and <see cref="SizePolicy.Pad"/> allows it, zeros are added at
/// the bottom and the right before the projection, up to that size. As in the official code they are tokens like all others,
/// whose keys and values are the biases; they are cut off afterwards.
/// </para>
/// <para>Parameters: <c>qkv.{weight,bias}</c>, <c>rpb</c> <c>[h, 2k − 1, 2k − 1]</c>, <c>proj.{weight,bias}</c>.</para>
/// </remarks>
public sealed class NeighbourhoodLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly NeighbourhoodAttention _attention;
    private readonly int _channels;
    private readonly SizePolicy _sizePolicy;
    private readonly string _place;

    private readonly Linear qkv;
    private readonly Parameter? rpb;
    private readonly Linear proj;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="sizePolicy">What is done with maps that a window does not fit.</param>
    /// <param name="conventions">How weights start; none: PyTorch's.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">
    /// The heads do not divide the channels, the window is even, or the dilation is below 1.
    /// </exception>
    public NeighbourhoodLayer(
        NeighbourhoodAttention attention,
        int channels,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "neighbourhood")
        : base(nameof(NeighbourhoodLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Window < 1 || attention.Window % 2 == 0)
        {
            throw new ArgumentException(
                $"{place}: the neighbourhood window is {attention.Window}; use an odd number, such as {Math.Max(1, attention.Window + 1)}");
        }
        if (attention.Dilation < 1)
        {
            throw new ArgumentException($"{place}: the dilation is {attention.Dilation}; use at least 1");
        }
        _attention = attention;
        _channels = channels;
        _sizePolicy = sizePolicy;
        _place = place;
        var initialization = (conventions ?? Conventions.PyTorch).Initialization;
        qkv = WeightInitialization.Linear(channels, 3L * channels, attention.QkvBias, initialization);
        if (attention.PositionBias)
        {
            var offsets = (2L * attention.Window) - 1;
            rpb = nn.Parameter(zeros(attention.Heads, offsets, offsets));
            if (initialization == Initialization.TruncatedNormal)
            {
                WeightInitialization.TruncatedNormal(rpb, 0.02, bound: 2);
            }
        }
        proj = WeightInitialization.Linear(channels, channels, bias: true, initialization);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public NeighbourhoodAttention Attention => _attention;

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or a window does not fit it and the policy is exact.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var (down, right) = Padding(height, width);
        var padded = down + right > 0 ? nn.functional.pad(map, [0, 0, 0, right, 0, down]) : map;
        var projected = Projection.Apply(qkv, padded);
        var attended = Attend(Backends.For(padded), projected);
        var cut = down + right > 0 ? attended.narrow(1, 0, height).narrow(2, 0, width) : attended;
        return Projection.Apply(proj, cut).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        using var scope = NewDisposeScope();
        var (down, right) = Padding(height, width);
        var projected = Projection.Apply(qkv, nn.functional.pad(map, [0, 0, 0, right, 0, down]));
        return NeighbourhoodAggregation
            .Received(projected, _attention.Heads, _attention.Window, _attention.Dilation, rpb, (height, width))
            .narrow(1, 0, height).narrow(2, 0, width).MoveToOuterDisposeScope();
    }

    private Tensor Attend(Backend backend, Tensor projected) => backend switch
    {
        Backend.FusedCpu => FusedNeighbourhood.Apply(projected, _attention.Heads, _attention.Window, _attention.Dilation, rpb),
        Backend.FusedCuda when CudaNeighbourhood.Takes(projected, _attention.Heads, _attention.Window) =>
            CudaNeighbourhood.Apply(projected, _attention.Heads, _attention.Window, _attention.Dilation, rpb),
        _ => NeighbourhoodAggregation.Attend(projected, _attention.Heads, _attention.Window, _attention.Dilation, rpb),
    };

    private (long Down, long Right) Padding(long height, long width)
    {
        var needed = (long)_attention.Window * _attention.Dilation;
        var (down, right) = (Math.Max(0, needed - height), Math.Max(0, needed - width));
        if (_sizePolicy == SizePolicy.Exact && down + right > 0)
        {
            throw new ArgumentException(
                $"{_place}: a neighbourhood of {_attention.Window} tokens, {_attention.Dilation} apart, does not fit a map of "
                + $"{height}×{width}, and the size policy is exact; use a map of at least {needed}×{needed}, a smaller window or "
                + "dilation, or let the policy pad");
        }
        return (down, right);
    }
}
