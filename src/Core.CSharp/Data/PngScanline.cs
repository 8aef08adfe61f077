namespace LocalAttention.Core.Data;

/// <summary>One row of a PNG file's pixels: undoes its filter and takes its samples apart.</summary>
internal static class PngScanline
{
    /// <summary>The number of filters: none, sub, up, average, Paeth (PNG specification, section 9.2).</summary>
    public const int Filters = 5;

    /// <summary>Undoes a filter in place.</summary>
    /// <param name="filter">The filter's number.</param>
    /// <param name="row">The row's bytes.</param>
    /// <param name="above">The bytes of the row above in the same pass, already undone; zeros at the top.</param>
    /// <param name="distance">How far to the left the same byte of the pixel before is.</param>
    public static void Undo(int filter, Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        switch (filter)
        {
            case 1:
                for (var i = distance; i < row.Length; i++)
                    row[i] += row[i - distance];
                break;
            case 2:
                for (var i = 0; i < row.Length; i++)
                    row[i] += above[i];
                break;
            case 3:
                for (var i = 0; i < row.Length; i++)
                    row[i] += (byte)(((i < distance ? 0 : row[i - distance]) + above[i]) / 2);
                break;
            case 4:
                for (var i = 0; i < row.Length; i++)
                {
                    row[i] += i < distance
                        ? above[i]
                        : Paeth(row[i - distance], above[i], above[i - distance]);
                }
                break;
        }
    }

    /// <summary>A sample as it stands in the row.</summary>
    /// <param name="row">The row's bytes.</param>
    /// <param name="index">The sample, counted from the row's start.</param>
    /// <param name="depth">Bits of a sample.</param>
    public static int Sample(ReadOnlySpan<byte> row, int index, int depth)
    {
        if (depth == 8)
            return row[index];
        if (depth == 16)
            return (row[2 * index] << 8) | row[(2 * index) + 1];
        var bit = (long)index * depth;
        return (row[(int)(bit / 8)] >> (int)(8 - depth - (bit % 8))) & ((1 << depth) - 1);
    }

    /// <summary>A sample from 0 to 255, to the nearest.</summary>
    public static byte ToByte(int sample, int depth)
    {
        var largest = (1 << depth) - 1;
        return (byte)(((sample * 255) + (largest / 2)) / largest);
    }

    private static byte Paeth(int left, int above, int diagonal)
    {
        var estimate = left + above - diagonal;
        var (toLeft, toAbove, toDiagonal) =
            (Math.Abs(estimate - left), Math.Abs(estimate - above), Math.Abs(estimate - diagonal));
        if (toLeft <= toAbove && toLeft <= toDiagonal)
            return (byte)left;
        return (byte)(toAbove <= toDiagonal ? above : diagonal);
    }
}
