using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// The head of <see cref="SemanticFpn"/>: from levels <c>[B, C, H, W]</c>, finest first, to logits <c>[B, classes, H, W]</c> of the
/// finest level's size.
/// </summary>
/// <remarks>
/// Parameters have mmsegmentation's names: <c>scale_heads.I.J.{conv,bn}.*</c>, where <c>J</c> counts the upsamplings too, and
/// <c>conv_seg.{weight,bias}</c>.
/// </remarks>
public sealed class SemanticFpnHead : nn.Module<IReadOnlyList<Tensor>, Tensor>
{
    private readonly double _dropout;

    private readonly ModuleList<Sequential> scale_heads;
    private readonly Conv2d conv_seg;

    /// <summary>A head with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="inputChannels">Channels of the levels.</param>
    /// <param name="channels">Channels of the head.</param>
    /// <param name="classes">Classes.</param>
    /// <param name="doublings">How often each level is doubled.</param>
    /// <param name="dropout">The rate at which whole channels are dropped before the classes while training.</param>
    public SemanticFpnHead(int inputChannels, int channels, int classes, IReadOnlyList<int> doublings, double dropout = 0.1)
        : base(nameof(SemanticFpnHead))
    {
        ArgumentNullException.ThrowIfNull(doublings);
        _dropout = dropout;
        scale_heads = new ModuleList<Sequential>(doublings.Select(count => Level(inputChannels, channels, count)).ToArray());
        conv_seg = nn.Conv2d(channels, classes, 1);
        nn.init.normal_(conv_seg.weight, 0, 0.01);
        nn.init.zeros_(conv_seg.bias!);
        RegisterComponents();
    }

    /// <summary>The logits of the levels.</summary>
    /// <param name="levels">For each level <c>[B, C, H, W]</c>, finest first.</param>
    /// <returns><c>[B, classes, H, W]</c>.</returns>
    /// <exception cref="ArgumentException">There are more or fewer levels than the head has.</exception>
    public override Tensor forward(IReadOnlyList<Tensor> levels)
    {
        ArgumentNullException.ThrowIfNull(levels);
        if (levels.Count != scale_heads.Count)
        {
            throw new ArgumentException($"the head takes {scale_heads.Count} levels, not {levels.Count}", nameof(levels));
        }
        using var scope = NewDisposeScope();
        var sum = scale_heads[0].call(levels[0]);
        for (var index = 1; index < levels.Count; index++)
        {
            // Where a map was padded, doubling it goes a little past the finest level.
            sum = sum + Bilinear(scale_heads[index].call(levels[index]), sum.size(2), sum.size(3));
        }
        return conv_seg.call(Drop(sum)).MoveToOuterDisposeScope();
    }

    /// <summary>A map <c>[B, C, H, W]</c> resized bilinearly, its pixels taken for squares (<c>align_corners=False</c>).</summary>
    internal static Tensor Bilinear(Tensor map, long height, long width) => map.size(2) == height && map.size(3) == width
        ? map
        : nn.functional.interpolate(map, size: [height, width], mode: InterpolationMode.Bilinear, align_corners: false);

    private static Sequential Level(int inputChannels, int channels, int doublings)
    {
        var layers = new List<nn.Module<Tensor, Tensor>>();
        for (var step = 0; step < Math.Max(1, doublings); step++)
        {
            layers.Add(new ConvolutionUnit(step == 0 ? inputChannels : channels, channels, kernel: 3, norm: true));
            if (doublings > 0)
            {
                layers.Add(new Doubling());
            }
        }
        return nn.Sequential(layers);
    }

    /// <summary>Leaves out whole channels of an image.</summary>
    private Tensor Drop(Tensor map)
    {
        if (!training || _dropout == 0)
        {
            return map;
        }
        var kept = empty([map.size(0), map.size(1), 1, 1], dtype: map.dtype, device: map.device).bernoulli_(1 - _dropout);
        return map * kept / (1 - _dropout);
    }

    /// <summary>Bilinear upsampling by 2.</summary>
    private sealed class Doubling : nn.Module<Tensor, Tensor>
    {
        public Doubling()
            : base(nameof(Doubling)) => RegisterComponents();

        public override Tensor forward(Tensor map) => Bilinear(map, 2 * map.size(2), 2 * map.size(3));
    }
}
