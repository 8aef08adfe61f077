using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// A depthwise 3×3 convolution of tokens, with zeros around the map: what mixes neighbours in PVTv2's MLP, and the locally
/// enhanced position encoding of CSwin (arXiv 2107.00652, section 3.3), where the map may be cut into windows.
/// </summary>
internal static class LocalEnhancement
{
    /// <summary>Convolves a map.</summary>
    /// <param name="convolution">The layer, whose parameters are used.</param>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor Apply(Conv2d convolution, Tensor map) =>
        convolution.call(map.permute(0, 3, 1, 2)).permute(0, 2, 3, 1);

    /// <summary>
    /// Convolves each window by itself: beyond its border stand zeros, though the map goes on. Where windows do not divide the
    /// map, the last is what is left of it.
    /// </summary>
    /// <param name="convolution">The layer, whose parameters are used.</param>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <param name="windows">Windows, not shifted.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    public static Tensor Apply(Conv2d convolution, Tensor map, WindowPartition windows)
    {
        var (batch, height, width, channels) = (map.size(0), map.size(1), map.size(2), map.size(3));
        if (windows.Height >= height && windows.Width >= width)
        {
            return Apply(convolution, map);
        }
        var (down, right) = (TokenPadding.Missing(height, windows.Height), TokenPadding.Missing(width, windows.Width));
        // What is added is zero, as what stands beyond a border is.
        var padded = down + right > 0 ? nn.functional.pad(map, [0, 0, 0, right, 0, down]) : map;
        var cut = windows.Divide(padded).view(-1, windows.Height, windows.Width, channels);
        return windows.Join(Apply(convolution, cut).flatten(1, 2), batch, height + down, width + right)
            .narrow(1, 0, height)
            .narrow(2, 0, width);
    }
}
