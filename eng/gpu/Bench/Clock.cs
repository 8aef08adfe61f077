using System.Diagnostics;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Cuda.Driver;

namespace LocalAttention.Gpu.Bench;

/// <summary>Times runs of some work.</summary>
internal interface IClock
{
    /// <summary>The milliseconds of each of so many runs, after some that do not count.</summary>
    double[] Time(Action run, int warmUps, int repetitions);
}

/// <summary>By the processor's clock: for work that is done when it returns.</summary>
internal sealed class WallClock : IClock
{
    public double[] Time(Action run, int warmUps, int repetitions)
    {
        var times = new double[repetitions];
        for (var index = -warmUps; index < repetitions; index++)
        {
            var begin = Stopwatch.GetTimestamp();
            run();
            if (index >= 0)
            {
                times[index] = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            }
        }
        return times;
    }
}

/// <summary>Between events on the tensor library's stream of a CUDA device, as PyTorch's own are.</summary>
internal sealed class DeviceClock : IClock
{
    private const int Index = 0;

    private readonly CudaDriver _driver;
    private readonly nint _context;
    private readonly string _subject;
    private readonly List<(nint Begin, nint End)> _events = [];

    /// <summary>A clock of the first device.</summary>
    /// <exception cref="CudaException">There is no driver.</exception>
    public DeviceClock()
    {
        _driver = CudaDriver.Load(Environment.GetEnvironmentVariable(CudaDriver.Variable), out var obstacle)
            ?? throw new CudaException(obstacle!);
        var device = _driver.DeviceOf(Index);
        _subject = _driver.NameOf(device);
        _context = _driver.RetainContext(device, _subject);
    }

    public double[] Time(Action run, int warmUps, int repetitions)
    {
        for (var index = 0; index < warmUps; index++)
        {
            run();
        }
        using var current = new CurrentContext(_driver, _context, _subject);
        while (_events.Count < repetitions)
        {
            _events.Add((_driver.CreateEvent(_subject), _driver.CreateEvent(_subject)));
        }
        var stream = TensorEngine.Current.StreamOf(Index);
        TorchSharp.torch.cuda.synchronize();
        foreach (var (begin, end) in _events.Take(repetitions))
        {
            _driver.Record(begin, stream, _subject);
            run();
            _driver.Record(end, stream, _subject);
        }
        return [.. _events.Take(repetitions).Select(pair => (double)_driver.Elapsed(pair.Begin, pair.End, _subject))];
    }
}
