using System.Collections.Concurrent;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>What a kernel of Slide Attention keeps in shared memory.</summary>
internal enum SlidePass
{
    /// <summary>Queries, keys or values, and logits: <c>SlideForward.cu</c>, <c>SlideBackwardQueries.cu</c>.</summary>
    Queries,

    /// <summary>One factor by channel and one by sample, with their halo: <c>SlideBackwardKeys.cu</c>.</summary>
    Keys,

    /// <summary>Two of each of these: <c>SlideBackwardWeight.cu</c>.</summary>
    Weight,
}

/// <summary>How a block divides its tokens and channels: the constants of <c>Slide.cuh</c>.</summary>
/// <param name="Tall">Tokens of a thread.</param>
/// <param name="Slices">Warps of a block.</param>
/// <param name="Chunk">Channels that are staged at a time.</param>
internal sealed record SlideTile(int Tall, int Slices, int Chunk)
{
    // Staged planes beyond this leave a multiprocessor with too few blocks.
    private const int PlaneBudget = 40 * 1024;

    // Registers for the sums of a thread's channels, and pairs of the weight's gradient in a block.
    private const int MostSums = 16;
    private const int MostPairs = 512;

    // Blocks of a launch along y.
    private const int MostBlocks = 65535;

    private const int Warp = 32;
    private const int TileColumns = 8;

    private static readonly (int Tall, int Slices)[] Shapes = [(2, 4), (1, 4), (4, 4), (2, 8), (1, 2), (1, 1)];

    // A layer asks each time that it runs.
    private static readonly ConcurrentDictionary<
        (int Window, int Depth, int ElementSize, bool Shifts, SlidePass Pass, int SharedMemory), IReadOnlyList<SlideTile>> Known =
        new();

    /// <summary>The ways that a device has the shared memory for, at most four; none where the window is too large.</summary>
    public static IReadOnlyList<SlideTile> Of(SlideMap map, SlidePass pass, int sharedMemory) => Known.GetOrAdd(
        (map.Window, map.Depth, map.ElementSize, map.Shifts, pass, sharedMemory), _ => Find(map, pass, sharedMemory));

    private static List<SlideTile> Find(SlideMap map, SlidePass pass, int sharedMemory)
    {
        var tiles = new List<SlideTile>();
        foreach (var (tall, slices) in Shapes)
        {
            if (slices > 2 && tall * map.Samples > 64)
            {
                continue;
            }
            var tile = Chunks(map)
                .Select(chunk => new SlideTile(tall, pass == SlidePass.Weight ? Warps(map, chunk) : slices, chunk))
                .Where(tile => tile.SharedBytes(map, pass) <= sharedMemory)
                .Where(tile => pass != SlidePass.Weight || tile.WeightBlocks(map) <= MostBlocks)
                .OrderByDescending(tile => tile.Suits(map, pass) ? tile.Chunk : -tile.Chunk)
                .FirstOrDefault();
            if (tile is not null && tiles.Count < 4 && !tiles.Contains(tile) && (tile.Slices <= tile.Chunk || tiles.Count == 0))
            {
                tiles.Add(tile);
            }
        }
        return tiles;
    }

    /// <summary>The constants of a kernel over such a map.</summary>
    public string Constants(SlideMap map) =>
        $"ELEMENT={map.Element} WINDOW={map.Window} DEPTH={map.Depth} PADDING={(int)map.Padding} SHIFTS={(map.Shifts ? 1 : 0)} "
        + $"TALL={Tall} SLICES={Slices} CHUNK={Chunk}";

    /// <summary>Tiles of all images and heads.</summary>
    public long Tiles(SlideMap map) =>
        map.Batch * map.Heads * SlideMap.Ceiling(map.Height, 4 * Tall) * SlideMap.Ceiling(map.Width, TileColumns);

    /// <summary>The extent of a launch whose blocks along x own a tile each, or take the tiles in turn.</summary>
    public CudaGrid Grid(SlideMap map, SlidePass pass, long across, int along) =>
        new(across, along, 1, Slices * Warp, SharedBytes(map, pass));

    /// <summary>Blocks of the weight's gradient along y: chunks of channels, groups of pairs and blocks of samples.</summary>
    public int WeightBlocks(SlideMap map) =>
        map.Depth / Chunk * SlideMap.Ceiling(Chunk * map.Taps, Slices * Warp) * map.Blocks;

    // Divisors of the depth that are whole packs.
    private static IEnumerable<int> Chunks(SlideMap map) =>
        Enumerable.Range(1, map.Depth).Where(chunk => map.Depth % chunk == 0 && chunk % map.Pack == 0);

    private static int Warps(SlideMap map, int chunk) => Math.Min(8, SlideMap.Ceiling(chunk * map.Taps, Warp));

    private bool Suits(SlideMap map, SlidePass pass) => PlaneBytes(map) <= PlaneBudget && pass switch
    {
        SlidePass.Keys => SlideMap.Ceiling(Chunk, Slices) * Tall <= MostSums,
        SlidePass.Weight => Chunk * map.Taps <= MostPairs,
        _ => true,
    };

    private int SharedBytes(SlideMap map, SlidePass pass)
    {
        var tokens = TileColumns * 4 * Tall;
        return pass switch
        {
            SlidePass.Queries => PlaneBytes(map) + RowBytes(map.Depth) + (map.Area * tokens * sizeof(float)),
            SlidePass.Keys => PlaneBytes(map) + (map.Samples * Plane(map) * sizeof(float)),
            _ => (2 * RowBytes(Chunk)) + (2 * tokens * map.SamplesPadded * sizeof(float))
                + (map.Shifts ? 0 : 2 * PlaneBytes(map)),
        };
    }

    private int Plane(SlideMap map)
    {
        var step = 16 / Tall;
        var stride = (SlideMap.Ceiling(TileColumns + map.Window - 1 - (step / 2), step) * step) + (step / 2);
        return (((4 * Tall) + map.Window - 1) * stride) + 1;
    }

    private int PlaneBytes(SlideMap map) => SlideMap.Ceiling(Chunk * Plane(map), 4) * 16;

    private int RowBytes(int channels) => SlideMap.Ceiling(channels * ((TileColumns * 4 * Tall) + 1), 4) * 16;
}
