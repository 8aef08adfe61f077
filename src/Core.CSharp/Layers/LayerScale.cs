using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>A learned factor for each channel of a residual branch (arXiv 2103.17239).</summary>
internal static class LayerScale
{
    /// <summary>The parameter, all <paramref name="start"/>; none without a start.</summary>
    public static Parameter? Of(double? start, long channels) =>
        start is { } value ? nn.Parameter(full(channels, value, dtype: ScalarType.Float32)) : null;

    /// <summary>The scaled branch, or the branch as it is where there is no scale.</summary>
    public static Tensor Apply(Tensor branch, Parameter? scale) => scale is null ? branch : branch * scale;
}
