using System.Reflection;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// CUDA graphs by the tensor library, which must know of a recording: its allocator keeps a graph's memory apart. TorchSharp's
/// package cannot do it.
/// </summary>
internal sealed class EngineGraphs : IGraphCapture
{
    private static readonly Lazy<EngineGraphs?> OfEngine = new(() => Of(typeof(Tensor).Assembly));

    private readonly Func<int, nint> _begin;
    private readonly Func<nint, byte> _end;
    private readonly Func<nint, byte> _replay;
    private readonly Action<nint> _free;
    private readonly Func<string> _lastError;

    private EngineGraphs(
        Func<int, nint> begin, Func<nint, byte> end, Func<nint, byte> replay, Action<nint> free, Func<string> lastError)
    {
        _begin = begin;
        _end = end;
        _replay = replay;
        _free = free;
        _lastError = lastError;
    }

    /// <summary>Those of the tensor library in use; none: it has no graphs.</summary>
    public static EngineGraphs? Current => OfEngine.Value;

    /// <inheritdoc/>
    public ICapturedGraph Capture(int device, Func<Tensor> work)
    {
        var graph = _begin(device);
        if (graph == 0)
        {
            throw new CudaException($"recording a CUDA graph on device {device} could not begin: {_lastError()}");
        }
        Tensor result;
        try
        {
            result = work();
        }
        catch
        {
            // The recording must end whatever has happened, or the device would go on recording.
            _ = _end(graph);
            _free(graph);
            throw;
        }
        if (_end(graph) == 0)
        {
            var reason = _lastError();
            result.Dispose();
            _free(graph);
            throw new CudaException($"the model's work on device {device} cannot be recorded as a CUDA graph: {reason}");
        }
        return new Captured(this, graph, result);
    }

    /// <summary>Those that an assembly has.</summary>
    private static EngineGraphs? Of(Assembly assembly)
    {
        var native = assembly.GetType("TorchSharp.TorchNative");
        T? Function<T>(string name)
            where T : Delegate =>
            native?.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)?.CreateDelegate<T>();
        return Function<Func<int, nint>>("tn_cuda_graph_begin") is { } begin
            && Function<Func<nint, byte>>("tn_cuda_graph_end") is { } end
            && Function<Func<nint, byte>>("tn_cuda_graph_replay") is { } replay
            && Function<Action<nint>>("tn_cuda_graph_free") is { } free
            && Function<Func<string>>("LastError") is { } lastError
            ? new EngineGraphs(begin, end, replay, free, lastError)
            : null;
    }

    private sealed class Captured(EngineGraphs engine, nint graph, Tensor result) : ICapturedGraph
    {
        private nint _graph = graph;

        ~Captured() => Free();

        public Tensor Result { get; } = result;

        public void Replay()
        {
            ObjectDisposedException.ThrowIf(_graph == 0, this);
            if (engine._replay(_graph) == 0)
            {
                throw new CudaException($"a CUDA graph could not be launched: {engine._lastError()}");
            }
        }

        public void Dispose()
        {
            Result.Dispose();
            Free();
            GC.SuppressFinalize(this);
        }

        private void Free()
        {
            if (Interlocked.Exchange(ref _graph, 0) is var owned and not 0)
            {
                engine._free(owned);
            }
        }
    }
}
