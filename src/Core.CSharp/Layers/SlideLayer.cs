using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Slide;
using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Slide Attention (CVPR 2023, arXiv 2304.04237, section 3): every query attends to its own <c>k×k</c> window, whose keys
/// and values two depthwise convolutions bring to it: a fixed one that shifts, and a learned one that deforms the shifts.
/// <code>
/// K̃[c,j] = Σ_t W[c,j,t] K[c,p+t] + b[c,j]      W = dep_conv.weight + dep_conv1.weight, b likewise; Ṽ alike
/// logit[j] = Σ_c scale · q_c · (K̃[c,j] + rpb[n,j])
/// out_c = Σ_j softmax_j(logit) · Ṽ[c,j]
/// output = out · Wproj
/// </code>
/// Positions outside the map are padded, and take part in the softmax as the official code has it. Maps
/// <c>[B, H, W, C]</c> to the same shape.
/// </summary>
/// <remarks>
/// Parameters have the official PyTorch names. <c>dep_conv.weight</c> holds the shifts and is never trained;
/// <c>dep_conv.bias</c> is. While <see cref="IsMerged"/>, the sum of both convolutions is kept beside the parameters
/// (section 3.4): the parameters stay as they are, so a state dict is the same, and going back restores every bit.
/// </remarks>
public sealed class SlideLayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly SlideAttention _attention;
    private readonly int _channels;
    private readonly string _place;
    private (Tensor Weight, Tensor Bias, bool AreShifts)? _merged;

    private readonly Linear qkv;
    private readonly Linear proj;
    private readonly Conv2d dep_conv;
    private readonly Conv2d? dep_conv1;
    private readonly Parameter relative_position_bias_table;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="conventions">How weights start; none: as the official Slide code does.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The heads do not divide the channels, or the window is even.</exception>
    public SlideLayer(SlideAttention attention, int channels, Conventions? conventions = null, string place = "slide")
        : base(nameof(SlideLayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        MapInput.RequireHeads(attention.Heads, channels, place);
        if (attention.Window < 1 || attention.Window % 2 == 0)
        {
            throw new ArgumentException(
                $"{place}: the slide window is {attention.Window}; use an odd number, such as {Math.Max(1, attention.Window + 1)}");
        }
        _attention = attention;
        _channels = channels;
        _place = place;
        var initialization = (conventions ?? Conventions.PyTorch).Initialization;
        qkv = WeightInitialization.Linear(channels, 3L * channels, attention.QkvBias, initialization);
        proj = WeightInitialization.Linear(channels, channels, bias: true, initialization);
        dep_conv = DepthwiseConvolution();
        using (no_grad())
        {
            dep_conv.weight.copy_(Shifts());
        }
        dep_conv.weight.requires_grad = false;
        dep_conv1 = attention.Deformed ? DepthwiseConvolution() : null;
        relative_position_bias_table = nn.Parameter(empty([1, attention.Heads, 1, Samples, 1, 1]));
        WeightInitialization.TruncatedNormal(relative_position_bias_table, 0.02, bound: 2);
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public SlideAttention Attention => _attention;

    /// <summary>Whether both convolutions are merged into one.</summary>
    public bool IsMerged => _merged is not null;

    private int Samples => _attention.Window * _attention.Window;

    private int HeadWidth => _channels / _attention.Heads;

    private int Radius => _attention.Window / 2;

    private WindowGrid Windows => new(_attention.Window, 1, Radius);

    /// <summary>
    /// Adds both convolutions up once, for inference: exactly the sum that <see cref="forward"/> otherwise makes each
    /// time. The merged weights have no gradient and do not follow later changes of the parameters.
    /// </summary>
    public void merge_shifts()
    {
        unmerge_shifts();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var (weight, bias) = SumOfConvolutions();
        // Looked at here and not in every pass: on a device the answer is waited for.
        var areShifts = !_attention.Deformed
            && weight.to(ScalarType.Float64).cpu().allclose(Shifts().view_as(weight).to(ScalarType.Float64), 0, 0);
        _merged = (weight.clone().DetachFromDisposeScope(), bias.clone().DetachFromDisposeScope(), areShifts);
    }

    /// <summary>Forgets the merged weights and goes back to the parameters, which merging has not touched.</summary>
    public void unmerge_shifts()
    {
        _merged?.Weight.Dispose();
        _merged?.Bias.Dispose();
        _merged = null;
    }

    /// <summary>Switches between training and evaluation; training works on the parameters, so it ends a merge.</summary>
    public override void train(bool train = true)
    {
        if (train)
        {
            unmerge_shifts();
        }
        base.train(train);
    }

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or is too small for the padding.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        RequirePadding(height, width);
        using var scope = NewDisposeScope();
        var projected = Projection.Apply(qkv, map).view(batch, height, width, _attention.Heads, 3, HeadWidth);
        var (weight, bias) = CurrentConvolution();
        var positionBias = relative_position_bias_table.view(_attention.Heads, Samples);
        var scale = _attention.Scale ?? (1 / Math.Sqrt(HeadWidth));
        var attended = Backends.For(map) switch
        {
            Backend.FusedCpu =>
                FusedSlide.Attend(projected, weight, bias, positionBias, scale, _attention.Window, _attention.Padding),
            Backend.FusedCuda when CudaSlide.Takes(projected, _attention.Window) => CudaSlide.Attend(
                projected, weight, bias, positionBias, scale, _attention.Window, _attention.Padding,
                shifts: _merged is { AreShifts: true }),
            _ => Attend(projected, weight, bias, positionBias, scale),
        };
        return Projection.Apply(proj, attended.flatten(3)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A sample's weight belongs to the place that its shift reads; what the learned convolution takes from the places around
    /// it is left out. Places outside the map give theirs to the token that they repeat, and none with zeros.
    /// </remarks>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (batch, height, width) = MapInput.Require(map, _channels, qkv.weight, _place);
        RequirePadding(height, width);
        using var scope = NewDisposeScope();
        var projected = Projection.Apply(qkv, map).view(batch, height, width, _attention.Heads, 3, HeadWidth);
        var (weight, bias) = CurrentConvolution();
        var keys = Extend(projected.select(4, 1).reshape(batch, height, width, _channels))
            .view(batch, height + (2 * Radius), width + (2 * Radius), _attention.Heads, HeadWidth);
        var weights = SlideAggregation.Weights(
            projected.select(4, 0) * (_attention.Scale ?? (1 / Math.Sqrt(HeadWidth))), keys, weight, bias,
            relative_position_bias_table.view(_attention.Heads, Samples), Windows);
        var given = weights.mean([3L]).permute(3, 0, 1, 2).detach();
        var received = Windows.Gather(given, height, width).unsqueeze(-1);

        // Extending is linear: its gradient brings what stands outside back to where it came from.
        using var gradient = enable_grad();
        var place = zeros([batch, height, width, 1], dtype: map.dtype, device: map.device, requires_grad: true);
        return autograd.grad([Extend(place)], [place], [received])[0].squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            unmerge_shifts();
        }
        base.Dispose(disposing);
    }

    private Conv2d DepthwiseConvolution() => nn.Conv2d(
        HeadWidth, (long)HeadWidth * Samples, _attention.Window, padding: Radius, groups: HeadWidth);

    /// <summary>Sample <c>j</c> of every channel is the neighbour at row <c>j / k</c> and column <c>j % k</c> of the window.</summary>
    private Tensor Shifts() => eye(Samples).view(Samples, 1, _attention.Window, _attention.Window).repeat(HeadWidth, 1, 1, 1);

    /// <summary>The learned and the fixed convolution as one: <c>[d, k², k²]</c> and <c>[d, k²]</c>.</summary>
    private (Tensor Weight, Tensor Bias) SumOfConvolutions()
    {
        var weight = dep_conv1 is null ? dep_conv.weight : dep_conv.weight + dep_conv1.weight;
        var bias = dep_conv1 is null ? dep_conv.bias! : dep_conv.bias! + dep_conv1.bias!;
        return (weight.view(HeadWidth, Samples, Samples), bias.view(HeadWidth, Samples));
    }

    /// <summary>Both convolutions as one, merged before or now: <c>[d, k², k²]</c> and <c>[d, k²]</c>.</summary>
    internal (Tensor Weight, Tensor Bias) CurrentConvolution()
    {
        // The module may have been moved or converted since.
        if (_merged?.Weight is { } old
            && (old.dtype != dep_conv.weight.dtype || old.device_type != dep_conv.weight.device_type))
        {
            merge_shifts();
        }
        return _merged is { } merged ? (merged.Weight, merged.Bias) : SumOfConvolutions();
    }

    /// <summary>What <see cref="FusedSlide.Attend"/> computes, in standard operators.</summary>
    private Tensor Attend(Tensor projected, Tensor weight, Tensor bias, Tensor positionBias, double scale)
    {
        var (batch, height, width) = (projected.size(0), projected.size(1), projected.size(2));
        var queries = projected.select(4, 0) * scale;
        var extended = Extend(projected.narrow(4, 1, 2).reshape(batch, height, width, 2L * _channels))
            .view(batch, height + (2 * Radius), width + (2 * Radius), _attention.Heads, 2, HeadWidth)
            .unbind(4);
        return SlideAggregation.Attend(queries, extended[0], extended[1], weight, bias, positionBias, Windows);
    }

    /// <summary>A map <c>[B, H, W, C]</c> with what stands outside it: <c>[B, H + 2r, W + 2r, C]</c>.</summary>
    private Tensor Extend(Tensor map)
    {
        if (_attention.Padding == EdgePadding.Zeros || Radius == 0)
        {
            return Windows.Extend(map);
        }
        var mode = _attention.Padding switch
        {
            EdgePadding.Circular => PaddingModes.Circular,
            EdgePadding.Reflect => PaddingModes.Reflect,
            _ => PaddingModes.Replicate,
        };
        // Only the last two dimensions can be extended so.
        return nn.functional.pad(map.permute(0, 3, 1, 2), (Radius, Radius, Radius, Radius), mode).permute(0, 2, 3, 1).contiguous();
    }

    private void RequirePadding(long height, long width)
    {
        var shorter = Math.Min(height, width);
        var (fits, rule) = _attention.Padding switch
        {
            EdgePadding.Reflect => (Radius < shorter, "less than its shorter side"),
            EdgePadding.Circular => (Radius <= shorter, "at most its shorter side"),
            _ => (true, ""),
        };
        if (!fits)
        {
            throw new ArgumentException(
                $"{_place}: {_attention.Padding} padding of {Radius} for a slide window of {_attention.Window} on a map of "
                + $"{height}×{width} must be {rule}; use a smaller window, zero or replicate padding, or a larger map");
        }
    }
}
