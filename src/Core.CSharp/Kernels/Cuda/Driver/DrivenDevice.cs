using System.Collections.Concurrent;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// A CUDA device, reached through its driver: kernels are compiled by NVRTC when they are first launched, kept on disk, and
/// launched in the tensor library's context on its current stream. Safe for any number of threads.
/// </summary>
internal sealed unsafe class DrivenDevice : ICudaDevice
{
    /// <summary>The lowest compute capability that the kernels are written for, ten times its numbers.</summary>
    public const int LowestArchitecture = 80;

    private static readonly ConcurrentDictionary<int, (DrivenDevice? Device, string? Obstacle)> Found = new();
    private static readonly Lock Finding = new();

    private static readonly Lazy<(CudaDriver? Driver, string? Obstacle)> Driver = new(() =>
        (CudaDriver.Load(Environment.GetEnvironmentVariable(CudaDriver.Variable), out var obstacle), obstacle));

    private readonly CudaDriver _driver;
    private readonly Nvrtc _compiler;
    private readonly KernelSources _sources;
    private readonly KernelCache _cache;
    private readonly Tuning? _tuning;
    private readonly int _index;
    private readonly DeviceType _memory;
    private readonly nint _context;
    private readonly string _subject;
    private readonly string _target;

    private readonly ConcurrentDictionary<CudaKernel, LoadedKernel> _kernels = new();
    private readonly Dictionary<(string File, string Constants), nint> _modules = [];
    private readonly Lock _loading = new();

    // Between which work is measured; the tuner measures one at a time.
    private (nint First, nint Second) _events;

    /// <summary>Takes hold of a device.</summary>
    /// <param name="driver">Its driver.</param>
    /// <param name="compiler">Compiles for it.</param>
    /// <param name="index">Its number, as the driver and the tensor library count.</param>
    /// <param name="sources">The kernels' sources.</param>
    /// <param name="cache">The folder that keeps what is compiled and measured; none: nothing is kept.</param>
    /// <param name="tunes">Whether ways are measured, rather than the first one taken.</param>
    /// <param name="memory">Where tensors are: main memory where a test stands in for the driver.</param>
    /// <exception cref="CudaException">The device is too old, or the driver refuses.</exception>
    internal DrivenDevice(
        CudaDriver driver, Nvrtc compiler, int index, KernelSources sources, string? cache, bool tunes,
        DeviceType memory = DeviceType.CUDA)
    {
        _driver = driver;
        _compiler = compiler;
        _index = index;
        _sources = sources;
        _memory = memory;
        var device = driver.DeviceOf(index);
        Limits = LimitsOf(driver, device);
        _subject = $"{Limits.Name} (device {index})";
        if (Limits.Architecture < LowestArchitecture)
        {
            throw new CudaException(
                $"{_subject} has compute capability {Limits.Architecture / 10.0:0.0}; "
                + $"the kernels need {LowestArchitecture / 10.0:0.0}");
        }
        _target = compiler.TargetFor(Limits.Architecture);
        _context = driver.RetainContext(device, _subject);
        _cache = new KernelCache(cache is null ? null : Path.Combine(cache, "kernels"));
        var answers = new TuningFile(cache is null ? null : Path.Combine(cache, "tuning"), Limits.Name, sources.Hash);
        _tuning = tunes ? new Tuning(answers, Measure, IsCapturing) : null;
    }

    /// <inheritdoc/>
    public CudaLimits Limits { get; }

    /// <summary>The device of that number; cheap after the first call for it.</summary>
    /// <param name="index">The number, as the tensor library counts.</param>
    /// <param name="obstacle">Why there is none.</param>
    public static ICudaDevice? Find(int index, out string? obstacle)
    {
        if (!Found.TryGetValue(index, out var outcome))
        {
            lock (Finding)
            {
                if (!Found.TryGetValue(index, out outcome))
                {
                    outcome = Look(index);
                    Found[index] = outcome;
                }
            }
        }
        obstacle = outcome.Obstacle;
        return outcome.Device;
    }

    /// <inheritdoc/>
    public void Launch(CudaKernel kernel, CudaGrid grid, params ReadOnlySpan<CudaArgument> arguments)
    {
        Check(kernel, grid);
        using var current = new CurrentContext(_driver, _context, _subject);
        var loaded = Load(kernel);
        loaded.AllowSharedMemory(_driver, grid.SharedBytes);
        var values = stackalloc ulong[arguments.Length + 1];
        var parameters = stackalloc void*[arguments.Length + 1];
        for (var i = 0; i < arguments.Length; i++)
        {
            // A number stands in the lower bytes, which come first: what a kernel reads of it is that many.
            values[i] = arguments[i].Tensor is { } tensor ? AddressOf(tensor, kernel, i) : arguments[i].Bits;
            parameters[i] = values + i;
        }
        var status = _driver.Launch(loaded.Function, grid, TensorEngine.Current.StreamOf(_index), parameters);
        if (status != CudaStatus.Success)
        {
            throw _driver.Error(
                "cuLaunchKernel", status,
                $"{kernel} on {_subject} with {grid.X}×{grid.Y}×{grid.Z} blocks of {grid.Threads} threads and "
                + $"{grid.SharedBytes} bytes of shared memory");
        }
    }

    /// <inheritdoc/>
    public int Choose(string question, int count, Action<int> run) => _tuning?.Choose(question, count, run) ?? 0;

    private static (DrivenDevice?, string?) Look(int index)
    {
        if (Driver.Value.Driver is not { } driver)
        {
            return (null, Driver.Value.Obstacle);
        }
        var named = Environment.GetEnvironmentVariable(Nvrtc.Variable);
        if (Nvrtc.Load(named, driver.Version, out var obstacle) is not { } compiler)
        {
            return (null, obstacle);
        }
        try
        {
            _ = TensorEngine.Current;
            var tunes = Tuning.IsOn(Environment.GetEnvironmentVariable(Tuning.Variable));
            return (new DrivenDevice(driver, compiler, index, KernelSources.Embedded, CacheFolder.Default, tunes), null);
        }
        catch (Exception error) when (error is CudaException or NotSupportedException)
        {
            return (null, error.Message);
        }
    }

    private static CudaLimits LimitsOf(CudaDriver driver, int device)
    {
        var shared = driver.AttributeOf(device, DeviceAttribute.SharedMemoryOnRequest);
        return new CudaLimits(
            driver.NameOf(device),
            10 * driver.AttributeOf(device, DeviceAttribute.Major) + driver.AttributeOf(device, DeviceAttribute.Minor),
            driver.AttributeOf(device, DeviceAttribute.Multiprocessors),
            shared > 0 ? shared : driver.AttributeOf(device, DeviceAttribute.SharedMemoryPerBlock));
    }

    private void Check(CudaKernel kernel, in CudaGrid grid)
    {
        var mistake = grid switch
        {
            { X: < 1 or > int.MaxValue } or { Y: < 1 or > 65535 } or { Z: < 1 or > 65535 } =>
                $"{grid.X}×{grid.Y}×{grid.Z} blocks; there can be 1 to {int.MaxValue} along x and to 65535 along y and z",
            _ when grid.Threads is < 1 or > 1024 || grid.Threads % 32 != 0 =>
                $"{grid.Threads} threads; a block has a multiple of 32 up to 1024",
            _ when grid.SharedBytes < 0 || grid.SharedBytes > Limits.SharedMemory =>
                $"{grid.SharedBytes} bytes of shared memory; a block has up to {Limits.SharedMemory}",
            _ => null,
        };
        if (mistake is not null)
        {
            throw new CudaException($"{kernel} cannot run on {_subject} with {mistake}") { IsRefusal = true };
        }
    }

    private ulong AddressOf(Tensor tensor, CudaKernel kernel, int position)
    {
        if (tensor.device_type != _memory || (_memory == DeviceType.CUDA && tensor.device_index != _index))
        {
            throw new CudaException($"{kernel} runs on {_subject}, but its parameter {position} is on {tensor.device}");
        }
        return (ulong)TensorEngine.Current.AddressOfFirst(tensor);
    }

    private LoadedKernel Load(CudaKernel kernel)
    {
        if (_kernels.TryGetValue(kernel, out var loaded))
        {
            return loaded;
        }
        lock (_loading)
        {
            if (_kernels.TryGetValue(kernel, out loaded))
            {
                return loaded;
            }
            var subject = $"{kernel} on {_subject}";
            if (!_modules.TryGetValue((kernel.File, kernel.Constants), out var module))
            {
                var code = CodeOf(kernel);
                module = _driver.LoadModule(code, $"{subject}, compiled for {_target} by NVRTC {_compiler.Version}");
                _modules[(kernel.File, kernel.Constants)] = module;
            }
            loaded = new LoadedKernel(_driver.FunctionOf(module, kernel.Function, subject), subject);
            _kernels[kernel] = loaded;
            return loaded;
        }
    }

    private byte[] CodeOf(CudaKernel kernel)
    {
        var options = Nvrtc.OptionsOf(kernel.Constants, _target);
        IEnumerable<string> origin =
        [
            kernel.File, _sources.TextOf(kernel.File),
            .. _sources.Headers.SelectMany(header => new[] { header.Key, header.Value }),
            .. options, _compiler.Version.ToString(),
        ];
        var name = Path.GetFileNameWithoutExtension(kernel.File);
        return _cache.Get(name, origin, () => _compiler.Compile(_sources, kernel.File, options));
    }

    private double Measure(Action work, int times)
    {
        using var current = new CurrentContext(_driver, _context, _subject);
        if (_events.Second == 0)
        {
            _events = (_driver.CreateEvent(_subject), _driver.CreateEvent(_subject));
        }
        var stream = TensorEngine.Current.StreamOf(_index);
        _driver.Record(_events.First, stream, _subject);
        for (var i = 0; i < times; i++)
        {
            work();
        }
        _driver.Record(_events.Second, stream, _subject);
        return _driver.Elapsed(_events.First, _events.Second, _subject) / times;
    }

    private bool IsCapturing()
    {
        using var current = new CurrentContext(_driver, _context, _subject);
        return _driver.IsCapturing(TensorEngine.Current.StreamOf(_index));
    }
}
