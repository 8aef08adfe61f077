namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>How blocks divide the weight's gradient on tensor cores: the constants of <c>SlideProductWeight.cu</c>.</summary>
/// <param name="Chunk">Channels of a block: 8, 16 or 32.</param>
/// <param name="Own">Positions of a warp.</param>
/// <param name="Spread">Steps of 16 samples of a warp.</param>
internal sealed record SlideWeightTile(int Chunk, int Own, int Spread)
{
    private const int Warp = 32;
    private const int Warps = 8;
    private const int Side = 8;

    // Words of a line of the tile's tokens.
    private const int Line = (Side * Side / 2) + 4;

    // Products whose sums a warp has in registers.
    private const int MostProducts = 24;
    private const int MostSampleSteps = 4;

    private static readonly int[] Chunks = [32, 16, 8];

    /// <summary>The way to divide a map; none where there are no such products or the device's memory is too small.</summary>
    public static SlideWeightTile? Of(SlideMap map, CudaLimits limits)
    {
        if (!SlideProductTile.Suits(map, limits))
        {
            return null;
        }
        var steps = SlideProductTile.SampleSteps(map);
        var spread = SlideMap.Ceiling(steps, SlideMap.Ceiling(steps, MostSampleSteps));
        return Chunks
            .Where(chunk => chunk == 8 || map.Depth % chunk == 0)
            .Select(chunk => new SlideWeightTile(
                chunk, Math.Min(SlideMap.Ceiling(map.Area + 1, Warps * 8 / chunk), MostProducts / spread), spread))
            .FirstOrDefault(tile => tile.SharedBytes(map) <= limits.SharedMemory);
    }

    /// <summary>The constants of the kernel.</summary>
    public string Constants(SlideMap map) =>
        $"ELEMENT={map.Element} WINDOW={map.Window} DEPTH={map.Depth} PADDING={(int)map.Padding} "
        + $"WARPS={Warps} CHUNK={Chunk} OWN={Own} SPREAD={Spread}";

    /// <summary>Tiles of all images and heads.</summary>
    public static long Tiles(SlideMap map) =>
        map.Batch * map.Heads * SlideMap.Ceiling(map.Height, Side) * SlideMap.Ceiling(map.Width, Side);

    /// <summary>Blocks along y: chunks of channels, groups of positions and groups of samples.</summary>
    public int Blocks(SlideMap map) =>
        SlideMap.Ceiling(map.Depth, Chunk) * SlideMap.Ceiling(map.Area + 1, Warps * 8 / Chunk * Own)
        * SlideMap.Ceiling(SlideProductTile.SampleSteps(map), Spread);

    /// <summary>The extent of a launch.</summary>
    public CudaGrid Grid(SlideMap map, long parts) => new(parts, Blocks(map), 1, Warps * Warp, SharedBytes(map));

    private int SharedBytes(SlideMap map)
    {
        var halo = Side + map.Window - 1;
        var plane = (((halo * ((halo + 1) / 2)) + 3) / 8 * 8) + 4;
        return sizeof(int) * ((2 * Spread * 16 * Line) + (2 * Chunk * Line) + (4 * Chunk * plane));
    }
}
