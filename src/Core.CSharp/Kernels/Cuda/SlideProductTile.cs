using System.Collections.Concurrent;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>How a block divides its tokens and channels on tensor cores: the constants of <c>SlideProduct.cuh</c>.</summary>
/// <param name="Warps">Warps of a block.</param>
/// <param name="Stack">Products of 16 tokens that a warp does at a time.</param>
/// <param name="Chunk">Channels that are staged at a time, a multiple of 16.</param>
internal sealed record SlideProductTile(int Warps, int Stack, int Chunk)
{
    /// <summary>The largest window whose logits stay in registers.</summary>
    public const int LargestWindow = 15;

    // Where the tensor cores have the products that the kernels use.
    private const int LeastArchitecture = 80;

    private const int Warp = 32;
    private const int TileColumns = 8;

    // Steps of 16 channels whose sums a warp has in registers at a time, and of 16 samples that stand in shared memory.
    private const int MostChannelSteps = 4;
    private const int MostSampleSteps = 4;

    private static readonly (int Warps, int Stack)[] Shapes = [(4, 1), (4, 2), (8, 1), (2, 1)];

    // A layer asks each time that it runs.
    private static readonly ConcurrentDictionary<
        (int Window, int Depth, SlidePass Pass, int SharedMemory), IReadOnlyList<SlideProductTile>> Known = new();

    /// <summary>
    /// The ways for queries or keys that a device has the shared memory for; none where there are no such products, where the
    /// weight only shifts, or where the window is too large.
    /// </summary>
    public static IReadOnlyList<SlideProductTile> Of(SlideMap map, SlidePass pass, CudaLimits limits) =>
        Suits(map, limits)
            ? Known.GetOrAdd((map.Window, map.Depth, pass, limits.SharedMemory), _ => Find(map, pass, limits.SharedMemory))
            : [];

    private static List<SlideProductTile> Find(SlideMap map, SlidePass pass, int sharedMemory)
    {
        var steps = SlideMap.Ceiling(map.Depth, 16);
        var chunks = Enumerable.Range(1, MostChannelSteps).Reverse().Where(each => steps % each == 0).ToArray();
        var tiles = new List<SlideProductTile>();
        foreach (var (warps, stack) in Shapes.Where(shape => shape.Stack == 1 || map.Area <= 25))
        {
            // A chunk that leaves room for two blocks, or one that fits.
            var tile = new[] { sharedMemory / 2, sharedMemory }
                .SelectMany(budget => chunks
                    .Select(chunk => new SlideProductTile(warps, stack, 16 * chunk))
                    .Where(each => each.SharedBytes(map, pass) <= budget))
                .FirstOrDefault();
            if (tile is not null)
            {
                tiles.Add(tile);
            }
        }
        return tiles;
    }

    /// <summary>Whether there are such products for the map.</summary>
    public static bool Suits(SlideMap map, CudaLimits limits) =>
        map.ElementSize == 2 && !map.Shifts && map.Window <= LargestWindow && limits.Architecture >= LeastArchitecture;

    /// <summary>Steps of 16 samples.</summary>
    public static int SampleSteps(SlideMap map) => SlideMap.Ceiling(map.Area, 16);

    /// <summary>The constants of a kernel over such a map.</summary>
    public string Constants(SlideMap map, SlidePass pass) =>
        $"ELEMENT={map.Element} WINDOW={map.Window} DEPTH={map.Depth} PADDING={(int)map.Padding} "
        + $"WARPS={Warps} STACK={Stack} CHUNK={Chunk}{(pass == SlidePass.Keys ? $" SPREAD={Spread(map)}" : "")}";

    /// <summary>The extent of a launch for the queries or, twice along y, for keys and values.</summary>
    public CudaGrid Grid(SlideMap map, SlidePass pass) => new(
        map.Batch * map.Heads * SlideMap.Ceiling(map.Height, 2 * Stack * Warps) * SlideMap.Ceiling(map.Width, TileColumns),
        pass == SlidePass.Keys ? 2 : 1, 1, Warps * Warp, SharedBytes(map, pass));

    private int SharedBytes(SlideMap map, SlidePass pass)
    {
        var places = ((2 * Stack * Warps) + map.Window - 1) * (TileColumns + map.Window - 1);
        var words = (Chunk / 2) + 4;
        return places * sizeof(int) * (pass == SlidePass.Keys ? words + (Spread(map) * 8) + 4 + 1 : words);
    }

    // Steps of samples that stand in shared memory at a time: as many each time.
    private static int Spread(SlideMap map) =>
        SlideMap.Ceiling(SampleSteps(map), SlideMap.Ceiling(SampleSteps(map), MostSampleSteps));
}
