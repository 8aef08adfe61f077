namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// How the backward pass is divided: each head of each image into bands of rows, and all bands into parts that each add up
/// their own gradients of the parameters. Both follow from the sizes alone, so the sums are the same on any number of threads.
/// </summary>
/// <remarks>
/// A row's keys and values have gradients from the rows within the window's reach. Where these lie in one band, the band writes
/// the gradient; the seams, rows near a band's ends and outside the map, are kept beside and added up afterwards.
/// </remarks>
internal readonly struct SlideBands
{
    // Bands wanted in all: more than threads by far, or the last of them to finish keeps the others waiting.
    private const int Wanted = 32;

    // What the parts' sums may take, unless that leaves too few parts.
    private const long SumBytes = 8 << 20;
    private const int FewestParts = 16;
    private const int MostParts = 64;

    private readonly SlideShape _shape;

    /// <summary>Divides.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="sumBytes">What the sums of one part take.</param>
    public SlideBands(in SlideShape shape, long sumBytes)
    {
        _shape = shape;
        var maps = (long)shape.Batch * shape.Heads;
        PerMap = (int)Math.Clamp((Wanted + maps - 1) / maps, 1, Math.Max(1, shape.Height / (2 * shape.Window)));
        Count = maps * PerMap;
        Parts = (int)Math.Min(Count, Math.Clamp(SumBytes / Math.Max(1, sumBytes), FewestParts, MostParts));
        SeamRows = Math.Min(((shape.Height + PerMap - 1) / PerMap) + (2 * shape.Radius), 2 * Zone);
    }

    /// <summary>Bands of one head of one image.</summary>
    public int PerMap { get; }

    /// <summary>Bands in all.</summary>
    public long Count { get; }

    /// <summary>Parts that bands are divided into.</summary>
    public int Parts { get; }

    /// <summary>The most rows that a band keeps beside.</summary>
    public int SeamRows { get; }

    // Rows from the outermost that a band reaches to the last in which another band, or the padding, has a share.
    private int Zone => (2 * _shape.Radius) + 1;

    /// <summary>The first row of a band.</summary>
    public int Begin(int band) => (int)((long)_shape.Height * band / PerMap);

    /// <summary>Whether a band's gradient of a row is complete.</summary>
    public bool IsWhole(int band, int row) => row > Begin(band) + _shape.Radius && row < Begin(band + 1) - _shape.Radius - 1;

    /// <summary>Where among a band's seam rows an extended row is kept that is not whole.</summary>
    public int Slot(int band, int row)
    {
        var top = Begin(band) - _shape.Radius;
        var bottom = Math.Max(Begin(band + 1) - _shape.Radius - 1, top + Zone);
        return row < top + Zone ? row - top : Zone + row - bottom;
    }
}
