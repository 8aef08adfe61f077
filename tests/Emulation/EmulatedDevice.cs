using System.Collections.Concurrent;
using LocalAttention.Core.Kernels.Cuda;
using TorchSharp;

namespace LocalAttention.Cuda.Emulation;

/// <summary>
/// Plays a CUDA device on the host: kernels are compiled from their own text by g++ and run thread by thread, with every
/// access to memory and every meeting of threads checked. A launch has run when it returns, its tensors are in main memory,
/// and what is wrong with it is a <see cref="CudaException"/>. Launches may come from several threads.
/// </summary>
internal sealed class EmulatedDevice : ICudaDevice, IDisposable
{
    private readonly EmulatedCompiler _compiler;
    private readonly ConcurrentDictionary<(string File, string Constants), EmulatedProgram> _programs = new();
    private readonly ConcurrentQueue<CudaQuestion> _questions = new();
    private readonly ConcurrentQueue<CudaLaunch> _launches = new();

    /// <summary>A device.</summary>
    /// <param name="sharedMemory">Bytes of shared memory that a block can have: 227 KiB as a large device, or 48 KiB.</param>
    /// <param name="multiprocessors">Multiprocessors, few: kernels make a few blocks for each.</param>
    /// <param name="sources">More sources by their names, or others than the embedded ones.</param>
    public EmulatedDevice(
        int sharedMemory = 227 * 1024, int multiprocessors = 2, IReadOnlyDictionary<string, string>? sources = null)
    {
        Limits = new CudaLimits("the host as a CUDA device", 80, multiprocessors, sharedMemory);
        _compiler = new EmulatedCompiler(sources ?? new Dictionary<string, string>());
    }

    /// <inheritdoc/>
    public CudaLimits Limits { get; }

    /// <summary>The way that <see cref="Choose"/> picks, or the last where there are fewer.</summary>
    public int Way { get; set; }

    /// <summary>What the order of blocks and threads follows from.</summary>
    public long Seed { get; set; }

    /// <summary>What a launch may take before it counts as one that never ends.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>What has been asked of <see cref="Choose"/>.</summary>
    public IReadOnlyCollection<CudaQuestion> Questions => _questions;

    /// <summary>What has been launched.</summary>
    public IReadOnlyCollection<CudaLaunch> Launches => _launches;

    /// <inheritdoc/>
    public void Launch(CudaKernel kernel, CudaGrid grid, params ReadOnlySpan<CudaArgument> arguments)
    {
        Check(kernel, grid);
        Check(kernel, arguments);
        var program = _programs.GetOrAdd(
            (kernel.File, kernel.Constants), key => new EmulatedProgram(_compiler, key.File, key.Constants));
        _launches.Enqueue(new CudaLaunch(kernel, grid));
        program.Launch(kernel, grid, Seed, Patience, arguments);
    }

    /// <inheritdoc/>
    public int Choose(string question, int count, Action<int> run)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _questions.Enqueue(new CudaQuestion(question, count));
        return Math.Clamp(Way, 0, count - 1);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var program in _programs.Values)
        {
            program.Dispose();
        }
        _programs.Clear();
    }

    // What tensors must be: in main memory, and what is changed is nothing else's memory.
    private static void Check(CudaKernel kernel, ReadOnlySpan<CudaArgument> arguments)
    {
        for (var index = 0; index < arguments.Length; index++)
        {
            if (arguments[index].Tensor is not { } tensor)
            {
                continue;
            }
            if (tensor.device_type != DeviceType.CPU)
            {
                throw new CudaException($"{kernel}: a tensor on {tensor.device_type} is not in main memory");
            }
            for (var other = 0; other < arguments.Length; other++)
            {
                if (arguments[index].Kind is CudaArgumentKind.Write or CudaArgumentKind.Update && other != index
                    && arguments[other].Tensor is { } second && Overlap(tensor, second))
                {
                    throw new CudaException($"{kernel}: parameter {index + 1} is changed and shares memory with {other + 1}");
                }
            }
        }
    }

    private static bool Overlap(torch.Tensor first, torch.Tensor second)
    {
        using var plain = first.detach();
        using var other = second.detach();
        return plain.bytes.Overlaps(other.bytes);
    }

    // What a device refuses.
    private void Check(CudaKernel kernel, CudaGrid grid)
    {
        var refusal = grid switch
        {
            { X: < 1 or > int.MaxValue } => $"{grid.X} blocks along x",
            { Y: < 1 or > 65535 } => $"{grid.Y} blocks along y",
            { Z: < 1 or > 65535 } => $"{grid.Z} blocks along z",
            { Threads: < 32 or > 1024 } => $"{grid.Threads} threads in a block",
            _ when grid.Threads % 32 != 0 => $"{grid.Threads} threads in a block, no multiple of 32",
            _ when grid.SharedBytes < 0 || grid.SharedBytes > Limits.SharedMemory =>
                $"{grid.SharedBytes} bytes of shared memory, of {Limits.SharedMemory}",
            _ => null,
        };
        if (refusal is not null)
        {
            throw new CudaException($"{kernel} cannot be launched with {refusal}");
        }
    }
}

/// <summary>A question that a kernel's host side asked.</summary>
/// <param name="Question">The question.</param>
/// <param name="Count">How many ways there were.</param>
internal sealed record CudaQuestion(string Question, int Count);

/// <summary>A launch.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="Grid">Its extent.</param>
internal sealed record CudaLaunch(CudaKernel Kernel, CudaGrid Grid);
