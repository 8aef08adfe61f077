using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using LocalAttention.Core.Kernels.Cuda;
using static TorchSharp.torch;

namespace LocalAttention.Cuda.Emulation;

/// <summary>
/// One executable of kernels and the process that runs it, which stays for the next launch. One launch runs at a time.
/// </summary>
/// <param name="compiler">What makes the executable, at the first launch.</param>
/// <param name="file">The kernels' file.</param>
/// <param name="constants">Its macros.</param>
internal sealed class EmulatedProgram(EmulatedCompiler compiler, string file, string constants) : IDisposable
{
    private readonly Lock _lock = new();
    private Process? _process;
    private Task<string>? _errors;

    /// <summary>Runs a launch to its end.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="grid">Its extent.</param>
    /// <param name="seed">What the order of threads follows from.</param>
    /// <param name="patience">What it may take before it is ended.</param>
    /// <param name="arguments">Its arguments; the tensors that it writes have its results afterwards.</param>
    /// <exception cref="CudaException">The kernel does not compile, or the emulation found an error in it.</exception>
    public void Launch(CudaKernel kernel, CudaGrid grid, long seed, TimeSpan patience, ReadOnlySpan<CudaArgument> arguments)
    {
        lock (_lock)
        {
            var process = _process ??= Start();
            using var ended = new CancellationTokenSource(patience);
            using (ended.Token.Register(() => process.Kill()))
            {
                try
                {
                    Send(process.StandardInput.BaseStream, kernel, grid, seed, arguments);
                    Receive(process.StandardOutput.BaseStream, kernel, arguments);
                    return;
                }
                catch (IOException)
                {
                    // It has ended, by itself or when the time was up: what it said last says why.
                }
            }
            var words = LastWords();
            throw new CudaException(
                ended.IsCancellationRequested ? $"{kernel} has not ended after {patience}" : $"{kernel}: {words}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            End();
        }
    }

    private static void Send(Stream stream, CudaKernel kernel, CudaGrid grid, long seed, ReadOnlySpan<CudaArgument> arguments)
    {
        using var buffered = new MemoryStream();
        using var writer = new BinaryWriter(buffered);
        var name = Encoding.UTF8.GetBytes(kernel.Function);
        writer.Write(name.Length);
        writer.Write(name);
        writer.Write(grid.X);
        writer.Write(grid.Y);
        writer.Write(grid.Z);
        writer.Write(grid.Threads);
        writer.Write(grid.SharedBytes);
        writer.Write(seed);
        writer.Write(arguments.Length);
        foreach (var argument in arguments)
        {
            writer.Write((byte)argument.Kind);
            writer.Write(argument.Tensor is { } each ? (int)each.dtype : -1);
            if (argument.Kind is not (CudaArgumentKind.Read or CudaArgumentKind.Write or CudaArgumentKind.Update))
            {
                writer.Write(argument.Bits);
                continue;
            }
            writer.Write(argument.Tensor is not null);
            if (argument.Tensor is { } tensor)
            {
                writer.Write((int)(tensor.storage_offset() * tensor.element_size() % 256));
                writer.Write(tensor.numel() * tensor.element_size());
                if (argument.Kind is CudaArgumentKind.Read or CudaArgumentKind.Update)
                {
                    using var plain = tensor.detach();
                    writer.Write(plain.bytes);
                }
            }
        }
        writer.Flush();
        buffered.WriteTo(stream);
        stream.Flush();
    }

    private void Receive(Stream stream, CudaKernel kernel, ReadOnlySpan<CudaArgument> arguments)
    {
        Span<byte> status = stackalloc byte[1];
        stream.ReadExactly(status);
        if (status[0] != 0)
        {
            var length = new byte[sizeof(int)];
            stream.ReadExactly(length);
            var text = new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
            stream.ReadExactly(text);
            End();
            throw new CudaException($"{kernel}: {Encoding.UTF8.GetString(text)}");
        }
        foreach (var argument in arguments)
        {
            if (argument is { Kind: CudaArgumentKind.Write or CudaArgumentKind.Update, Tensor: { } tensor })
            {
                using var plain = tensor.detach();
                stream.ReadExactly(plain.bytes);
            }
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo(compiler.Executable(file, constants))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Wide margins around every buffer, which is freed when the launch is over; leaks are none of a kernel's errors.
        start.Environment["ASAN_OPTIONS"] =
            "redzone=2048:max_redzone=2048:quarantine_size_mb=1:malloc_context_size=1:detect_leaks=0:detect_stack_use_after_return=0";
        start.Environment["UBSAN_OPTIONS"] = "print_stacktrace=1:abort_on_error=1";
        var process = Process.Start(start)!;
        _errors = process.StandardError.ReadToEndAsync();
        return process;
    }

    // What the process said before it ended by itself: where it was, and the beginning of a sanitizer's report.
    private string LastWords()
    {
        var lines = _errors!.GetAwaiter().GetResult().Split('\n').Where(each => each.Trim().Trim('=').Length > 0).ToArray();
        _process!.WaitForExit();
        var status = _process.ExitCode;
        End();
        const string Mark = "emulation: ";
        var places = lines.Where(each => each.StartsWith(Mark, StringComparison.Ordinal)).Select(each => each[Mark.Length..]);
        var report = lines.Where(each => !each.StartsWith(Mark, StringComparison.Ordinal)).Take(30);
        return lines.Length == 0 ? $"the emulation ended with status {status}" : string.Join('\n', [.. places, .. report]);
    }

    private void End()
    {
        if (_process is null)
        {
            return;
        }
        try
        {
            // It ends when nothing more can come.
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended before.
        }
        if (!_process.WaitForExit(TimeSpan.FromSeconds(5)))
        {
            _process.Kill();
            _process.WaitForExit();
        }
        _process.Dispose();
        _process = null;
    }
}
