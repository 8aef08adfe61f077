using LocalAttention.Core.Backbones;
using LocalAttention.Core.Data;
using TorchSharp;
using TorchSharp.Modules;

namespace LocalAttention.Core.Training;

/// <summary>What a step found.</summary>
/// <param name="Loss">The mean loss of the batch, before the update.</param>
/// <param name="GradientNorm">The L2 norm of all gradients together, before clipping.</param>
/// <param name="LearningRate">The rate of the update.</param>
/// <param name="Correct">Images whose largest logit is that of their label.</param>
/// <param name="Images">Images of the batch.</param>
public readonly record struct StepResult(double Loss, double GradientNorm, double LearningRate, long Correct, long Images);

/// <summary>
/// A model with its optimizer and schedule: takes one step at a time on whatever batch it is given.
/// <see cref="Trainer"/> feeds it from a data set.
/// </summary>
public sealed class Optimization : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly AdamW _optimizer;
    private readonly AdamW.ParamGroup[] _groups;
    private readonly List<(string Name, Parameter Parameter)> _trained;

    /// <param name="model">The model; frozen parameters are left out.</param>
    /// <param name="options">The options.</param>
    /// <param name="schedule">The learning rate of each step.</param>
    /// <exception cref="ArgumentException">The options have mistakes, or the model has no logits.</exception>
    public Optimization(Backbone model, TrainingOptions options, LearningRateSchedule schedule)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(schedule);
        options.EnsureValid(nameof(options));
        if (model.Architecture.Head.Classes < 1)
        {
            throw new ArgumentException(
                $"{model.Architecture.Name} has no classes; give its head some to train it", nameof(model));
        }
        Model = model;
        Schedule = schedule;
        _options = options;

        var trainable = model.named_parameters().Where(named => named.parameter.requires_grad).ToList();
        bool Decays((string Name, Parameter Parameter) named) =>
            WeightDecay.AppliesTo(model.Architecture, named.Name, named.Parameter.shape.Length);
        var decaying = trainable.Where(Decays).ToList();
        var others = trainable.Where(named => !Decays(named)).ToList();
        _trained = [.. decaying, .. others];
        _groups = [Group(decaying, options.Decay), Group(others, 0)];
        _optimizer = torch.optim.AdamW(_groups, options.LearningRate, options.Beta1, options.Beta2, options.Epsilon);
    }

    /// <summary>The model.</summary>
    public Backbone Model { get; }

    /// <summary>The learning rate of each step.</summary>
    public LearningRateSchedule Schedule { get; }

    /// <summary>One forward and backward pass and one update.</summary>
    /// <param name="images"><c>[B, C, H, W]</c>, normalised; of any type and device.</param>
    /// <param name="labels">64-bit integers, <c>[B]</c>.</param>
    /// <param name="step">The step, counted from 0: the schedule's and the random numbers' position.</param>
    /// <exception cref="ArgumentException">The labels' type, number or range is wrong.</exception>
    /// <exception cref="TrainingDivergedException">The loss or the gradient is not finite; no parameter changed.</exception>
    public StepResult Step(torch.Tensor images, torch.Tensor labels, long step) =>
        Step(new Batch(images, labels), step);

    internal StepResult Step(Batch batch, long step)
    {
        Check(batch);
        using var scope = torch.NewDisposeScope();
        var reference = _trained[0].Parameter;
        var images = batch.Images.to(reference.dtype).to(reference.device);
        var labels = batch.Labels.to(reference.device);
        var rate = Schedule.At(step);
        foreach (var group in _groups)
            group.LearningRate = rate;

        // Stochastic depth draws from the library's generator: seeded by the step, a resumed training draws the same.
        torch.manual_seed((long)(new SeededRandom(_options.Seed, SeededRandom.Use.Model, step).NextBits() >> 1));
        Model.train();
        _optimizer.zero_grad();
        var logits = Model.forward(images);
        var loss = Loss(logits, labels, batch);
        var lossValue = loss.to(torch.ScalarType.Float64).item<double>();
        if (!double.IsFinite(lossValue))
            throw new TrainingDivergedException(null, step + 1, lossValue, double.NaN);
        loss.backward();
        var norm = GradientClipping.Apply(
            _trained.Select(named => named.Parameter), _options.ClipNorm, Model.Architecture.Conventions.Naming);
        if (!double.IsFinite(norm))
            throw new TrainingDivergedException(null, step + 1, lossValue, norm);
        _optimizer.step();

        var correct = logits.detach().argmax(1).eq(labels).sum().ToInt64();
        return new StepResult(lossValue, norm, rate, correct, labels.shape[0]);
    }

    /// <summary>The optimizer's tensors by name, for a checkpoint; the caller does not own them.</summary>
    internal IEnumerable<(string Name, torch.Tensor Tensor)> State()
    {
        foreach (var (name, state) in States())
        {
            yield return ($"exp_avg.{name}", state.exp_avg);
            yield return ($"exp_avg_sq.{name}", state.exp_avg_sq);
            yield return ($"step.{name}", torch.tensor(state.step, dtype: torch.ScalarType.Int64));
        }
    }

    /// <summary>Fills the optimizer's tensors.</summary>
    /// <param name="read">Fills the tensor of a name.</param>
    internal void LoadState(Action<string, torch.Tensor> read)
    {
        using var scope = torch.NewDisposeScope();
        foreach (var (name, state) in States())
        {
            read($"exp_avg.{name}", state.exp_avg);
            read($"exp_avg_sq.{name}", state.exp_avg_sq);
            var step = torch.zeros([], dtype: torch.ScalarType.Int64);
            read($"step.{name}", step);
            state.step = step.ToInt64();
        }
    }

    /// <summary>Frees the optimizer's state; the model stays.</summary>
    public void Dispose() => _optimizer.Dispose();

    // The optimizer lists its states in the order of its groups' parameters.
    private IEnumerable<(string Name, AdamW.State State)> States() =>
        _trained.Select(named => named.Name).Zip(_optimizer.state_dict().State.Cast<AdamW.State>());

    private AdamW.ParamGroup Group(List<(string Name, Parameter Parameter)> parameters, double decay) => new(
        parameters.ConvertAll(named => named.Parameter),
        _options.LearningRate, _options.Beta1, _options.Beta2, _options.Epsilon, decay);

    // Mixing targets mixes losses, because cross entropy is linear in the target.
    private torch.Tensor Loss(torch.Tensor logits, torch.Tensor labels, Batch batch)
    {
        torch.Tensor Against(torch.Tensor target) =>
            torch.nn.functional.cross_entropy(logits, target, label_smoothing: _options.LabelSmoothing);
        var loss = Against(labels);
        return batch.MixedLabels is { } mixed
            ? loss.mul(batch.Share).add(Against(mixed.to(labels.device)).mul(1 - batch.Share))
            : loss;
    }

    private void Check(Batch batch)
    {
        ArgumentNullException.ThrowIfNull(batch.Images);
        ArgumentNullException.ThrowIfNull(batch.Labels);
        var labels = batch.Labels;
        var fits = batch.Images.shape is [var count, ..] && labels.shape is [var labelled] && labelled == count;
        if (!fits || labels.dtype != torch.ScalarType.Int64)
        {
            throw new ArgumentException(
                $"the labels are {labels.dtype} of shape [{string.Join(", ", labels.shape)}] for images of "
                    + $"shape [{string.Join(", ", batch.Images.shape)}]; they must be Int64, one for each image",
                nameof(batch));
        }
        ClassLabels.EnsureInRange(labels, Model.Architecture.Head.Classes, nameof(batch));
    }
}
