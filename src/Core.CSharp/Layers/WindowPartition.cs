using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Non-overlapping windows of <paramref name="Height"/> × <paramref name="Width"/> tokens, and the cyclic shift before them.
/// </summary>
/// <param name="Height">Rows of a window.</param>
/// <param name="Width">Columns of a window.</param>
/// <param name="ShiftDown">Rows by which the map is rolled up before it is divided.</param>
/// <param name="ShiftRight">Columns by which the map is rolled to the left.</param>
internal readonly record struct WindowPartition(int Height, int Width, int ShiftDown, int ShiftRight)
{
    private bool IsShifted => ShiftDown > 0 || ShiftRight > 0;

    /// <summary>The windows of a map <c>[B, H, W, C]</c> whose sides they divide: <c>[B·windows, Height·Width, C]</c>.</summary>
    public Tensor Divide(Tensor map)
    {
        var shifted = IsShifted ? map.roll([-ShiftDown, -ShiftRight], [1, 2]) : map;
        return shifted
            .view(map.size(0), map.size(1) / Height, Height, map.size(2) / Width, Width, map.size(3))
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(-1, (long)Height * Width, map.size(3));
    }

    /// <summary>The inverse of <see cref="Divide"/>.</summary>
    public Tensor Join(Tensor windows, long batch, long height, long width)
    {
        var map = windows
            .view(batch, height / Height, width / Width, Height, Width, windows.size(2))
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(batch, height, width, windows.size(2));
        return IsShifted ? map.roll([ShiftDown, ShiftRight], [1, 2]) : map;
    }

    /// <summary>
    /// 0 where two tokens of a window may attend to each other and −∞ where not, <c>[windows, L, L]</c>; none where all may.
    /// The shift brings tokens from opposite edges into one window, and padding adds tokens that are not there: tokens
    /// attend inside their own region only, and padding is a region of its own.
    /// </summary>
    /// <param name="height">Rows of the padded map.</param>
    /// <param name="width">Columns of the padded map.</param>
    /// <param name="realHeight">Rows before padding.</param>
    /// <param name="realWidth">Columns before padding.</param>
    /// <param name="like">A tensor of the logits' element type and device.</param>
    public Tensor? Mask(long height, long width, long realHeight, long realWidth, Tensor like)
    {
        if (!IsShifted && height == realHeight && width == realWidth)
        {
            return null;
        }
        const long padding = -1;
        var regions = new long[height * width];
        for (long y = 0; y < height; y++)
        {
            for (long x = 0; x < width; x++)
            {
                // Position (y, x) of the map as it is divided; where its token was before the shift decides on padding.
                var (row, column) = ((y + ShiftDown) % height, (x + ShiftRight) % width);
                regions[(y * width) + x] = row >= realHeight || column >= realWidth
                    ? padding
                    : (2 * (row < ShiftDown ? 1 : 0)) + (column < ShiftRight ? 1 : 0);
            }
        }
        var map = tensor(regions, [1, height, width, 1], device: like.device);
        var windows = this with { ShiftDown = 0, ShiftRight = 0 };
        var region = windows.Divide(map).squeeze(-1);
        var apart = region.unsqueeze(1).ne(region.unsqueeze(2));
        return zeros(apart.shape, dtype: like.dtype, device: like.device).masked_fill(apart, float.NegativeInfinity);
    }
}
