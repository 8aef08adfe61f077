namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>What a kernel's threads hold, and what goes through shared memory.</summary>
internal enum NeighbourhoodPass
{
    /// <summary>Queries; their keys and values.</summary>
    Forward,

    /// <summary>Queries and their slopes; their keys and values.</summary>
    Queries,

    /// <summary>Keys and values; the queries that see them, with slopes and two numbers each.</summary>
    Keys,
}

/// <summary>How a block divides its tokens: see <c>Neighbourhood.cuh</c>.</summary>
/// <param name="Rows">Rows of a block's tokens.</param>
/// <param name="Columns">Columns of a block's tokens.</param>
/// <param name="Tokens">Neighbouring tokens of a thread.</param>
/// <param name="Chunk">Rows that go through shared memory at a time.</param>
internal sealed record NeighbourhoodTile(int Rows, int Columns, int Tokens, int Chunk)
{
    /// <summary>Channels of the widest head that there are kernels for: a warp's lanes with 8 each.</summary>
    public const int WidestHead = 256;

    private const int MostThreads = 512;

    // From large to small: large tiles read less of what stands around them, small ones fill the device with few tokens.
    private static readonly (int Rows, int Columns, int Tokens)[] Shapes =
        [(8, 16, 4), (4, 16, 4), (8, 16, 2), (4, 16, 2), (8, 8, 2), (4, 8, 2), (4, 8, 1), (2, 4, 1), (1, 4, 1), (1, 1, 1)];

    /// <summary>The ways to divide a map that a device has the shared memory and threads for; at least one.</summary>
    public static IReadOnlyList<NeighbourhoodTile> Of(in NeighbourhoodMap map, NeighbourhoodPass pass, int sharedMemory)
    {
        var tiles = new List<NeighbourhoodTile>();
        foreach (var (rows, columns, tokens) in Shapes)
        {
            var threads = new NeighbourhoodTile(rows, columns, tokens, 1).Threads(map);
            // With gradients a token takes twice the registers.
            if (threads % 32 != 0 || threads > MostThreads || (pass != NeighbourhoodPass.Forward && tokens > 2))
            {
                continue;
            }
            // Half of the memory, so that two blocks share a multiprocessor; where one row takes more, all of it.
            for (var chunk = Math.Min(8, rows + map.Window - 1); chunk >= 1; chunk--)
            {
                var tile = new NeighbourhoodTile(rows, columns, tokens, chunk);
                if (tile.SharedBytes(map, pass) <= (chunk > 1 ? sharedMemory / 2 : sharedMemory))
                {
                    tiles.Add(tile);
                    break;
                }
            }
        }
        return tiles.Count > 0
            ? tiles
            : throw new NotSupportedException(
                $"a neighbourhood of {map.Window}×{map.Window} with heads of {map.Depth} channels does not fit the device's {sharedMemory} bytes of shared memory; use {Backend.Composite}");
    }

    /// <summary>The constants of a kernel that divides a map so.</summary>
    public string Constants(in NeighbourhoodMap map) => Constants(map, Threads(map));

    /// <summary>The same for a kernel of another number of threads.</summary>
    public string Constants(in NeighbourhoodMap map, int threads) =>
        $"ELEMENT={map.Element} WINDOW={map.Window} DEPTH={map.Depth} SPLIT={Split(map)} TOKENS={Tokens} TILE_ROWS={Rows} TILE_COLUMNS={Columns} CHUNK={Chunk} HAS_BIAS={(map.HasBias ? 1 : 0)} THREADS={threads}";

    /// <summary>Blocks for every tile of every map of one residue, and every head.</summary>
    public CudaGrid Grid(in NeighbourhoodMap map, NeighbourhoodPass pass)
    {
        var down = Ceiling(Ceiling(map.Height, map.Dilation), Rows);
        var across = Ceiling(Ceiling(map.Width, map.Dilation), Columns);
        return new CudaGrid(
            (long)map.Batch * map.Dilation * map.Dilation * down * across, map.Heads, 1, Threads(map), SharedBytes(map, pass));
    }

    /// <summary>Threads of a block.</summary>
    public int Threads(in NeighbourhoodMap map) => Rows * Columns / Tokens * Split(map);

    private int SharedBytes(in NeighbourhoodMap map, NeighbourhoodPass pass)
    {
        var columns = Columns + ((pass == NeighbourhoodPass.Forward ? 1 : 2) * (map.Window - 1));
        var places = Chunk * columns;
        var numbers = pass == NeighbourhoodPass.Keys ? 2 * Ceiling(places * sizeof(float), 16) * 16 : 0;
        var offsets = (2 * map.Window) - 1;
        return (2 * places * ((8 * Split(map)) + 4) * sizeof(float)) + numbers
            + (map.HasBias ? offsets * offsets * sizeof(float) : 0);
    }

    /// <summary>Lanes that share a token: the power of 2 whose lanes have 8 channels or fewer.</summary>
    private static int Split(in NeighbourhoodMap map)
    {
        var split = 1;
        while (8 * split < map.Depth)
        {
            split *= 2;
        }
        return split;
    }

    private static int Ceiling(int value, int unit) => (value + unit - 1) / unit;
}
