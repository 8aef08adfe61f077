using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda;

/// <summary>How a block of one of QnA's kernels divides its windows, or its tokens: see <c>QnA.cuh</c>.</summary>
internal sealed record QnATile
{
    private const int MostThreads = 512;
    private const int FewestThreads = 128;
    private const int MostSlots = 8;
    private const int Warp = 32;

    // From large to small: large tiles read less of what stands around them. The last ones are for windows over whole maps.
    private static readonly (int Height, int Width, int Run)[] ForwardShapes =
        [(8, 8, 4), (8, 8, 2), (4, 8, 4), (4, 4, 4), (2, 4, 2), (1, 1, 1)];

    // Rows of 8 windows, two to a product.
    private static readonly (int Height, int Width, int Run)[] TensorShapes = [(8, 8, 8), (4, 8, 8)];

    private static readonly (int Height, int Width, int Run)[] WindowShapes =
        [(8, 8, 2), (8, 8, 4), (4, 8, 2), (4, 4, 2), (2, 4, 2), (1, 1, 1)];

    private static readonly (int Height, int Width, int Run)[] TokenShapes =
        [(8, 8, 1), (8, 16, 1), (4, 8, 1), (4, 4, 1), (2, 4, 1), (1, 4, 1), (1, 1, 1)];

    /// <summary>Which kernel it is for.</summary>
    public required QnAPass Pass { get; init; }

    /// <summary>What the kernel is compiled for.</summary>
    public required QnAProblem Problem { get; init; }

    /// <summary>Rows of a block's windows or tokens.</summary>
    public required int Height { get; init; }

    /// <summary>Columns of a block's windows or tokens.</summary>
    public required int Width { get; init; }

    /// <summary>Neighbouring windows of a thread.</summary>
    public required int Run { get; init; }

    /// <summary>Rows of the window that are taken at a time.</summary>
    public required int Band { get; init; }

    /// <summary>Heads of a block.</summary>
    public required int Group { get; init; }

    /// <summary>Lanes that share a head's channels, in the gradients.</summary>
    public required int Parts { get; init; }

    /// <summary>Whether shared memory holds scores and tables.</summary>
    public required bool Staged { get; init; }

    /// <summary>Threads of a block.</summary>
    public int Threads => Math.Clamp(
        (Owners + Warp - 1) / Warp * Warp, FewestThreads, Pass == QnAPass.ForwardTensor ? 2 * FewestThreads : int.MaxValue);

    /// <summary>How many threads share an entry of the tables' gradients, each with sums of its own.</summary>
    public int Slots => Band == Problem.Window
        ? Math.Clamp(Threads / (Problem.Window * Problem.Window * Columns), 1, MostSlots)
        : 1;

    /// <summary>The kernel.</summary>
    public CudaKernel Kernel
    {
        get
        {
            var token = Problem.Token;
            var constants =
                $"ELEMENT={Problem.Element} WINDOW={Problem.Window} STEP={Problem.Step} QUERIES={token.Queries} DEPTH={token.HeadWidth} GROUP={Group} TILE_HEIGHT={Height} TILE_WIDTH={Width} BAND={Band} THREADS={Threads}";
            return Pass switch
            {
                QnAPass.Forward => new CudaKernel(
                    "QnAForward.cu", "qna_forward", $"{constants} RUN={Run} STAGED={(Staged ? 1 : 0)}"),
                QnAPass.ForwardTensor => new CudaKernel(
                    "QnAForwardTensor.cu", "qna_forward_tensor", $"{constants} STAGED=1"),
                QnAPass.Windows => new CudaKernel(
                    "QnABackwardWindows.cu", "qna_backward_windows",
                    $"{constants} RUN={Run} PARTS={Parts} SLOTS={Slots} STAGED={(Staged ? 1 : 0)}"),
                _ => new CudaKernel("QnABackwardTokens.cu", "qna_backward_tokens", $"{constants} PARTS={Parts}"),
            };
        }
    }

    /// <summary>Shared memory of a block: the arrays of the kernel's file, each from a multiple of 16 bytes on.</summary>
    public int SharedBytes => checked((int)LongSharedBytes);

    private int Columns => Problem.Token.Queries * Group;

    private int Channels => Group * Problem.Token.HeadWidth;

    /// <summary>Threads that have work when products are summed.</summary>
    private int Owners => Pass switch
    {
        QnAPass.Forward => Height * Width / Run * (Channels / PackOf(Problem.Token.HeadWidth, Problem.Bytes)),
        // A warp for two pairs of rows and up to four products' columns.
        QnAPass.ForwardTensor => Height / 4 * ((Channels + Warp - 1) / Warp) * Warp,
        _ => Height * Width / Run * Group * Parts,
    };

    /// <summary>The ways to divide such work that fit a device, the one to begin with first.</summary>
    /// <param name="pass">The kernel.</param>
    /// <param name="problem">What it is compiled for.</param>
    /// <param name="area">Windows of an image, or its tokens: what a block has of one.</param>
    /// <param name="sharedMemory">Bytes that a block can have.</param>
    /// <exception cref="NotSupportedException">A head is wider than a block's threads.</exception>
    public static IReadOnlyList<QnATile> Of(QnAPass pass, in QnAProblem problem, long area, int sharedMemory)
    {
        var found = Ways(pass, problem, area, sharedMemory);
        if (pass == QnAPass.Forward && SuitsTensorCores(problem))
        {
            found.AddRange(Ways(QnAPass.ForwardTensor, problem, area, sharedMemory));
        }
        return found.Count > 0
            ? found
            : throw new NotSupportedException(
                $"query-and-attend with heads of {problem.Token.HeadWidth} channels does not fit a block of a CUDA kernel; use {Backend.Composite}");
    }

    // Weights become elements. Scales of 10⁴ must not make more of them than half holds: 65504, the sum of up to 6 queries.
    private static bool SuitsTensorCores(in QnAProblem problem) =>
        problem.Step == 1 && problem.Token.HeadWidth % 8 == 0
        && (problem.Element == CudaElement.Of(ScalarType.BFloat16)
            || (problem.Element == CudaElement.Of(ScalarType.Float16) && problem.Token.Queries <= 6));

    private static List<QnATile> Ways(QnAPass pass, in QnAProblem problem, long area, int sharedMemory)
    {
        var shapes = pass switch
        {
            QnAPass.Forward => ForwardShapes,
            QnAPass.ForwardTensor => TensorShapes,
            QnAPass.Windows => WindowShapes,
            _ => TokenShapes,
        };
        var found = new List<QnATile>();
        foreach (var (height, width, run) in shapes)
        {
            // A tile of more than twice what there is would be idle; where a large one fits, small ones only read more.
            if ((height * width > 2 * area && height * width > 1) || (found.Count > 0 && height * width < 32))
            {
                continue;
            }
            // A head group's token as one or two rows of the cache; more blocks side by side, or larger bands.
            foreach (var row in (ReadOnlySpan<int>)[128, 256])
            {
                foreach (var share in (ReadOnlySpan<int>)[2, 4])
                {
                    if (Fit(pass, problem, (height, width, run), row, sharedMemory, sharedMemory / share) is { } tile
                        && !found.Contains(tile))
                    {
                        found.Add(tile);
                    }
                }
            }
        }
        return found;
    }

    private static QnATile? Fit(
        QnAPass pass, QnAProblem problem, (int Height, int Width, int Run) shape, int rowBytes, int most, int wanted)
    {
        var (heads, depth) = (problem.Token.Heads, problem.Token.HeadWidth);
        var group = Enumerable.Range(1, heads)
            .Last(count => count == 1 || (heads % count == 0 && count * depth * problem.Bytes <= rowBytes));
        var tile = new QnATile
        {
            Pass = pass,
            Problem = problem,
            Height = shape.Height,
            Width = shape.Width,
            Run = shape.Run,
            Band = problem.Window,
            Group = group,
            // Windows have the channels of a run in registers, tokens those of a value and of its gradient.
            Parts = PartsOf(depth, pass == QnAPass.Windows ? 16 : 32),
            Staged = pass != QnAPass.Tokens,
        };
        if (tile.Threads > MostThreads)
        {
            return null;
        }
        // Tensor cores take whole windows.
        while (pass != QnAPass.ForwardTensor && tile.Band > 1 && tile.LongSharedBytes > wanted)
        {
            tile = tile with { Band = (tile.Band + 1) / 2 };
        }
        if (tile.LongSharedBytes <= most)
        {
            return tile;
        }
        if (pass == QnAPass.ForwardTensor)
        {
            return null;
        }
        // Windows of a hundred tokens a side: scores are then read where they are.
        tile = tile with { Staged = false };
        return tile.LongSharedBytes <= most && shape.Height * shape.Width == 1 ? tile : null;
    }

    private long LongSharedBytes => Pass == QnAPass.Tokens ? TokenBytes() : WindowBytes();

    private long WindowBytes()
    {
        var (window, step) = ((long)Problem.Window, Problem.Step);
        var haloWidth = ((Width - 1) * step) + window;
        var staged = Staged ? 1 : 0;
        var windows = Height * Width;
        var own = Pass == QnAPass.Windows ? Rounded(windows * Columns * sizeof(float)) : 0;
        return Rounded(staged * (((Height - 1) * step) + window) * haloWidth * Columns * sizeof(float))
            + (2 * Rounded(staged * window * window * Columns * sizeof(float)))
            + (3 * Rounded(Columns * sizeof(float)))
            + (2 * Rounded(windows * Columns * sizeof(float)))
            + Rounded(WeightBytes(haloWidth))
            + own
            + Rounded((((Height - 1) * step) + Band) * haloWidth * Pitch * Problem.Bytes);
    }

    /// <summary>Weights of places, or products in their place: numbers, or for tensor cores elements of rows of 16 tokens.</summary>
    private long WeightBytes(long haloWidth)
    {
        var windows = Height * Width;
        var rows = (long)Group * Problem.Window;
        return Pass == QnAPass.ForwardTensor
            ? windows * ((rows * ((haloWidth + 15) / 16 * 16)) + 8) * Problem.Bytes
            : windows * Band * rows * sizeof(float);
    }

    private long TokenBytes()
    {
        var (window, step) = ((long)Problem.Window, Problem.Step);
        var seen = (((Height + Band - 2) / step) + 1) * (((Width + window - 2) / step) + 1);
        return Rounded(seen * Pitch * Problem.Bytes)
            + (3 * Rounded(seen * Columns * sizeof(float)))
            + (2 * Rounded(Band * window * Columns * sizeof(float)));
    }

    private int Pitch => Channels + (16 / Problem.Bytes);

    /// <summary>Elements that one instruction moves, of so many that stand together: <c>Widest</c> in <c>Device.cuh</c>.</summary>
    private static int PackOf(int width, int bytes)
    {
        var pack = 16 / bytes;
        while (width % pack != 0)
        {
            pack /= 2;
        }
        return pack;
    }

    /// <summary>The power of 2 whose lanes have so many channels or fewer, as far as the width can be divided.</summary>
    private static int PartsOf(int depth, int most)
    {
        var parts = 1;
        while (depth / parts > most && depth % (2 * parts) == 0 && parts < Warp)
        {
            parts *= 2;
        }
        return parts;
    }

    private static long Rounded(long bytes) => (bytes + 15) / 16 * 16;
}
