using LocalAttention.Bench.Works;
using LocalAttention.Core.Backbones;
using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Running;

/// <summary>A layer or a model of ours, ready to run again and again under the default backend.</summary>
public sealed class OurRun : IDisposable
{
    private readonly bool _isModel;
    private readonly nn.Module<Tensor, Tensor> _module;
    private readonly Tensor _input;
    private readonly Tensor? _cotangent;
    private readonly Tensor? _labels;
    private readonly optim.Optimizer? _optimizer;
    private readonly bool _training;

    /// <summary>Builds it, filled as the peers are.</summary>
    /// <param name="subject">What runs.</param>
    /// <param name="training">Whether with a backward pass, and for models AdamW's step.</param>
    /// <param name="shape">The input's shape; none: the subject's.</param>
    /// <param name="dtype">The element type of parameters and input.</param>
    /// <param name="device">Where it runs; none: in main memory.</param>
    public OurRun(
        Subject subject, bool training, long[]? shape = null, ScalarType dtype = ScalarType.Float32, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(subject);
        shape ??= subject.Shape;
        _isModel = subject.IsModel;
        _training = training;
        _module = Build(subject);
        ParameterFilling.Fill(_module);
        device ??= CPU;
        _module.to(device, dtype).train(training);
        _input = Counter.Filled("input", shape).to(dtype, device);
        if (!training)
        {
            MergeShifts(_module);
        }
        else if (_isModel)
        {
            _labels = arange(shape[0], dtype: ScalarType.Int64, device: device);
            _optimizer = optim.AdamW(_module.parameters().Where(p => p.requires_grad), lr: 1e-4, weight_decay: 0.05);
        }
        else
        {
            _input.requires_grad = true;
            _cotangent = Counter.Filled("cotangent", shape).to(dtype, device);
        }
    }

    /// <summary>Runs once.</summary>
    public void Run()
    {
        using var scope = NewDisposeScope();
        _ = Outcome();
    }

    /// <summary>Runs once and says what came out.</summary>
    public Digest Digest()
    {
        using var scope = NewDisposeScope();
        var outcome = Outcome();
        if (!_training)
        {
            return new Digest([Projected(outcome, "output")]);
        }
        var norm = GradientNorm();
        if (_isModel)
        {
            var loss = outcome.to(ScalarType.Float32).item<float>();
            return new Digest([(loss, loss), (norm, norm)]);
        }
        return new Digest([Projected(outcome, "output"), Projected(_input.grad!, "gradient"), (norm, norm)]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer?.Dispose();
        _labels?.Dispose();
        _cotangent?.Dispose();
        _input.Dispose();
        _module.Dispose();
    }

    private static nn.Module<Tensor, Tensor> Build(Subject subject) => subject.Kind switch
    {
        "slide" => new SlideLayer(new SlideAttention(subject.Window, subject.Heads), (int)subject.Shape[^1]),
        "qna" => new QnALayer(new QnAAttention(subject.Window, subject.Heads), (int)subject.Shape[^1]),
        "neighbourhood" => new NeighbourhoodLayer(
            new NeighbourhoodAttention(subject.Window, subject.Heads), (int)subject.Shape[^1]),
        "slide-swin-tiny" => SlideSwin.Tiny.With(dropPath: 0).Build(),
        "swin-tiny" => Swin.Tiny.With(dropPath: 0).Build(),
        "qna-vit-tiny" => QnAViT.Tiny.With(dropPath: 0).Build(),
        _ => throw new ArgumentException($"'{subject.Kind}' is no layer or model of ours", nameof(subject)),
    };

    private static void MergeShifts(nn.Module<Tensor, Tensor> module)
    {
        if (module is SlideLayer layer)
        {
            layer.merge_shifts();
        }
        else if (module is Backbone model)
        {
            model.merge_shifts();
        }
    }

    private Tensor Outcome()
    {
        if (!_training)
        {
            using var withoutGradient = no_grad();
            return _module.call(_input);
        }
        _module.zero_grad();
        if (_optimizer is null)
        {
            _input.grad = null;
            var output = _module.call(_input);
            output.backward([_cotangent!]);
            return output;
        }
        var loss = nn.functional.cross_entropy(_module.call(_input), _labels!);
        loss.backward();
        _optimizer.step();
        return loss;
    }

    private double GradientNorm() =>
        Math.Sqrt(_module.parameters().Where(p => p.grad is not null).Sum(p => Squares(p.grad!)));

    private static (double Value, double Size) Projected(Tensor values, string name)
    {
        var exact = values.detach().to(ScalarType.Float64);
        var directions = Counter.Filled(name, values.shape).to(ScalarType.Float64, values.device);
        return ((exact * directions).sum().item<double>(), Math.Sqrt(Squares(exact)));
    }

    private static double Squares(Tensor values) => values.detach().to(ScalarType.Float64).square().sum().item<double>();
}
