namespace LocalAttention.Core.Kernels.QnA;

/// <summary>How the rows of a map are divided: by its sizes alone, so that results do not depend on threads.</summary>
internal static class QnABands
{
    // Half of a common second-level cache.
    private const long Budget = 512 * 1024;

    // Fewer, and the rows that only surround a band outweigh its own.
    private const int Fewest = 4;

    /// <summary>Rows of windows in a band: as many as stay in the cache with what they see.</summary>
    public static unsafe int RowsOf<T>(in QnAShape shape)
        where T : unmanaged
    {
        var rowBytes = (long)QnABand<double>.StagedColumnsOf(shape) * shape.Lanes * (shape.Depth + 1) * sizeof(T);
        var staged = Budget / rowBytes;
        var rows = ((staged - shape.Side) / shape.Stride) + 1;
        var most = Math.Max(1, (shape.OutputHeight + 1) / 2);
        return (int)Math.Min(most, Math.Max(rows, Math.Max(Fewest, shape.Side / 2)));
    }
}
