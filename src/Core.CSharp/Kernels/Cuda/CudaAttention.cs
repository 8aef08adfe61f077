using LocalAttention.Core.Kernels.Window;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// Attention inside the windows of a map on a CUDA device: what <see cref="FusedAttention"/> computes, by
/// <c>WindowForward.cu</c>, <c>WindowBackward.cu</c> and their like for single precision.
/// </summary>
internal static class CudaAttention
{
    private const int WidestHead = 128;

    // Enough to fill a device whose multiprocessors have several blocks at a time, where biases add up over windows.
    private const int BlocksPerMultiprocessor = 8;

    private const int SumThreads = 256;

    /// <summary>Whether there are kernels for heads of such a width.</summary>
    public static bool Takes(int headWidth) => headWidth <= WidestHead;

    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="map">How they are divided.</param>
    /// <param name="table">Swin's biases, <c>[(2w − 1)², h]</c>, or none.</param>
    /// <param name="biasWindow">The window that they were made for, <c>w</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">No kernel computes the element type, or heads of that width.</exception>
    public static Tensor Apply(Tensor projected, AttentionMap map, Tensor? table, int biasWindow) =>
        is_grad_enabled() && (projected.requires_grad || table is { requires_grad: true })
            ? Differentiable.apply(table is null ? [projected, map] : [projected, map, table, biasWindow])
            : Forward(projected, map, table, biasWindow, statistics: null);

    private static Tensor Forward(Tensor projected, AttentionMap map, Tensor? table, int biasWindow, Tensor? statistics)
    {
        var element = CudaElement.Of(projected.dtype);
        if (!Takes(map.HeadWidth))
        {
            throw new ArgumentException(
                $"no CUDA kernel attends with heads of {map.HeadWidth} channels; use at most {WidestHead}, or {Backend.Composite}");
        }
        var output = empty([.. projected.shape[..^1], map.Channels], dtype: projected.dtype, device: projected.device);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = CudaElement.Readable(projected);
        using var biases = Biases(table);
        var device = CudaDevices.For(projected);
        var tiles = CudaAttentionTile.Forward(map, element, OffsetsOf(table, biasWindow), device.Limits.SharedMemory);
        void Run(int way)
        {
            var tile = tiles[way];
            var perWindow = Ceiling(map.Longest, tile.Rows);
            device.Launch(
                new CudaKernel(element == "float" ? "WindowForwardSingle.cu" : "WindowForward.cu", "window_forward", tile.Constants),
                new CudaGrid(map.Batch * map.Windows * map.Heads * perWindow, 1, 1, tile.Threads, tile.SharedBytes),
                [
                    CudaArgument.Read(source), CudaArgument.Read(biases), CudaArgument.Write(output),
                    CudaArgument.Write(statistics), .. Division(map), biasWindow, perWindow, Scale(map),
                ]);
        }
        Run(device.Choose($"window_forward {Question(map, element, table)}", tiles.Count, Run));
        return output;
    }

    /// <summary>The gradients by the projected map and, where it is wanted, by the table.</summary>
    private static (Tensor Projected, Tensor? Table) Backward(
        Tensor slope, Tensor projected, Tensor output, Tensor statistics, AttentionMap map, Tensor? table, int biasWindow,
        bool wantsTable)
    {
        var gradient = empty(projected.shape, dtype: projected.dtype, device: projected.device);
        if (output.NumberOfElements == 0)
        {
            return (gradient, wantsTable ? zeros_like(table!) : null);
        }
        using var source = CudaElement.Readable(projected);
        using var slopes = CudaElement.Readable(slope);
        using var biases = Biases(table);
        var pass = new BackwardPass(
            CudaDevices.For(projected), CudaElement.Of(projected.dtype), map, biasWindow, source, biases, output, statistics,
            slopes, gradient);
        using var pairs = CudaAttentionTile.Backward(
            map, pass.Element, OffsetsOf(table, biasWindow), pass.Device.Limits.SharedMemory) is { } whole
            ? pass.Whole(whole, wantsTable)
            : pass.Tiled(OffsetsOf(table, biasWindow), wantsTable, Question(map, pass.Element, table));
        return (gradient, pairs is null ? null : pass.TableGradient(pairs, table!));
    }

    /// <summary>Biases as kernels read them, <c>[h, (2w − 1)²]</c>.</summary>
    private static Tensor? Biases(Tensor? table)
    {
        using var byHead = table?.t();
        return byHead is null ? null : CudaElement.Table(byHead);
    }

    private static long OffsetsOf(Tensor? table, int biasWindow) =>
        table is null ? 0 : (2L * biasWindow - 1) * (2L * biasWindow - 1);

    private static float Scale(in AttentionMap map) => (float)(1 / Math.Sqrt(map.HeadWidth));

    private static int Ceiling(int value, int unit) => (value + unit - 1) / unit;

    private static string Question(in AttentionMap map, string element, Tensor? table) =>
        $"{element} {map.Batch}x{map.Rows.Length}x{map.Columns.Length} windows {map.Rows.Window}x{map.Columns.Window} "
        + $"shifts {map.Rows.First}x{map.Columns.First} heads {map.Heads}x{map.HeadWidth} {map.Order} biases {table is not null}";

    /// <summary>DIVISION_PARAMETERS of <c>Window.cuh</c>, heads, and where a head's and its parts' channels stand.</summary>
    private static CudaArgument[] Division(in AttentionMap map) =>
    [
        map.Rows.Length, map.Rows.Window, map.Rows.First, map.Rows.Count,
        map.Columns.Length, map.Columns.Window, map.Columns.First, map.Columns.Count,
        map.Heads, (int)(map.Heads > 1 ? map.Offset(0, 1) : 0), (int)map.Offset(1, 0),
    ];

    /// <summary>The launches of one backward pass.</summary>
    private sealed record BackwardPass(
        ICudaDevice Device, string Element, AttentionMap Map, int BiasWindow, Tensor Source, Tensor? Biases, Tensor Output,
        Tensor Statistics, Tensor Slopes, Tensor Gradient)
    {
        private string Suffix => Element == "float" ? "Single" : "";

        private long Windows => Map.Batch * Map.Windows;

        /// <summary>In one kernel, where a tile holds a window; the sums of score slopes by parts, where they are wanted.</summary>
        public Tensor? Whole(CudaAttentionTile tile, bool wantsTable)
        {
            var parts = wantsTable ? Parts(Map.Heads) : Windows;
            var pairs = wantsTable ? Pairs(parts) : null;
            Device.Launch(
                new CudaKernel($"WindowBackward{Suffix}.cu", "window_backward", tile.Constants),
                new CudaGrid(parts * Map.Heads, 1, 1, tile.Threads, tile.SharedBytes),
                [
                    CudaArgument.Read(Source), CudaArgument.Read(Biases), CudaArgument.Read(Output),
                    CudaArgument.Read(Statistics), CudaArgument.Read(Slopes), CudaArgument.Write(Gradient),
                    CudaArgument.Write(pairs), .. Division(Map), BiasWindow, Windows, parts, Scale(Map),
                ]);
            return pairs;
        }

        /// <summary>In a kernel for queries, one for keys and values, and one for biases, where their gradient is wanted.</summary>
        public Tensor? Tiled(long biases, bool wantsTable, string question)
        {
            using var deltas = Deltas();
            var tiles = CudaAttentionTile.BackwardTiles(Map, Element, biases, Device.Limits.SharedMemory);
            foreach (var function in (string[])["window_query_gradients", "window_key_gradients"])
            {
                void Run(int way)
                {
                    var tile = tiles[way];
                    var perWindow = Ceiling(Map.Longest, tile.Rows);
                    Device.Launch(
                        Kernel(function, tile), Grid(tile, Windows * Map.Heads * perWindow),
                        [.. Inputs(deltas), CudaArgument.Update(Gradient), .. Division(Map), BiasWindow, perWindow, Scale(Map)]);
                }
                Run(Device.Choose($"{function} {question}", tiles.Count, Run));
            }
            return wantsTable ? PairSums(tiles[0], deltas) : null;
        }

        /// <summary>The gradient of the table, from sums of score slopes by parts.</summary>
        public Tensor TableGradient(Tensor pairs, Tensor table)
        {
            using var sums = pairs.sum([0]);
            using var result = empty(table.shape, dtype: ScalarType.Float32, device: table.device);
            Device.Launch(
                new CudaKernel("WindowSums.cu", "window_offsets", SumConstants),
                new CudaGrid((result.NumberOfElements + SumThreads / 32 - 1) / (SumThreads / 32), 1, 1, SumThreads, 0),
                CudaArgument.Read(sums), CudaArgument.Write(result), Map.Heads, BiasWindow, Map.Rows.Longest, Map.Columns.Longest);
            return result.to_type(table.dtype);
        }

        private string SumConstants => $"ELEMENT={Element} DEPTH={Map.HeadWidth} THREADS={SumThreads}";

        private Tensor PairSums(CudaAttentionTile tile, Tensor deltas)
        {
            var (down, across) = (Ceiling(Map.Longest, tile.Rows), Ceiling(Map.Longest, tile.Columns));
            var parts = Parts((long)Map.Heads * down * across);
            var pairs = Pairs(parts);
            Device.Launch(
                Kernel("window_pair_sums", tile), Grid(tile, parts * Map.Heads * down * across),
                [
                    .. Inputs(deltas), CudaArgument.Write(pairs), .. Division(Map), BiasWindow, down, across, Windows, parts,
                    Scale(Map),
                ]);
            return pairs;
        }

        /// <summary><c>Σ_c slope_c · output_c</c> of each token and head.</summary>
        private Tensor Deltas()
        {
            var deltas = empty([Map.Tokens, Map.Heads], dtype: ScalarType.Float32, device: Source.device);
            // ROW_LANES of Window.cuh: lanes for packs of a row, as wide as alignment allows, up to 16 bytes.
            var most = Element == "float" ? 4 : 8;
            var pack = most;
            while (Map.HeadWidth % pack != 0)
            {
                pack /= 2;
            }
            var lanes = 1;
            while (lanes < Map.HeadWidth / pack && lanes < 32)
            {
                lanes *= 2;
            }
            var rows = SumThreads / lanes;
            Device.Launch(
                new CudaKernel("WindowSums.cu", "window_deltas", SumConstants),
                new CudaGrid((deltas.NumberOfElements + rows - 1) / rows, 1, 1, SumThreads, 0),
                CudaArgument.Read(Slopes), CudaArgument.Read(Output), CudaArgument.Write(deltas), deltas.NumberOfElements);
            return deltas;
        }

        private CudaArgument[] Inputs(Tensor deltas) =>
        [
            CudaArgument.Read(Source), CudaArgument.Read(Biases), CudaArgument.Read(Statistics), CudaArgument.Read(deltas),
            CudaArgument.Read(Slopes),
        ];

        private CudaKernel Kernel(string function, CudaAttentionTile tile) =>
            new($"WindowBackward{Suffix}Tiles.cu", function, tile.Constants);

        private static CudaGrid Grid(CudaAttentionTile tile, long blocks) => new(blocks, 1, 1, tile.Threads, tile.SharedBytes);

        /// <summary>Into how many parts windows are divided, each of so many blocks.</summary>
        private long Parts(long blocks) =>
            Math.Clamp((Device.Limits.Multiprocessors * BlocksPerMultiprocessor + blocks - 1) / blocks, 1, Windows);

        private Tensor Pairs(long parts) =>
            empty([parts, Map.Heads, Map.Longest, Map.Longest], dtype: ScalarType.Float32, device: Source.device);
    }

    /// <summary>The graph's node: inputs are the projected map, how it is divided, and the table with its window or none.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(CudaAttention);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, map) = ((Tensor)vars[0], (AttentionMap)vars[1]);
            var (table, biasWindow) = vars.Length > 2 ? ((Tensor)vars[2], (int)vars[3]) : (null, 0);
            var statistics = empty([map.Tokens, map.Heads, 2], dtype: ScalarType.Float32, device: projected.device);
            var output = Forward(projected, map, table, biasWindow, statistics);
            ctx.save_for_backward(table is null ? [projected, output, statistics] : [projected, output, statistics, table]);
            ctx.save_data(Arguments, (map, biasWindow, table is { requires_grad: true }));
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var table = saved.Count > 3 ? saved[3] : null;
            var (map, biasWindow, wantsTable) = ((AttentionMap, int, bool))ctx.get_data(Arguments);
            var (projected, tableGradient) =
                Backward(grad_output, saved[0], saved[1], saved[2], map, table, biasWindow, wantsTable);
            return table is null ? [projected, null!] : [projected, null!, tableGradient!, null!];
        }
    }
}
