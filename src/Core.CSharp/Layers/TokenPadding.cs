using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>Zeros at the bottom and the right of a map, up to sizes that a step divides.</summary>
internal static class TokenPadding
{
    /// <summary>How much is missing to the next multiple.</summary>
    public static long Missing(long length, long multiple) => (multiple - (length % multiple)) % multiple;

    /// <summary>A map whose height and width are multiples of <paramref name="multiple"/>; itself where they already are.</summary>
    /// <param name="map">Images <c>[B, C, H, W]</c> or tokens <c>[B, H, W, C]</c>.</param>
    /// <param name="dimensions">Which dimensions are height and width.</param>
    /// <param name="multiple">The step.</param>
    /// <param name="sizePolicy">Whether padding is allowed.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <param name="what">What is padded, as messages name it.</param>
    /// <exception cref="ArgumentException">The size is not a multiple and the size policy is exact.</exception>
    public static Tensor ToMultiple(
        Tensor map, (int Height, int Width) dimensions, int multiple, SizePolicy sizePolicy, string place, string what)
    {
        var (height, width) = (map.size(dimensions.Height), map.size(dimensions.Width));
        var (down, right) = (Missing(height, multiple), Missing(width, multiple));
        if (down + right == 0)
        {
            return map;
        }
        if (sizePolicy == SizePolicy.Exact)
        {
            throw new ArgumentException(
                $"{place}: the {what} of {height}×{width} is not a multiple of {multiple}×{multiple}, and the size policy is exact; "
                + $"use {height + down}×{width + right}, or let the policy pad");
        }
        return dimensions.Width == 3
            ? nn.functional.pad(map, [0, right, 0, down])
            : nn.functional.pad(map, [0, 0, 0, right, 0, down]);
    }
}
