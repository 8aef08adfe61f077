using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace TorchSharp.Modules;

/// <summary>
/// Gradient descent with momentum.
/// <code>
/// g ← g + decay·θ
/// b ← momentum·b + (1 - dampening)·g        (b ← g at the first step)
/// θ ← θ - lr·b, or θ - lr·(g + momentum·b) after Nesterov
/// </code>
/// </summary>
public class SGD : OptimizerHelper, IMomentum
{
    public SGD(IEnumerable<Parameter> parameters, double lr, double momentum = 0.0, double dampening = 0, double weight_decay = 0, bool nesterov = false, bool maximize = false)
        : this([new ParamGroup { Parameters = parameters }], lr, momentum, dampening, weight_decay, nesterov, maximize) { }

    public SGD(IEnumerable<ParamGroup> parameters, double lr, double momentum = 0.0, double dampening = 0, double weight_decay = 0, bool nesterov = false, bool maximize = false)
    {
        if (lr < 0)
            throw new ArgumentException($"The learning rate must not be negative; it is {lr}.", nameof(lr));
        if (momentum < 0)
            throw new ArgumentException($"The momentum must not be negative; it is {momentum}.", nameof(momentum));
        if (weight_decay < 0)
            throw new ArgumentException($"The weight decay must not be negative; it is {weight_decay}.", nameof(weight_decay));
        if (nesterov && (momentum == 0 || dampening != 0))
            throw new ArgumentException($"Nesterov's momentum needs momentum above 0 and dampening 0; they are {momentum} and {dampening}.", nameof(nesterov));
        _defaults = new Options
        {
            LearningRate = lr,
            InitialLearningRate = lr,
            momentum = momentum,
            dampening = dampening,
            weight_decay = weight_decay,
            nesterov = nesterov,
            maximize = maximize,
        };
        foreach (var group in parameters)
            add_param_group(group);
    }

    /// <summary>The momentum of groups added from now on.</summary>
    public double Momentum
    {
        get => Defaults.momentum.GetValueOrDefault();
        set => Defaults.momentum = value;
    }

    private Options Defaults => (Options)_defaults!;

    public override void add_param_group(Modules.ParamGroup param_group)
    {
        param_group.Options ??= new Options();
        var options = (Options)param_group.Options;
        options.FillFrom(Defaults);
        AddGroup(param_group, options, parameter => new State(parameter));
    }

    public override Tensor? step(Func<Tensor>? closure = null) => _step<ParamGroup>(group =>
    {
        var options = group.Options;
        foreach (var parameter in group.Parameters)
        {
            using var grad = parameter.grad;
            if (grad is not null)
                Step(parameter, grad, (State)_state[parameter.Handle], options);
        }
    }, closure);

    private static void Step(Parameter parameter, Tensor gradient, State state, Options options)
    {
        var momentum = options.momentum.GetValueOrDefault();
        var decay = options.weight_decay.GetValueOrDefault();
        var rate = options.LearningRate.GetValueOrDefault();
        using var decayed = decay != 0 ? Aten.Call("add.Tensor", gradient, parameter, decay) : null;
        var direction = decayed ?? gradient;
        using var ahead = momentum != 0 ? state.Accelerate(direction, momentum, options) : null;
        Aten.Run("add_.Tensor", parameter, ahead ?? (momentum != 0 ? state.momentum_buffer : direction), options.maximize is true ? rate : -rate);
    }

    /// <summary>The momentum of one parameter.</summary>
    public sealed class State : OptimizerState, IDisposable
    {
        /// <summary>b, from the first step on.</summary>
        public Tensor? momentum_buffer;

        public State(Parameter parameter) : base(parameter) { }

        /// <summary>Brings b up to date; with Nesterov's momentum returns the gradient ahead.</summary>
        internal Tensor? Accelerate(Tensor direction, double momentum, Options options)
        {
            if (momentum_buffer is null)
            {
                momentum_buffer = Aten.Call("clone", direction).DetachFromDisposeScope();
            }
            else
            {
                Aten.Run("mul_.Scalar", momentum_buffer, momentum);
                Aten.Run("add_.Tensor", momentum_buffer, direction, 1 - options.dampening.GetValueOrDefault());
            }
            return options.nesterov is true ? Aten.Call("add.Tensor", direction, momentum_buffer, momentum) : null;
        }

        public override void Initialize(OptimizerOptions options) => Dispose();

        public void Dispose()
        {
            momentum_buffer?.Dispose();
            momentum_buffer = null;
        }

        public override void to(Device device) => momentum_buffer = momentum_buffer is null ? null : Moved(momentum_buffer, device);

        public override void SaveStateDict(BinaryWriter writer) => SaveConditionalStateTensor(writer, momentum_buffer);

        public override void LoadStateDict(BinaryReader reader)
            => LoadConditionalStateTensor(reader, ref momentum_buffer, _parameter.device);

        public override void LoadStateDict(OptimizerState source)
        {
            var other = ((State)source).momentum_buffer;
            Dispose();
            momentum_buffer = other is null ? null : CopyOf(other);
        }

        public override bool ApproximatelyEquals(OptimizerState other)
            => other is State same && Close(momentum_buffer, same.momentum_buffer);
    }

    /// <summary>The settings of one group; null takes the optimizer's.</summary>
    public class Options : OptimizerOptions
    {
        public double? momentum;
        public double? dampening;
        public double? weight_decay;
        public bool? nesterov;
        public bool? maximize;

        internal void FillFrom(Options defaults)
        {
            LearningRate ??= defaults.LearningRate;
            momentum ??= defaults.momentum;
            dampening ??= defaults.dampening;
            weight_decay ??= defaults.weight_decay;
            nesterov ??= defaults.nesterov;
            maximize ??= defaults.maximize;
        }

        public override void SaveStateDict(BinaryWriter writer)
        {
            base.SaveStateDict(writer);
            writer.Write(momentum.GetValueOrDefault());
            writer.Write(dampening.GetValueOrDefault());
            writer.Write(weight_decay.GetValueOrDefault());
            writer.Write(nesterov.GetValueOrDefault());
            writer.Write(maximize.GetValueOrDefault());
        }

        public override void LoadStateDict(BinaryReader reader)
        {
            base.LoadStateDict(reader);
            momentum = reader.ReadDouble();
            dampening = reader.ReadDouble();
            weight_decay = reader.ReadDouble();
            nesterov = reader.ReadBoolean();
            maximize = reader.ReadBoolean();
        }

        public override void LoadStateDict(OptimizerOptions source)
        {
            base.LoadStateDict(source);
            var other = (Options)source;
            momentum = other.momentum;
            dampening = other.dampening;
            weight_decay = other.weight_decay;
            nesterov = other.nesterov;
            maximize = other.maximize;
        }
    }

    /// <summary>Parameters that share their settings.</summary>
    public class ParamGroup : ParamGroup<Options>, IMomentum
    {
        public ParamGroup() { }

        public ParamGroup(IEnumerable<Parameter> parameters, Options options) : base(parameters, options) { }

        public ParamGroup(IEnumerable<Parameter> parameters, double lr = 1e-3, double momentum = 0.0, double dampening = 0, double weight_decay = 0, bool nesterov = false, bool maximize = false)
            : base(parameters, new Options
            {
                LearningRate = lr,
                momentum = momentum,
                dampening = dampening,
                weight_decay = weight_decay,
                nesterov = nesterov,
                maximize = maximize,
            })
        { }

        public double Momentum
        {
            get => Options.momentum.GetValueOrDefault();
            set => Options.momentum = value;
        }
    }
}
