using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.Cuda.Driver;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// A model whose inference on a CUDA device is launched as a whole: the hundreds of kernels of a small model then cost one
/// launch. Each kind of input (shape, element type, device) is recorded once as a CUDA graph and replayed from then on.
/// </summary>
/// <remarks>
/// <para>
/// The model keeps its parameters, and changes of their elements show at once; parameters that have moved or were replaced
/// are noticed, and the model is recorded anew. A graph holds the memory of one run. The last <see cref="Capacity"/> kinds
/// of input are kept.
/// </para>
/// <para>
/// It runs the model as it is, kernel by kernel, where there is nothing to record: in training mode, for an input that wants a
/// gradient, in main memory, and with a tensor library that has no graphs (<see cref="Obstacle"/> says which).
/// </para>
/// </remarks>
public sealed class CompiledModel : nn.Module<Tensor, Tensor>
{
    /// <summary>Kinds of input whose graphs are kept.</summary>
    public const int Capacity = 8;

    // Compilation, tuning and first allocations are over after one run; one more shows that it is so.
    private const int RunsBefore = 2;

    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly IGraphCapture? _capture;
    private readonly bool _onAnyDevice;
    private readonly Lock _turn = new();
    private readonly List<Recording> _recordings = [];

    internal CompiledModel(nn.Module<Tensor, Tensor> model, IGraphCapture? capture, bool onAnyDevice)
        : base(nameof(CompiledModel))
    {
        _model = model;
        _capture = capture;
        _onAnyDevice = onAnyDevice;
    }

    /// <summary>The kinds of input that are recorded now.</summary>
    public int Recorded
    {
        get
        {
            lock (_turn)
            {
                return _recordings.Count;
            }
        }
    }

    /// <summary>Why such an input is not recorded; none: it is.</summary>
    /// <param name="input">An input of the model.</param>
    public string? Obstacle(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return _model.training ? "the model is in training mode; call eval()"
            : input.requires_grad ? "the input wants a gradient"
            : input.device_type != DeviceType.CUDA && !_onAnyDevice ? $"the input is on {input.device_type}, and CUDA graphs are for CUDA devices"
            : _capture is null ? "this tensor library has no CUDA graphs; the provider Libtorch has, where it is built with CUDA"
            : null;
    }

    /// <summary>The model's output.</summary>
    /// <param name="input">What the model takes.</param>
    /// <returns>What the model returns; without a gradient where the input is recorded.</returns>
    /// <exception cref="CudaException">The model does something that cannot be recorded.</exception>
    public override Tensor forward(Tensor input)
    {
        if (Obstacle(input) is not null)
        {
            return _model.call(input);
        }
        using var noGradient = no_grad();
        lock (_turn)
        {
            var recording = Find(input);
            recording.Input.copy_(input);
            recording.Graph.Replay();
            return recording.Graph.Result.clone();
        }
    }

    /// <summary>Switches the model between training and evaluation.</summary>
    public override void train(bool train = true)
    {
        _model.train(train);
        base.train(train);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            lock (_turn)
            {
                _recordings.ForEach(recording => recording.Dispose());
                _recordings.Clear();
            }
        }
        base.Dispose(disposing);
    }

    /// <summary>The recording that serves an input, made now where there is none; it becomes the last to be dropped.</summary>
    private Recording Find(Tensor input)
    {
        var kind = new InputKind(
            string.Join("×", input.shape), input.dtype, input.device_type, input.device_index, Backends.Preferred, AddressesOfParameters());
        var index = _recordings.FindIndex(recording => recording.Kind == kind);
        Recording found;
        if (index >= 0)
        {
            found = _recordings[index];
            _recordings.RemoveAt(index);
        }
        else
        {
            // What was recorded with parameters elsewhere would read memory that is no longer theirs.
            Drop(recording => recording.Kind.Parameters != kind.Parameters);
            if (_recordings.Count == Capacity)
            {
                Drop(recording => recording == _recordings[0]);
            }
            found = Record(input, kind);
        }
        _recordings.Add(found);
        return found;
    }

    private void Drop(Predicate<Recording> condition)
    {
        foreach (var recording in _recordings.FindAll(condition))
        {
            _recordings.Remove(recording);
            recording.Dispose();
        }
    }

    private Recording Record(Tensor input, InputKind kind)
    {
        var kept = input.clone().DetachFromDisposeScope();
        try
        {
            for (var run = 0; run < RunsBefore; run++)
            {
                using var scope = NewDisposeScope();
                _model.call(kept);
            }
            var graph = _capture!.Capture(input.device_index, () =>
            {
                using var scope = NewDisposeScope();
                return _model.call(kept).DetachFromDisposeScope();
            });
            return new Recording(kind, kept, graph);
        }
        catch
        {
            kept.Dispose();
            throw;
        }
    }

    /// <summary>A number that changes when a parameter or buffer stands elsewhere.</summary>
    private long AddressesOfParameters()
    {
        var addresses = default(HashCode);
        foreach (var tensor in _model.parameters().Concat<Tensor>(_model.buffers()))
        {
            addresses.Add(TensorEngine.Current.AddressOfFirst(tensor));
        }
        return addresses.ToHashCode();
    }

    private readonly record struct InputKind(
        string Shape, ScalarType Type, DeviceType Device, int Index, Backend Backend, long Parameters);

    private sealed record Recording(InputKind Kind, Tensor Input, ICapturedGraph Graph) : IDisposable
    {
        public void Dispose()
        {
            Graph.Dispose();
            Input.Dispose();
        }
    }
}
