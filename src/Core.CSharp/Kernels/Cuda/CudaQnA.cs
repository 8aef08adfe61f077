using LocalAttention.Core.Kernels.QnA;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>
/// The middle of QnA on a CUDA device: what <see cref="FusedQnA"/> computes, by <c>QnAForward.cu</c>,
/// <c>QnABackwardWindows.cu</c> and <c>QnABackwardTokens.cu</c>.
/// </summary>
internal static class CudaQnA
{
    // Blocks for each multiprocessor that add up gradients of tables: each has sums of its own in memory.
    private const int BlocksPerMultiprocessor = 4;

    // Channels of the widest head whose values fit a block in every pass.
    private const int WidestHead = 256;

    /// <summary>Whether there are kernels for heads of such a width.</summary>
    public static bool Takes(int headWidth) => headWidth <= WidestHead;

    /// <summary>Attends.</summary>
    /// <param name="projected">Scores and values, <c>[B, H, W, width]</c>, laid out as <paramref name="token"/> says.</param>
    /// <param name="position"><c>P [k², columns]</c>, or none.</param>
    /// <param name="scale"><c>A [k² or 1, columns]</c>, or none for 1.</param>
    /// <param name="token">What lies in a token.</param>
    /// <param name="windows">The windows.</param>
    /// <returns><c>[B, H'·u, W'·u, h·d]</c>.</returns>
    /// <exception cref="ArgumentException">No CUDA kernel computes the element type.</exception>
    public static Tensor Attend(
        Tensor projected, Tensor? position, Tensor? scale, CudaQnAToken token, QnAWindows windows)
    {
        var wanted = is_grad_enabled()
            && (projected.requires_grad || position is { requires_grad: true } || scale is { requires_grad: true });
        if (!wanted)
        {
            return Forward(projected, position, scale, token, windows);
        }
        List<object> arguments = [projected, token, windows, position is not null, scale is not null];
        if (position is not null)
        {
            arguments.Add(position);
        }
        if (scale is not null)
        {
            arguments.Add(scale);
        }
        return Differentiable.apply([.. arguments]);
    }

    private static Tensor Forward(
        Tensor projected, Tensor? position, Tensor? scale, CudaQnAToken token, QnAWindows windows)
    {
        var work = new Work(projected, scale, token, windows);
        var output = empty(work.OutputShape, dtype: projected.dtype, device: projected.device);
        if (output.NumberOfElements == 0)
        {
            return output;
        }
        using var source = CudaElement.Readable(projected);
        using var positions = position is null ? null : CudaElement.Table(position);
        using var scales = scale is null ? null : CudaElement.Table(scale);
        var device = CudaDevices.For(projected);
        var tiles = QnATile.Of(QnAPass.Forward, work.Problem, work.WindowsOfImage, device.Limits.SharedMemory);
        void Run(int way)
        {
            var tile = tiles[way];
            var blocks = work.TilesOfWindows(tile) * (work.Token.Heads / tile.Group);
            device.Launch(
                tile.Kernel, new CudaGrid(blocks, 1, 1, tile.Threads, tile.SharedBytes),
                CudaArgument.Read(source), CudaArgument.Read(positions), CudaArgument.Read(scales), CudaArgument.Write(output),
                work.Height, work.Width, work.WindowRows, work.WindowColumns, work.Windows.Padding, work.Token.Heads,
                work.Windows.Upsampling, work.Token.ValuesStart, work.ScaleRows);
        }
        Run(device.Choose($"qna_forward {work}", tiles.Count, Run));
        return output;
    }

    /// <summary>The gradients of the projected map, the position biases and the scales, those that are wanted.</summary>
    private static (Tensor? Projected, Tensor? Position, Tensor? Scale) Backward(
        Tensor slope, Tensor projected, Tensor? position, Tensor? scale, Work work,
        (bool Projected, bool Position, bool Scale) wanted)
    {
        var gradient = wanted.Projected ? empty(projected.shape, dtype: projected.dtype, device: projected.device) : null;
        if (slope.NumberOfElements == 0)
        {
            gradient?.zero_();
            return (gradient, wanted.Position ? zeros_like(position!) : null, wanted.Scale ? zeros_like(scale!) : null);
        }
        using var source = CudaElement.Readable(projected);
        using var slopes = CudaElement.Readable(slope);
        using var positions = position is null ? null : CudaElement.Table(position);
        using var scales = scale is null ? null : CudaElement.Table(scale);
        var device = CudaDevices.For(projected);
        using var statistics = empty(
            [3, work.Batch, work.WindowRows, work.WindowColumns, work.Token.Columns], dtype: ScalarType.Float32, device: projected.device);

        var ofTables = wanted.Position || wanted.Scale;
        using var sums = OfWindows(device, work, source, positions, scales, slopes, statistics, ofTables);
        if (gradient is not null)
        {
            OfTokens(device, work, source, positions, scales, slopes, statistics, gradient);
        }
        using var ofPosition = wanted.Position ? sums!.select(0, 0) : null;
        using var everyScale = wanted.Scale ? sums!.select(0, 1) : null;
        using var ofScale = everyScale is null ? null : work.ScaleRows == 1 ? everyScale.sum([0], keepdim: true) : everyScale.alias();
        return (gradient, ofPosition?.to_type(position!.dtype, copy: true), ofScale?.to_type(scale!.dtype, copy: true));
    }

    /// <summary>
    /// What the softmax and its gradient need of each window and column; and, if wanted, the gradients of both tables,
    /// <c>[2, k², columns]</c>.
    /// </summary>
    private static Tensor? OfWindows(
        ICudaDevice device, Work work, Tensor source, Tensor? positions, Tensor? scales, Tensor slopes, Tensor statistics,
        bool ofTables)
    {
        var tiles = QnATile.Of(QnAPass.Windows, work.Problem, work.WindowsOfImage, device.Limits.SharedMemory);
        Tensor? Run(int way)
        {
            var tile = tiles[way];
            var count = work.TilesOfWindows(tile);
            var groups = work.Token.Heads / tile.Group;
            var blocks = Math.Min(count, Math.Max(1, device.Limits.Multiprocessors * BlocksPerMultiprocessor / groups));
            using var parts = ofTables
                ? empty(
                    [blocks * tile.Slots, 2, (long)work.Windows.Side * work.Windows.Side, work.Token.Columns],
                    dtype: ScalarType.Float32, device: source.device)
                : null;
            device.Launch(
                tile.Kernel, new CudaGrid(blocks, groups, 1, tile.Threads, tile.SharedBytes),
                CudaArgument.Read(source), CudaArgument.Read(positions), CudaArgument.Read(scales), CudaArgument.Read(slopes),
                CudaArgument.Write(statistics), CudaArgument.Write(parts),
                work.Height, work.Width, work.WindowRows, work.WindowColumns, work.Windows.Padding, work.Token.Heads,
                work.Windows.Upsampling, work.Token.ValuesStart, work.ScaleRows, checked((int)count));
            return parts?.sum([0]);
        }
        return Run(device.Choose($"qna_backward_windows {work} {ofTables}", tiles.Count, way => Run(way)?.Dispose()));
    }

    private static void OfTokens(
        ICudaDevice device, Work work, Tensor source, Tensor? positions, Tensor? scales, Tensor slopes, Tensor statistics,
        Tensor gradient)
    {
        var tiles = QnATile.Of(QnAPass.Tokens, work.Problem, (long)work.Height * work.Width, device.Limits.SharedMemory);
        void Run(int way)
        {
            var tile = tiles[way];
            var blocks = Work.Tiles(work.Height, tile.Height) * Work.Tiles(work.Width, tile.Width) * work.Batch
                * (work.Token.Heads / tile.Group);
            device.Launch(
                tile.Kernel, new CudaGrid(blocks, 1, 1, tile.Threads, tile.SharedBytes),
                CudaArgument.Read(source), CudaArgument.Read(positions), CudaArgument.Read(scales), CudaArgument.Read(slopes),
                CudaArgument.Read(statistics), CudaArgument.Write(gradient),
                work.Height, work.Width, work.WindowRows, work.WindowColumns, work.Windows.Padding, work.Token.Heads,
                work.Windows.Upsampling, work.Token.ValuesStart, work.ScaleRows, work.Batch);
        }
        Run(device.Choose($"qna_backward_tokens {work}", tiles.Count, Run));
    }

    /// <summary>The sizes of one aggregation.</summary>
    private sealed record Work
    {
        /// <exception cref="ArgumentException">
        /// The map has no such tokens, no window fits it, or no CUDA kernel computes the element type.
        /// </exception>
        public Work(Tensor projected, Tensor? scale, CudaQnAToken token, QnAWindows windows)
        {
            if (projected.dim() != 4 || projected.size(3) != token.Width)
            {
                throw new ArgumentException(
                    $"a projected map of {string.Join(" × ", projected.shape)} does not have tokens of {token.Width} elements", nameof(projected));
            }
            Problem = new QnAProblem(
                CudaElement.Of(projected.dtype), (int)projected.ElementSize, windows.Side, windows.Stride, token);
            (Token, Windows, ScaleRows) = (token, windows, scale is null ? 1 : (int)scale.size(0));
            (Batch, Height, Width) = (checked((int)projected.size(0)), checked((int)projected.size(1)), checked((int)projected.size(2)));
            WindowRows = Count(Height);
            WindowColumns = Count(Width);
        }

        public QnAProblem Problem { get; }

        public CudaQnAToken Token { get; }

        public QnAWindows Windows { get; }

        public int Batch { get; }

        public int Height { get; }

        public int Width { get; }

        public int WindowRows { get; }

        public int WindowColumns { get; }

        /// <summary>Rows of the scales.</summary>
        public int ScaleRows { get; }

        public long WindowsOfImage => (long)WindowRows * WindowColumns;

        public long[] OutputShape =>
            [Batch, (long)WindowRows * Windows.Upsampling, (long)WindowColumns * Windows.Upsampling, Token.ValueWidth];

        /// <summary>What a choice of tiles depends on.</summary>
        public override string ToString() =>
            $"{Problem.Element} {Batch}x{Height}x{Width} k{Windows.Side} s{Windows.Stride} p{Windows.Padding} u{Windows.Upsampling} q{Token.Queries} h{Token.Heads} d{Token.HeadWidth}";

        public static long Tiles(int length, int side) => (length + side - 1) / side;

        public long TilesOfWindows(QnATile tile) => Tiles(WindowRows, tile.Height) * Tiles(WindowColumns, tile.Width) * Batch;

        private int Count(int length) => Math.Max(0, length + (2 * Windows.Padding) - Windows.Side + Windows.Stride) / Windows.Stride;
    }

    /// <summary>
    /// The graph's node: inputs are the projected map, the token, the windows, whether there are biases and scales, and these.
    /// </summary>
    private sealed class Differentiable : autograd.SingleTensorFunction<Differentiable>
    {
        private const string Arguments = nameof(Arguments);
        private const int FirstTable = 5;

        public override string Name => nameof(CudaQnA);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (projected, token, windows) = ((Tensor)vars[0], (CudaQnAToken)vars[1], (QnAWindows)vars[2]);
            var (hasPosition, hasScale) = ((bool)vars[3], (bool)vars[4]);
            var position = hasPosition ? (Tensor)vars[FirstTable] : null;
            var scale = hasScale ? (Tensor)vars[^1] : null;
            ctx.save_for_backward([projected, .. vars[FirstTable..].Cast<Tensor>()]);
            var wanted = (projected.requires_grad, position is { requires_grad: true }, scale is { requires_grad: true });
            ctx.save_data(Arguments, (token, windows, hasPosition, hasScale, wanted));
            return Forward(projected, position, scale, token, windows);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var (token, windows, hasPosition, hasScale, wanted) =
                ((CudaQnAToken, QnAWindows, bool, bool, (bool, bool, bool)))ctx.get_data(Arguments);
            var position = hasPosition ? saved[1] : null;
            var scale = hasScale ? saved[^1] : null;
            var work = new Work(saved[0], scale, token, windows);
            var gradients = Backward(grad_output, saved[0], position, scale, work, wanted);
            List<Tensor> result = [gradients.Projected!, null!, null!, null!, null!];
            if (hasPosition)
            {
                result.Add(gradients.Position!);
            }
            if (hasScale)
            {
                result.Add(gradients.Scale!);
            }
            return result;
        }
    }
}
