using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// The kernels of one Slide Attention, each in the way that its device is fastest with: on tensor cores where there are
/// products for the map, and otherwise plainly.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="map">The sizes.</param>
/// <param name="scale">The factor of the logits.</param>
/// <param name="projected">Queries, keys and values, as kernels read them.</param>
/// <param name="weight"><c>W [d, k², k²]</c>.</param>
/// <param name="bias"><c>b [d, k²]</c>.</param>
/// <param name="positionBias"><c>rpb [h, k²]</c>.</param>
internal sealed class SlideLaunches(
    ICudaDevice device, SlideMap map, float scale, Tensor projected, Tensor weight, Tensor bias, Tensor positionBias)
    : IDisposable
{
    // Blocks of the weight's gradient for each multiprocessor, and the memory that their sums may take.
    private const int BlocksPerMultiprocessor = 4;
    private const long SumsBudget = 64 << 20;

    private const int TableThreads = 256;

    private (Tensor Table, Tensor Position)? _tables;
    private (Tensor Scores, Tensor Mixing, Tensor Position)? _productTables;

    /// <summary>The output and, where it is asked for, the attention <c>[B, h, H, W, k²]</c>.</summary>
    public void Forward(Tensor output, Tensor? attention) => Run(
        $"slide_forward {map} {attention is not null}", SlidePass.Queries,
        tile => device.Launch(
            new CudaKernel("SlideForward.cu", "slide_forward", tile.Constants(map)),
            tile.Grid(map, SlidePass.Queries, tile.Tiles(map), 1),
            CudaArgument.Read(projected), CudaArgument.Read(Tables.Table), CudaArgument.Read(Tables.Position),
            CudaArgument.Write(output), CudaArgument.Write(attention), map.Height, map.Width, map.Heads, scale),
        tile => device.Launch(
            new CudaKernel("SlideProductForward.cu", "slide_product_forward", tile.Constants(map, SlidePass.Queries)),
            tile.Grid(map, SlidePass.Queries),
            CudaArgument.Read(projected), CudaArgument.Read(ProductTables.Scores), CudaArgument.Read(ProductTables.Mixing),
            CudaArgument.Read(ProductTables.Position), CudaArgument.Write(output), CudaArgument.Write(attention),
            map.Height, map.Width, map.Heads, scale));

    /// <summary>The gradients of the logits <c>[B, h, H, W, k²]</c> and of the queries, in their part of the gradient.</summary>
    public void BackwardQueries(Tensor slope, Tensor attention, Tensor logits, Tensor gradient) => Run(
        $"slide_backward_queries {map}", SlidePass.Queries,
        tile => device.Launch(
            new CudaKernel("SlideBackwardQueries.cu", "slide_backward_queries", tile.Constants(map)),
            tile.Grid(map, SlidePass.Queries, tile.Tiles(map), 1),
            CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(Tables.Table),
            CudaArgument.Read(Tables.Position), CudaArgument.Read(attention), CudaArgument.Write(logits),
            CudaArgument.Update(gradient), map.Height, map.Width, map.Heads, scale),
        tile => device.Launch(
            new CudaKernel("SlideProductQueries.cu", "slide_product_queries", tile.Constants(map, SlidePass.Queries)),
            tile.Grid(map, SlidePass.Queries),
            CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(ProductTables.Scores),
            CudaArgument.Read(ProductTables.Mixing), CudaArgument.Read(ProductTables.Position), CudaArgument.Read(attention),
            CudaArgument.Write(logits), CudaArgument.Update(gradient), map.Height, map.Width, map.Heads, scale));

    /// <summary>The gradients of keys and values, in their parts of the gradient.</summary>
    public void BackwardKeys(Tensor slope, Tensor attention, Tensor logits, Tensor gradient) => Run(
        $"slide_backward_keys {map}", SlidePass.Keys,
        tile => device.Launch(
            new CudaKernel("SlideBackwardKeys.cu", "slide_backward_keys", tile.Constants(map)),
            tile.Grid(map, SlidePass.Keys, tile.Tiles(map), 2),
            CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(logits), CudaArgument.Read(attention),
            CudaArgument.Read(Tables.Table), CudaArgument.Update(gradient), map.Height, map.Width, map.Heads, scale),
        tile => device.Launch(
            new CudaKernel("SlideProductKeys.cu", "slide_product_keys", tile.Constants(map, SlidePass.Keys)),
            tile.Grid(map, SlidePass.Keys),
            CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(logits), CudaArgument.Read(attention),
            CudaArgument.Read(ProductTables.Mixing), CudaArgument.Update(gradient), map.Height, map.Width, map.Heads, scale));

    /// <summary>
    /// The gradients of the weight, <c>[d, k², k²]</c>, if it is wanted, and of the bias, <c>[d, k²]</c>: float32. Sums of few
    /// parts, added in order.
    /// </summary>
    public (Tensor? Weight, Tensor Bias) BackwardWeight(Tensor slope, Tensor attention, Tensor logits, bool wantsWeight)
    {
        using var scope = NewDisposeScope();
        // To the plain kernel the bias alone is the gradient of a weight that only shifts.
        var wanted = map with { Shifts = !wantsWeight };
        var product = SlideWeightTile.Of(wanted, device.Limits);
        var tiles = Tiles(wanted, SlidePass.Weight, limitedTo: product is null ? int.MaxValue : 1);
        Tensor? sums = null;
        void RunWay(int way)
        {
            sums?.Dispose();
            if (product is not null && way == 0)
            {
                var samples = 16 * SlideProductTile.SampleSteps(wanted);
                sums = Sums(wanted, product.Blocks(wanted), SlideWeightTile.Tiles(wanted), samples);
                device.Launch(
                    new CudaKernel("SlideProductWeight.cu", "slide_product_weight", product.Constants(wanted)),
                    product.Grid(wanted, sums.size(0)),
                    CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(logits),
                    CudaArgument.Read(attention), CudaArgument.Write(sums), SlideWeightTile.Tiles(wanted),
                    map.Height, map.Width, map.Heads, scale);
                return;
            }
            var tile = tiles[product is null ? way : way - 1];
            sums = Sums(wanted, tile.WeightBlocks(wanted), tile.Tiles(wanted), wanted.AreaPadded);
            device.Launch(
                new CudaKernel("SlideBackwardWeight.cu", "slide_backward_weight", tile.Constants(wanted)),
                tile.Grid(wanted, SlidePass.Weight, sums.size(0), tile.WeightBlocks(wanted)),
                CudaArgument.Read(projected), CudaArgument.Read(slope), CudaArgument.Read(logits),
                CudaArgument.Read(attention), CudaArgument.Write(sums), tile.Tiles(wanted), map.Height, map.Width, map.Heads,
                scale);
        }
        RunWay(device.Choose($"slide_backward_weight {wanted}", tiles.Count + (product is null ? 0 : 1), RunWay));
        var total = sums!.sum([0]).narrow(2, 0, map.Area);
        var bias = total.select(1, wanted.Taps - 1).contiguous();
        var weight = wantsWeight ? total.narrow(1, 0, map.Area).transpose(1, 2).contiguous() : null;
        return (weight?.MoveToOuterDisposeScope(), bias.MoveToOuterDisposeScope());
    }

    /// <summary>
    /// The gradient of the position bias, <c>Σ_p scale · ds_j Σ_c q_c</c>: a product of the tensor library, float32.
    /// </summary>
    public Tensor BackwardPositionBias(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var tokens = (long)map.Height * map.Width;
        var queries = projected.select(4, 0).to_type(ScalarType.Float32).sum([-1L])
            .permute(0, 3, 1, 2).reshape(map.Batch, map.Heads, 1, tokens);
        return (queries.matmul(logits.view(map.Batch, map.Heads, tokens, map.Area)).sum([0L, 2L]) * scale)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _tables?.Table.Dispose();
        _tables?.Position.Dispose();
        _productTables?.Scores.Dispose();
        _productTables?.Mixing.Dispose();
        _productTables?.Position.Dispose();
        _tables = null;
        _productTables = null;
    }

    /// <summary>Launches in the best way: those on tensor cores come first, and one plain one beside them.</summary>
    private void Run(string question, SlidePass pass, Action<SlideTile> plain, Action<SlideProductTile> product)
    {
        var products = SlideProductTile.Of(map, pass, device.Limits);
        var tiles = Tiles(map, pass, limitedTo: products.Count == 0 ? int.MaxValue : 1);
        void RunWay(int way)
        {
            if (way < products.Count)
            {
                product(products[way]);
            }
            else
            {
                plain(tiles[way - products.Count]);
            }
        }
        RunWay(device.Choose(question, products.Count + tiles.Count, RunWay));
    }

    private List<SlideTile> Tiles(SlideMap wanted, SlidePass pass, int limitedTo)
    {
        var tiles = SlideTile.Of(wanted, pass, device.Limits.SharedMemory);
        return tiles.Count > 0
            ? [.. tiles.Take(limitedTo)]
            : throw new NotSupportedException(
                $"a slide window of {map.Window} does not fit the device's {device.Limits.SharedMemory} bytes of shared memory; "
                + $"use {Backend.Composite}");
    }

    /// <summary>Memory for the sums of as many parts as fill the device.</summary>
    private Tensor Sums(SlideMap wanted, int blocks, long tiles, int samples)
    {
        var size = (long)map.Depth * wanted.Taps * samples;
        var parts = Math.Clamp(
            SumsBudget / sizeof(float) / size, 1, Math.Max(1, BlocksPerMultiprocessor * device.Limits.Multiprocessors / blocks));
        return empty(
            [Math.Min(tiles, parts), map.Depth, wanted.Taps, samples], dtype: ScalarType.Float32, device: projected.device);
    }

    // The parameters as the plain kernels read them.
    private (Tensor Table, Tensor Position) Tables
    {
        get
        {
            if (_tables is not { } tables)
            {
                tables = (
                    empty([map.Depth, map.Taps, map.AreaPadded], dtype: ScalarType.Float32, device: projected.device),
                    empty([map.Heads, map.AreaPadded], dtype: ScalarType.Float32, device: projected.device));
                _tables = tables;
                using var weights = map.Shifts ? null : CudaElement.Readable(weight);
                using var biases = SameAsWeight(bias);
                using var positionBiases = SameAsWeight(positionBias);
                device.Launch(
                    new CudaKernel(
                        "SlideTable.cu", "slide_table",
                        $"ELEMENT={CudaElement.Of(weight.dtype)} WINDOW={map.Window} SHIFTS={(map.Shifts ? 1 : 0)}"),
                    TableGrid(tables.Table.NumberOfElements + tables.Position.NumberOfElements),
                    CudaArgument.Read(weights), CudaArgument.Read(biases), CudaArgument.Read(positionBiases),
                    CudaArgument.Write(tables.Table), CudaArgument.Write(tables.Position), map.Depth, map.Heads);
            }
            return tables;
        }
    }

    // The same in the order of the products.
    private (Tensor Scores, Tensor Mixing, Tensor Position) ProductTables
    {
        get
        {
            if (_productTables is not { } tables)
            {
                var samples = SlideProductTile.SampleSteps(map);
                long[] steps = [map.Area + 1, SlideMap.Ceiling(map.Depth, 16), samples, 32, 4, 2];
                tables = (
                    empty(steps, dtype: projected.dtype, device: projected.device),
                    empty(steps, dtype: projected.dtype, device: projected.device),
                    empty([map.Heads, 16 * samples], dtype: ScalarType.Float32, device: projected.device));
                _productTables = tables;
                using var weights = CudaElement.Readable(weight);
                using var biases = SameAsWeight(bias);
                using var positionBiases = SameAsWeight(positionBias);
                device.Launch(
                    new CudaKernel(
                        "SlideProductTable.cu", "slide_product_table",
                        $"ELEMENT={map.Element} WEIGHT={CudaElement.Of(weight.dtype)} WINDOW={map.Window}"),
                    TableGrid(tables.Scores.NumberOfElements + tables.Position.NumberOfElements),
                    CudaArgument.Read(weights), CudaArgument.Read(biases), CudaArgument.Read(positionBiases),
                    CudaArgument.Write(tables.Scores), CudaArgument.Write(tables.Mixing), CudaArgument.Write(tables.Position),
                    map.Depth, map.Heads);
            }
            return tables;
        }
    }

    private static CudaGrid TableGrid(long size) => new((size + TableThreads - 1) / TableThreads, 1, 1, TableThreads, 0);

    private Tensor SameAsWeight(Tensor parameter)
    {
        if (parameter.dtype == weight.dtype)
        {
            return CudaElement.Readable(parameter);
        }
        using var converted = parameter.to_type(weight.dtype);
        return CudaElement.Readable(converted);
    }
}
