using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// The layers of a <see cref="FeaturePyramid"/>: from maps <c>[B, H, W, C]</c>, finest first, to levels <c>[B, C', H, W]</c>.
/// <code>
/// L_i = lateral_i(map_i) + repeat(L_{i+1})        each token repeated to the finer map's size
/// P_i = output_i(L_i)
/// </code>
/// </summary>
/// <remarks>
/// Parameters have mmdetection's names: <c>lateral_convs.I.conv.{weight,bias}</c>, <c>fpn_convs.I.conv.{weight,bias}</c>.
/// </remarks>
public sealed class FeaturePyramidLayer : nn.Module<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>>
{
    private readonly int _extraLevels;

    private readonly ModuleList<ConvolutionUnit> lateral_convs;
    private readonly ModuleList<ConvolutionUnit> fpn_convs;

    /// <summary>Layers with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="mapChannels">Channels of the maps, finest first.</param>
    /// <param name="channels">Channels of the levels.</param>
    /// <param name="extraLevels">Levels behind the last map.</param>
    public FeaturePyramidLayer(IReadOnlyList<int> mapChannels, int channels, int extraLevels = 0)
        : base(nameof(FeaturePyramidLayer))
    {
        ArgumentNullException.ThrowIfNull(mapChannels);
        _extraLevels = extraLevels;
        lateral_convs = new ModuleList<ConvolutionUnit>(
            mapChannels.Select(entering => new ConvolutionUnit(entering, channels, kernel: 1, norm: false)).ToArray());
        fpn_convs = new ModuleList<ConvolutionUnit>(
            mapChannels.Select(_ => new ConvolutionUnit(channels, channels, kernel: 3, norm: false)).ToArray());
        RegisterComponents();
    }

    /// <summary>The levels of the maps.</summary>
    /// <param name="maps">For each stage <c>[B, H, W, C]</c>.</param>
    /// <returns>For each level <c>[B, C', H, W]</c>.</returns>
    /// <exception cref="ArgumentException">There are more or fewer maps than the layer has levels for.</exception>
    public override IReadOnlyList<Tensor> forward(IReadOnlyList<Tensor> maps)
    {
        ArgumentNullException.ThrowIfNull(maps);
        if (maps.Count != lateral_convs.Count)
        {
            throw new ArgumentException($"the feature pyramid takes {lateral_convs.Count} maps, not {maps.Count}", nameof(maps));
        }
        using var scope = NewDisposeScope();
        var levels = new Tensor[maps.Count];
        for (var index = maps.Count - 1; index >= 0; index--)
        {
            var lateral = lateral_convs[index].call(maps[index].permute(0, 3, 1, 2));
            levels[index] = index == maps.Count - 1
                ? lateral
                : lateral + nn.functional.interpolate(
                    levels[index + 1], size: [lateral.size(2), lateral.size(3)], mode: InterpolationMode.Nearest);
        }
        var outputs = levels.Select((level, index) => fpn_convs[index].call(level)).ToList();
        for (var extra = 0; extra < _extraLevels; extra++)
        {
            outputs.Add(nn.functional.max_pool2d(outputs[^1], 1, 2));
        }
        return [.. outputs.Select(output => output.MoveToOuterDisposeScope())];
    }
}
