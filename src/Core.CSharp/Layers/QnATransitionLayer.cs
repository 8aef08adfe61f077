using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// The transition that is a QnA block (arXiv 2112.11435, section 4.3): its attention changes size and channels, and a
/// skip path follows it.
/// <code>
/// x ← skip(x) + γ₁ · qna(norm₁(x))
/// x ← x + drop(γ₂ · mlp(norm₂(x)))
/// </code>
/// As in the official code, stochastic depth drops the second branch alone. Downsampling by <c>s</c> maps
/// <c>[B, H, W, C]</c> to <c>[B, ⌈H/s⌉, ⌈W/s⌉, C']</c>, upsampling by <c>u</c> to <c>[B, H·u, W·u, C']</c>.
/// </summary>
/// <remarks>
/// Parameters: <c>norm1</c>, <c>attn</c>, <c>skip.weight</c> (a 1×1 convolution, <c>[C', C, 1, 1]</c>), <c>norm2</c>,
/// <c>mlp</c>, <c>gamma_1</c>, <c>gamma_2</c>.
/// </remarks>
public sealed class QnATransitionLayer : nn.Module<Tensor, Tensor>
{
    private readonly StochasticDepth _stochasticDepth;
    private readonly Func<Tensor, Tensor> _resample;

    private readonly LayerNorm norm1;
    private readonly QnALayer attn;
    private readonly Conv2d skip;
    private readonly LayerNorm norm2;
    private readonly Mlp mlp;
    private readonly Parameter? gamma_1;
    private readonly Parameter? gamma_2;

    /// <summary>A downsampling transition with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="down">What the transition is.</param>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="dropPath">The rate of stochastic depth.</param>
    /// <param name="conventions">Norm, activation and how weights start; none: as the official QnA code has them.</param>
    /// <param name="place">Where the transition stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The attention does not fit the channels.</exception>
    public QnATransitionLayer(
        QnADownsampling down, int channels, double dropPath = 0, Conventions? conventions = null, string place = "qna downsampling")
        : this(
            down?.Attention ?? throw new ArgumentNullException(nameof(down)),
            channels, down.OutputChannels(channels), down.Stride, 1,
            down.MlpRatio, down.LayerScale, dropPath, conventions ?? Conventions.Flax, place) =>
        _resample = down.Skip == SkipPath.AveragePool
            ? map => AveragePool(map, down.Attention.Window, down.Stride)
            : map => Strided(map, down.Stride);

    /// <summary>An upsampling transition with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="up">What the transition is.</param>
    /// <param name="channels">Channels that enter.</param>
    /// <param name="dropPath">The rate of stochastic depth.</param>
    /// <param name="conventions">Norm, activation and how weights start; none: as the official QnA code has them.</param>
    /// <param name="place">Where the transition stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The attention does not fit the channels.</exception>
    public QnATransitionLayer(
        QnAUpsampling up, int channels, double dropPath = 0, Conventions? conventions = null, string place = "qna upsampling")
        : this(
            up?.Attention ?? throw new ArgumentNullException(nameof(up)),
            channels, up.OutputChannels(channels), 1, up.Factor,
            up.MlpRatio, up.LayerScale, dropPath, conventions ?? Conventions.Flax, place) =>
        _resample = map => map.repeat_interleave(up.Factor, 1).repeat_interleave(up.Factor, 2);

    private QnATransitionLayer(
        QnAAttention attention, int channels, int outputChannels, int stride, int upsampling,
        double mlpRatio, double? layerScale, double dropPath, Conventions conventions, string place)
        : base(nameof(QnATransitionLayer))
    {
        _stochasticDepth = new StochasticDepth(dropPath);
        _resample = map => map;
        norm1 = nn.LayerNorm(channels, conventions.NormEpsilon);
        attn = new QnALayer(attention, channels, outputChannels, stride, upsampling, pooling: false, conventions, place);
        skip = WeightInitialization.Convolution(
            channels, outputChannels, kernel: 1, stride: 1, padding: 0, bias: false, conventions.Initialization);
        norm2 = nn.LayerNorm(outputChannels, conventions.NormEpsilon);
        mlp = new Mlp(outputChannels, (int)(outputChannels * mlpRatio), conventions);
        gamma_1 = LayerScale.Of(layerScale, outputChannels);
        gamma_2 = LayerScale.Of(layerScale, outputChannels);
        RegisterComponents();
    }

    /// <summary>Attends and mixes.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H', W', C']</c>.</returns>
    /// <exception cref="ArgumentException">The map has another rank, width, element type or device.</exception>
    public override Tensor forward(Tensor map)
    {
        using var scope = NewDisposeScope();
        var attended = LayerScale.Apply(attn.call(Normalisation.Apply(norm1, map)), gamma_1);
        var around = Projection.Apply(skip.weight.flatten(1), bias: null, _resample(map));
        var (joined, normalised) = Normalisation.Add(norm2, attended, around);
        var mixed = joined + _stochasticDepth.call(LayerScale.Apply(mlp.call(normalised), gamma_2));
        return mixed.MoveToOuterDisposeScope();
    }

    /// <summary>Every <paramref name="stride"/>-th token: what a strided 1×1 convolution sees.</summary>
    private static Tensor Strided(Tensor map, int stride) =>
        map.slice(1, 0, map.size(1), stride).slice(2, 0, map.size(2), stride);

    /// <summary>
    /// Flax's average pooling with <c>SAME</c> padding: <c>⌈H/stride⌉</c> rows; an odd number of padded rows puts the
    /// larger part at the end; padded tokens are zeros that count in the mean.
    /// </summary>
    private static Tensor AveragePool(Tensor map, int window, int stride)
    {
        var (top, bottom) = SamePadding(map.size(1), window, stride);
        var (left, right) = SamePadding(map.size(2), window, stride);
        var padded = nn.functional.pad(map.permute(0, 3, 1, 2), [left, right, top, bottom]);
        return nn.functional.avg_pool2d(padded, window, stride).permute(0, 2, 3, 1);
    }

    /// <summary>Zeros before and behind a side that leave <c>⌈length/stride⌉</c> windows.</summary>
    internal static (long Before, long After) SamePadding(long length, int window, int stride)
    {
        var outputs = (length + stride - 1) / stride;
        var padding = Math.Max(0, ((outputs - 1) * stride) + window - length);
        return (padding / 2, padding - (padding / 2));
    }
}
