using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Learned vectors that are added to the tokens of a map, one for each place (PVT, arXiv 2102.12122, section 3.2), and the
/// learned class token.
/// </summary>
internal static class PositionEmbedding
{
    private const double Deviation = 0.02;

    /// <summary>Vectors for the places of a map, row by row, after those of the class tokens: <c>[1, tokens, C]</c>.</summary>
    public static Parameter Of(MapShape map, int classTokens) => Drawn(map.Tokens + classTokens, map.Channels);

    /// <summary>A class token, <c>[1, 1, C]</c>.</summary>
    public static Parameter ClassToken(long channels) => Drawn(1, channels);

    /// <summary>
    /// The vectors of the places of a map of <paramref name="size"/>: those that were learned, or, for another size than they
    /// were learned for, what bilinear interpolation makes of them, pixel centres on pixel centres.
    /// </summary>
    /// <param name="vectors"><c>[1, H·W, C]</c>.</param>
    /// <param name="learned">The size that they were learned for.</param>
    /// <param name="size">The size that they are wanted for.</param>
    /// <returns><c>[1, H', W', C]</c>.</returns>
    public static Tensor At(Tensor vectors, ImageSize learned, ImageSize size)
    {
        var map = vectors.reshape(1, learned.Height, learned.Width, -1);
        return size == learned
            ? map
            : nn.functional.interpolate(
                map.permute(0, 3, 1, 2), [size.Height, size.Width], mode: InterpolationMode.Bilinear, align_corners: false)
                .permute(0, 2, 3, 1);
    }

    private static Parameter Drawn(long tokens, long channels)
    {
        var vectors = nn.Parameter(zeros(1, tokens, channels, dtype: ScalarType.Float32));
        WeightInitialization.TruncatedNormal(vectors, Deviation, bound: 2);
        return vectors;
    }
}
