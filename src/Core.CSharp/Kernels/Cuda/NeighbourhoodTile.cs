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

/// <summary>
/// How a block divides its tokens: by lanes that share a token (<c>NeighbourhoodShares.cuh</c>), or by warps that own 16
/// tokens of a product on tensor cores (<c>NeighbourhoodProducts.cu</c>).
/// </summary>
internal sealed record NeighbourhoodTile
{
    // Channels of the widest head that there are kernels for: a warp's lanes with 8 each.
    private const int WidestHead = 256;

    // With more channels a warp's sums do not fit its registers.
    private const int WidestProduct = 128;

    private const int Warp = 32;
    private const int MostThreads = 512;
    private const int MostRows = 8;

    // Rows, columns, and neighbouring tokens of a thread. From large to small: large tiles read less of what stands around
    // them, small ones fill the device with few tokens.
    private static readonly (int Rows, int Columns, int Tokens)[] Shared =
        [(8, 16, 4), (8, 16, 2), (4, 8, 2), (4, 8, 1), (1, 4, 1), (1, 1, 1)];

    // Columns of a warp's 16 tokens, and the warps of a tile.
    private static readonly (int Columns, int WarpsDown, int WarpsAcross)[] Products =
        [(4, 2, 2), (4, 4, 4), (8, 4, 2), (4, 1, 1)];

    private readonly string _file;
    private readonly string _constants;
    private readonly int _rows;
    private readonly int _columns;
    private readonly int _threads;
    private readonly int _sharedBytes;

    private NeighbourhoodTile(string file, string constants, int rows, int columns, int threads, int sharedBytes)
    {
        (_file, _constants, _rows, _columns, _threads, _sharedBytes) = (file, constants, rows, columns, threads, sharedBytes);
    }

    /// <summary>The ways to divide a map that a device has the shared memory and threads for; possibly none.</summary>
    public static IReadOnlyList<NeighbourhoodTile> Of(in NeighbourhoodMap map, NeighbourhoodPass pass, int sharedMemory)
    {
        var tiles = new List<NeighbourhoodTile>();
        if (map.Depth > WidestHead)
        {
            return tiles;
        }
        if (map.Element != "float" && map.Depth <= WidestProduct)
        {
            foreach (var (columns, down, across) in Products)
            {
                AddTo(tiles, ByProducts(map, pass, sharedMemory, columns, down, across));
            }
        }
        foreach (var (rows, columns, tokens) in Shared)
        {
            AddTo(tiles, ByShares(map, pass, sharedMemory, rows, columns, tokens));
        }
        return tiles;
    }

    /// <summary>The kernel that divides a map so.</summary>
    public CudaKernel Kernel(NeighbourhoodPass pass) => new(
        _file,
        pass switch
        {
            NeighbourhoodPass.Forward => "neighbourhood_forward",
            NeighbourhoodPass.Queries => "neighbourhood_query_gradients",
            _ => "neighbourhood_key_gradients",
        },
        _constants);

    /// <summary>Blocks for every tile of every map of one residue, and every head.</summary>
    public CudaGrid Grid(in NeighbourhoodMap map)
    {
        var down = Ceiling(Ceiling(map.Height, map.Dilation), _rows);
        var across = Ceiling(Ceiling(map.Width, map.Dilation), _columns);
        return new CudaGrid(
            (long)map.Batch * map.Dilation * map.Dilation * down * across, map.Heads, 1, _threads, _sharedBytes);
    }

    private static NeighbourhoodTile? ByShares(
        in NeighbourhoodMap map, NeighbourhoodPass pass, int sharedMemory, int rows, int columns, int tokens)
    {
        var split = SplitOf(map.Depth);
        var threads = rows * columns / tokens * split;
        // With gradients a token takes twice the registers.
        if (threads % Warp != 0 || threads > MostThreads || (pass != NeighbourhoodPass.Forward && tokens > 2))
        {
            return null;
        }
        var bytesOfToken = ((8 * split) + 4) * sizeof(float);
        if (Fitting(map, pass, sharedMemory, rows, columns, bytesOfToken, int.MaxValue) is not (var chunk, var bytes))
        {
            return null;
        }
        return new NeighbourhoodTile(
            pass == NeighbourhoodPass.Forward ? "NeighbourhoodForward.cu" : "NeighbourhoodBackward.cu",
            $"{ConstantsOf(map, rows, columns, chunk, threads)} SPLIT={split} TOKENS={tokens}", rows, columns, threads, bytes);
    }

    private static NeighbourhoodTile? ByProducts(
        in NeighbourhoodMap map, NeighbourhoodPass pass, int sharedMemory, int warpColumns, int warpsDown, int warpsAcross)
    {
        var (rows, columns, threads) = (16 / warpColumns * warpsDown, warpColumns * warpsAcross, warpsDown * warpsAcross * Warp);
        var bytesOfToken = (Ceiling(map.Depth, 16) * 16 + 8) * sizeof(ushort);
        // Numbers of tokens are divided by a product that is exact up to here: see Columns in NeighbourhoodProducts.cu.
        var span = warpColumns + (2 * (map.Window - 1));
        if (Fitting(map, pass, sharedMemory, rows, columns, bytesOfToken, 65535 / (span * span)) is not (var chunk, var bytes))
        {
            return null;
        }
        return new NeighbourhoodTile(
            "NeighbourhoodProducts.cu",
            $"{ConstantsOf(map, rows, columns, chunk, threads)} WARP_COLUMNS={warpColumns} WARPS_ACROSS={warpsAcross}",
            rows, columns, threads, bytes);
    }

    /// <summary>
    /// The most rows at a time that half of the shared memory holds, so that two blocks share a multiprocessor; where one row
    /// takes more, all of it. None: not even that.
    /// </summary>
    private static (int Chunk, int Bytes)? Fitting(
        in NeighbourhoodMap map, NeighbourhoodPass pass, int sharedMemory, int rows, int columns, int bytesOfToken, int most)
    {
        var around = (pass == NeighbourhoodPass.Keys ? 2 : 1) * (map.Window - 1);
        var offsets = (2 * map.Window) - 1;
        for (var chunk = Math.Min(most, Math.Min(MostRows, rows + around)); chunk >= 1; chunk--)
        {
            var places = chunk * (columns + around);
            var numbers = pass == NeighbourhoodPass.Keys ? 2 * Ceiling(places * sizeof(float), 16) * 16 : 0;
            var bytes = (2 * places * bytesOfToken) + numbers + (map.HasBias ? offsets * offsets * sizeof(float) : 0);
            if (bytes <= (chunk > 1 ? sharedMemory / 2 : sharedMemory))
            {
                return (chunk, bytes);
            }
        }
        return null;
    }

    private static string ConstantsOf(in NeighbourhoodMap map, int rows, int columns, int chunk, int threads) =>
        $"ELEMENT={map.Element} WINDOW={map.Window} DEPTH={map.Depth} TILE_ROWS={rows} TILE_COLUMNS={columns} CHUNK={chunk} HAS_BIAS={(map.HasBias ? 1 : 0)} THREADS={threads}";

    /// <summary>Lanes that share a token: the power of 2 whose lanes have 8 channels or fewer.</summary>
    private static int SplitOf(int depth)
    {
        var split = 1;
        while (8 * split < depth)
        {
            split *= 2;
        }
        return split;
    }

    private static void AddTo(List<NeighbourhoodTile> tiles, NeighbourhoodTile? tile)
    {
        if (tile is not null)
        {
            tiles.Add(tile);
        }
    }

    private static int Ceiling(int value, int unit) => (value + unit - 1) / unit;
}
