using LocalAttention.Core.Kernels.Window;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// How one of the kernels of window attention divides its work: the constants, the rows of a block's tile, and the shared
/// memory, which the sources lay out in the same way. Products are on tensor cores for half and bfloat16, on CUDA cores for
/// single precision, and their tiles have other shapes.
/// </summary>
/// <param name="Constants">The kernel's constants.</param>
/// <param name="Rows">Queries of a block, or keys where it owns keys.</param>
/// <param name="Columns">Keys, or queries, that stand in shared memory at a time.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="SharedBytes">Shared memory of a block.</param>
internal sealed record CudaAttentionTile(string Constants, int Rows, int Columns, int Threads, int SharedBytes)
{
    // Tokens of the largest window that one tile holds.
    private const int LongestTile = 64;

    // Above it a warp of tensor cores has too few registers for two tiles' sums.
    private const int WideHead = 64;

    private const int Warp = 32;

    /// <summary>The ways to compute the output that fit the shared memory, the likely fastest first; at least one.</summary>
    /// <param name="map">How the map is divided.</param>
    /// <param name="element">The constant ELEMENT.</param>
    /// <param name="biases">Biases of a head, or none.</param>
    /// <param name="sharedMemory">Bytes that a block can have.</param>
    public static IReadOnlyList<CudaAttentionTile> Forward(in AttentionMap map, string element, long biases, int sharedMemory)
    {
        var cores = new Cores(map, element, biases);
        var (warps, columns, narrow) = (Warps(map.Longest), cores.Balanced(map.Longest), cores.Balanced(map.Longest, 32));
        var wide = map.HeadWidth > WideHead;
        List<CudaAttentionTile> ways = map.Longest <= LongestTile
            ? [cores.ForwardTile(warps, 1, columns)]
            : wide
                ? [cores.ForwardTile(4, 1, columns), cores.ForwardTile(8, 1, columns), cores.ForwardTile(4, 1, narrow)]
                : [cores.ForwardTile(4, 2, columns), cores.ForwardTile(4, 1, columns), cores.ForwardTile(8, 1, columns)];
        if (map.Longest is > 32 and <= LongestTile && !wide)
        {
            ways.Add(cores.ForwardTile((warps + 1) / 2, 2, columns));
        }
        return Fitting(ways, cores.ForwardTile(1, 1, cores.Unit), sharedMemory);
    }

    /// <summary>The way to compute all gradients in one pass, where one tile holds the largest window; or none.</summary>
    public static CudaAttentionTile? Backward(in AttentionMap map, string element, long biases, int sharedMemory)
    {
        if (map.Longest > LongestTile || map.HeadWidth > WideHead)
        {
            return null;
        }
        var tile = new Cores(map, element, biases).BackwardTile(Warps(map.Longest), map.Longest);
        return tile.SharedBytes <= sharedMemory ? tile : null;
    }

    /// <summary>The ways to compute gradients tile by tile that fit the shared memory; at least one.</summary>
    public static IReadOnlyList<CudaAttentionTile> BackwardTiles(
        in AttentionMap map, string element, long biases, int sharedMemory)
    {
        var cores = new Cores(map, element, biases);
        var (warps, columns, narrow) = (Warps(map.Longest), cores.Balanced(map.Longest), cores.Balanced(map.Longest, 32));
        List<CudaAttentionTile> ways = map.HeadWidth > WideHead
            ? [cores.TilesTile(warps, narrow)]
            : [cores.TilesTile(warps, columns), cores.TilesTile(warps, narrow)];
        if (map.Longest > LongestTile)
        {
            ways.Add(cores.TilesTile(8, narrow));
        }
        return Fitting(ways, cores.TilesTile(1, cores.Unit), sharedMemory);
    }

    private static List<CudaAttentionTile> Fitting(
        List<CudaAttentionTile> ways, CudaAttentionTile smallest, int sharedMemory)
    {
        var fitting = ways.Where(each => each.SharedBytes <= sharedMemory).Distinct().ToList();
        return fitting.Count > 0 ? fitting : [smallest];
    }

    private static int Warps(int longest) => Math.Min(4, Ceiling(longest, 16));

    private static int Ceiling(int value, int unit) => (value + unit - 1) / unit;

    /// <summary>What computes products: the shapes and sizes of tiles.</summary>
    private readonly struct Cores(in AttentionMap map, string element, long biases)
    {
        // More than that is read through the cache, and leaves room for tiles.
        private const int MostBiasBytes = 16 * 1024;

        private readonly int _depth = map.HeadWidth;
        private readonly bool _isSingle = element == "float";
        private readonly int _biasBytes = biases * sizeof(float) <= MostBiasBytes ? (int)biases * sizeof(float) : 0;
        private readonly string _constants =
            $"ELEMENT={element} DEPTH={map.HeadWidth} BIAS={(biases == 0 ? 0 : biases * sizeof(float) <= MostBiasBytes ? 1 : 2)}";

        /// <summary>What the columns of a product are a multiple of.</summary>
        public int Unit => _isSingle ? 8 : 16;

        // WIDTH or SPAN, and PITCH, of WindowTiles.cuh and WindowSingles.cuh.
        private int Pitch => !_isSingle ? (Ceiling(_depth, 16) * 16) + 8
            : Ceiling(_depth, 4) % 2 == 0 ? (Ceiling(_depth, 4) * 4) + 4
            : Ceiling(_depth, 4) * 4;

        /// <summary>Columns of a tile: about equal shares of a window, none above the most.</summary>
        public int Balanced(int longest, int most = LongestTile) =>
            Ceiling(Ceiling(longest, Ceiling(longest, most)), Unit) * Unit;

        /// <summary>Of <c>window_forward</c>: warps of 16 queries, or of 32.</summary>
        public CudaAttentionTile ForwardTile(int warps, int queries, int columns)
        {
            var rows = warps * 16 * queries;
            return _isSingle
                ? new CudaAttentionTile(
                    $"{_constants} WARPS={warps} ROWS={4 * queries} KEYS={columns}", rows, columns, warps * Warp,
                    Tile(rows) + (2 * Tile(columns)) + Weights(rows, columns) + Numbers(columns) + _biasBytes)
                : new CudaAttentionTile(
                    $"{_constants} WARPS={warps} TILES={queries} KEYS={columns}", rows, columns, warps * Warp,
                    Tile(rows) + (2 * Tile(columns)) + Numbers(columns) + _biasBytes);
        }

        /// <summary>Of <c>window_backward</c>.</summary>
        public CudaAttentionTile BackwardTile(int warps, int longest)
        {
            var (rows, columns) = (16 * warps, Balanced(longest));
            return _isSingle
                ? new CudaAttentionTile(
                    $"{_constants} WARPS={warps} ROWS=4 KEYS={columns}", rows, columns, warps * Warp,
                    (2 * Tile(rows)) + (2 * Tile(columns)) + (2 * Weights(rows, columns)) + (4 * Numbers(rows)) + _biasBytes)
                : new CudaAttentionTile(
                    $"{_constants} WARPS={warps}", rows, rows, warps * Warp,
                    (7 * Tile(rows)) + (4 * Numbers(rows)) + _biasBytes);
        }

        /// <summary>Of <c>window_query_gradients</c>, <c>window_key_gradients</c> and <c>window_pair_sums</c>.</summary>
        public CudaAttentionTile TilesTile(int warps, int columns)
        {
            var rows = 16 * warps;
            return _isSingle
                ? new CudaAttentionTile(
                    $"{_constants} WARPS={warps} ROWS=4 COLUMNS={columns}", rows, columns, warps * Warp,
                    (2 * Tile(rows)) + (2 * Tile(columns)) + Weights(rows, columns) + (4 * Numbers(columns)) + _biasBytes)
                : new CudaAttentionTile(
                    $"{_constants} WARPS={warps} COLUMNS={columns}", rows, columns, warps * Warp,
                    (2 * Tile(rows)) + (4 * Tile(columns)) + (4 * Numbers(columns)) + _biasBytes);
        }

        private int Tile(int rows) => rows * Pitch * (_isSingle ? sizeof(float) : 2);

        private static int Weights(int rows, int columns) => rows * (columns + 4) * sizeof(float);

        // A number for each token, from one multiple of 16 bytes to the next.
        private static int Numbers(int count) => Ceiling(count, 4) * 16;
    }
}
