using LocalAttention.Core.Kernels.Neighbourhood;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// Neighbourhood attention on a CUDA device: what <see cref="FusedNeighbourhood"/> computes, by
/// <c>NeighbourhoodForward.cu</c> and <c>NeighbourhoodBackward.cu</c>, or <c>NeighbourhoodProducts.cu</c> on tensor cores.
/// </summary>
internal static class CudaNeighbourhood
{
    // Blocks that add up one offset's gradients: enough to fill a device for one head and a small window.
    private const int BiasParts = 8;
    private const int BiasThreads = 256;

    /// <summary>Whether there are kernels for such heads and windows, and the device has the shared memory for them.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="window">Side of the window, <c>k</c>.</param>
    public static bool Takes(Tensor projected, int heads, int window)
    {
        var map = new NeighbourhoodMap(projected, heads, window, dilation: 1, hasBias: true);
        var sharedMemory = CudaDevices.For(projected).Limits.SharedMemory;
        return Enum.GetValues<NeighbourhoodPass>().All(pass => NeighbourhoodTile.Of(map, pass, sharedMemory).Count > 0);
    }

    /// <summary>Attends.</summary>
    /// <param name="projected">Queries, keys and values, <c>[B, H, W, 3C]</c>: all queries, all keys, all values.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="window">Side of the window, <c>k</c>, odd.</param>
    /// <param name="dilation">Step between the tokens of a window.</param>
    /// <param name="rpb">Biases by offset, <c>[h, 2k − 1, 2k − 1]</c>, or none.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">A size does not fit the others, or no kernel computes the element type.</exception>
    /// <exception cref="NotSupportedException">The device has too little shared memory (<see cref="Takes"/>).</exception>
    public static Tensor Apply(Tensor projected, int heads, int window, int dilation, Tensor? rpb)
    {
        FusedNeighbourhood.Check(projected, heads, window, dilation, rpb);
        if (is_grad_enabled() && (projected.requires_grad || rpb is { requires_grad: true }))
        {
            return Differentiable.apply(
                rpb is null ? [projected, heads, window, dilation] : [projected, heads, window, dilation, rpb]);
        }
        return Forward(projected, heads, window, dilation, rpb, statistics: null);
    }

    private static Tensor Forward(Tensor projected, int heads, int window, int dilation, Tensor? rpb, Tensor? statistics)
    {
        var output = empty([.. projected.shape[..^1], projected.shape[^1] / 3], dtype: projected.dtype, device: projected.device);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = CudaElement.Readable(projected);
        using var biases = rpb is null ? null : CudaElement.Table(rpb);
        var map = new NeighbourhoodMap(projected, heads, window, dilation, rpb is not null);
        var device = CudaDevices.For(projected);
        var tiles = Tiles(map, NeighbourhoodPass.Forward, device);
        void Run(int way) => device.Launch(
            tiles[way].Kernel(NeighbourhoodPass.Forward), tiles[way].Grid(map),
            CudaArgument.Read(source), CudaArgument.Read(biases), CudaArgument.Write(output), CudaArgument.Write(statistics),
            map.Height, map.Width, map.Heads, map.Dilation, map.Scale);
        Run(device.Choose($"neighbourhood_forward {map}", tiles.Count, Run));
        return output;
    }

    /// <summary>The gradients of the projected map and of the biases; the latter only where they are wanted.</summary>
    private static (Tensor Projected, Tensor? Biases) Backward(
        Tensor slope, Tensor projected, Tensor output, Tensor statistics, int heads, int window, int dilation, Tensor? rpb,
        bool wantsBiases)
    {
        var gradient = empty(projected.shape, dtype: projected.dtype, device: projected.device);
        if (gradient.NumberOfElements == 0)
        {
            return (gradient, wantsBiases ? zeros_like(rpb!) : null);
        }
        using var source = CudaElement.Readable(projected);
        using var slopes = CudaElement.Readable(slope);
        using var biases = rpb is null ? null : CudaElement.Table(rpb);
        var map = new NeighbourhoodMap(projected, heads, window, dilation, rpb is not null);
        var device = CudaDevices.For(projected);
        using var deltas = empty_like(statistics);
        using var byScore = wantsBiases
            ? empty(
                [map.Batch, heads, (long)window * window, map.Height, map.Width], dtype: ScalarType.Float32, device: projected.device)
            : null;

        var queryTiles = Tiles(map, NeighbourhoodPass.Queries, device);
        void RunQueries(int way) => device.Launch(
            queryTiles[way].Kernel(NeighbourhoodPass.Queries), queryTiles[way].Grid(map),
            CudaArgument.Read(source), CudaArgument.Read(biases), CudaArgument.Read(output), CudaArgument.Read(slopes),
            CudaArgument.Read(statistics), CudaArgument.Update(gradient), CudaArgument.Write(deltas), CudaArgument.Write(byScore),
            map.Height, map.Width, map.Heads, map.Dilation, map.Scale);
        RunQueries(device.Choose($"neighbourhood_query_gradients {map} {wantsBiases}", queryTiles.Count, RunQueries));

        var keyTiles = Tiles(map, NeighbourhoodPass.Keys, device);
        void RunKeys(int way) => device.Launch(
            keyTiles[way].Kernel(NeighbourhoodPass.Keys), keyTiles[way].Grid(map),
            CudaArgument.Read(source), CudaArgument.Read(biases), CudaArgument.Read(slopes), CudaArgument.Read(statistics),
            CudaArgument.Read(deltas), CudaArgument.Update(gradient),
            map.Height, map.Width, map.Heads, map.Dilation, map.Scale);
        RunKeys(device.Choose($"neighbourhood_key_gradients {map}", keyTiles.Count, RunKeys));
        return (gradient, byScore is null ? null : BiasGradients(device, map, byScore, rpb!));
    }

    private static IReadOnlyList<NeighbourhoodTile> Tiles(in NeighbourhoodMap map, NeighbourhoodPass pass, ICudaDevice device)
    {
        var tiles = NeighbourhoodTile.Of(map, pass, device.Limits.SharedMemory);
        return tiles.Count > 0
            ? tiles
            : throw new NotSupportedException(
                $"a neighbourhood of {map.Window}×{map.Window} with heads of {map.Depth} channels has no kernel within "
                + $"{device.Limits.SharedMemory} bytes of shared memory; use {Backend.Composite}");
    }

    private static Tensor BiasGradients(ICudaDevice device, in NeighbourhoodMap map, Tensor byScore, Tensor rpb)
    {
        var offsets = (2L * map.Window) - 1;
        using var sums = empty([BiasParts, map.Heads, offsets, offsets], dtype: ScalarType.Float32, device: rpb.device);
        device.Launch(
            new CudaKernel("NeighbourhoodBias.cu", "neighbourhood_bias_gradients", $"WINDOW={map.Window} THREADS={BiasThreads}"),
            new CudaGrid(offsets * offsets, map.Heads, BiasParts, BiasThreads, BiasThreads / 32 * sizeof(float)),
            CudaArgument.Read(byScore), CudaArgument.Write(sums),
            map.Batch, map.Height, map.Width, map.Heads, map.Dilation, BiasParts);
        using var sum = sums.sum([0]);
        return sum.to_type(rpb.dtype);
    }

    /// <summary>The graph's node: inputs are those of <see cref="Apply"/>, the biases last or left out.</summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);

        public override string Name => nameof(CudaNeighbourhood);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, heads, window, dilation) = ((Tensor)vars[0], (int)vars[1], (int)vars[2], (int)vars[3]);
            var rpb = vars.Length > 4 ? (Tensor)vars[4] : null;
            var statistics = empty([.. projected.shape[..^1], heads], dtype: ScalarType.Float32, device: projected.device);
            var output = Forward(projected, heads, window, dilation, rpb, statistics);
            ctx.save_for_backward(rpb is null ? [projected, output, statistics] : [projected, output, statistics, rpb]);
            ctx.save_data(Arguments, (heads, window, dilation, rpb is { requires_grad: true }));
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var rpb = saved.Count > 3 ? saved[3] : null;
            var (heads, window, dilation, wantsBiases) = ((int, int, int, bool))ctx.get_data(Arguments);
            var (projected, biases) =
                Backward(grad_output, saved[0], saved[1], saved[2], heads, window, dilation, rpb, wantsBiases);
            return rpb is null ? [projected, null!, null!, null!] : [projected, null!, null!, null!, biases!];
        }
    }
}
