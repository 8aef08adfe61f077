using System.Diagnostics;
using LocalAttention.Core.Backbones;
using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Data;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Training;

/// <summary>
/// Trains a model on a data set. The same seed gives the same training; one that was cancelled, or whose process died,
/// goes on from its checkpoint with the losses that it would have had.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ImageDataset _training;
    private readonly ImageDataset? _evaluation;
    private readonly Optimization _optimization;
    private readonly Augmentation _augmentation;
    private readonly List<EpochResult> _epochs = [];
    private RunningSums _running;
    private long[] _order = [];
    private int _orderedEpoch = -1;
    private bool _checkpointWritten;

    /// <param name="model">The model, which stays the caller's.</param>
    /// <param name="training">The images to learn from.</param>
    /// <param name="evaluation">The images that each epoch ends with; none: no evaluation.</param>
    /// <param name="options">The options; left out: the defaults.</param>
    /// <exception cref="ArgumentException">The options have mistakes, or the images do not suit the model.</exception>
    public Trainer(Backbone model, ImageDataset training, ImageDataset? evaluation = null, TrainingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(training);
        Options = options ?? new TrainingOptions();
        Options.EnsureValid(nameof(options));
        training.EnsureSuits(model.Architecture, nameof(training));
        evaluation?.EnsureSuits(model.Architecture, nameof(evaluation));
        Model = model;
        _training = training;
        _evaluation = evaluation;
        StepsPerEpoch = (training.Count + Options.BatchSize - 1) / Options.BatchSize;
        _optimization = new Optimization(model, Options, LearningRateSchedule.For(Options, Steps, StepsPerEpoch));
        _augmentation = new Augmentation(Options, training.Normalization);
    }

    /// <summary>The model.</summary>
    public Backbone Model { get; }

    /// <summary>The options.</summary>
    public TrainingOptions Options { get; }

    /// <summary>Steps of an epoch.</summary>
    public long StepsPerEpoch { get; }

    /// <summary>Steps of the whole training.</summary>
    public long Steps => Options.Epochs * StepsPerEpoch;

    /// <summary>Steps taken so far.</summary>
    public long StepsTaken { get; private set; }

    /// <summary>The epochs that ended.</summary>
    public ValueList<EpochResult> Epochs => ValueList.From(_epochs);

    /// <summary>Goes on with the training that a checkpoint holds: model, optimizer, options and position.</summary>
    /// <param name="path">The file; it becomes the <see cref="TrainingOptions.CheckpointPath"/>.</param>
    /// <param name="training">The images that the training began with.</param>
    /// <param name="evaluation">The images that each epoch ends with.</param>
    /// <param name="device">The device; left out: main memory.</param>
    /// <returns>The trainer; its <see cref="Model"/> is the caller's to dispose of.</returns>
    /// <exception cref="CheckpointException">The file is damaged, or holds no training.</exception>
    /// <exception cref="ArgumentException">The training set has another number of images than the file's.</exception>
    public static Trainer Resume(
        string path, ImageDataset training, ImageDataset? evaluation = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(training);
        using var file = SafetensorsFile.Open(path);
        var state = TrainingState.Read(file);
        if (state.Images != training.Count)
        {
            throw new ArgumentException(
                $"the training set has {training.Count} images; the training in {path} has "
                + $"{state.Images}", nameof(training));
        }
        var model = Checkpoint.Load(path, device: device);
        try
        {
            var trainer = new Trainer(model, training, evaluation, state.Options with { CheckpointPath = path });
            trainer.Restore(state, file);
            return trainer;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Trains until the end or until it is cancelled.</summary>
    /// <param name="progress">Told after each step and each epoch, on this thread.</param>
    /// <param name="cancellation">
    /// Ends the training after the step that is under way; the checkpoint, if one is asked for, is then written.
    /// </param>
    /// <exception cref="TrainingDivergedException">The loss or the gradient is not finite; the last checkpoint stays.</exception>
    /// <exception cref="CheckpointException">The checkpoint cannot be written; the last one stays.</exception>
    public TrainingResult Run(IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        var clock = new RunClock(Steps - StepsTaken);
        while (!cancellation.IsCancellationRequested)
        {
            if (StepsTaken == (_epochs.Count + 1) * StepsPerEpoch)
            {
                if (!TryEndEpoch(progress, clock, cancellation))
                    break;
            }
            else if (StepsTaken < Steps)
            {
                var step = TakeStep(clock);
                progress?.Report(Report(step, clock, ended: null));
                if (Options.CheckpointEverySteps is { } every && StepsTaken % every == 0)
                    SaveCheckpoint();
            }
            else
            {
                return new TrainingResult(Epochs, Cancelled: false, Options.CheckpointPath);
            }
        }
        SaveCheckpoint();
        return new TrainingResult(Epochs, Cancelled: true, Options.CheckpointPath);
    }

    /// <summary>Writes the model with all that <see cref="Resume"/> needs; <see cref="Checkpoint.Load"/> reads it too.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <exception cref="CheckpointException">The file cannot be written; an existing one is unchanged.</exception>
    public void Save(string path)
    {
        using var scope = torch.NewDisposeScope();
        var state = new TrainingState(Options, _training.Count, StepsTaken, Epochs, _running);
        Checkpoint.Save(
            Model,
            path,
            new Dictionary<string, string> { [TrainingState.Key] = state.Write() },
            naming: null,
            _optimization.State().Select(named => (Checkpoint.OptimizerPrefix + named.Name, named.Tensor)));
    }

    /// <summary>Frees the optimizer's state; the model stays.</summary>
    public void Dispose() => _optimization.Dispose();

    private void Restore(TrainingState state, SafetensorsFile file)
    {
        // At an epoch's last step, the epoch may have ended or not.
        var ended = state.StepsTaken / StepsPerEpoch;
        var stands = state.StepsTaken % StepsPerEpoch == 0 && ended > 0 ? ended - 1 : ended;
        if (state.StepsTaken > Steps || state.Epochs.Count > ended || state.Epochs.Count < stands)
        {
            throw new CheckpointException(
                file.Path,
                $"the training in the metadata took {state.StepsTaken} steps of {Steps} and ended {state.Epochs.Count} "
                    + $"epochs of {StepsPerEpoch} steps; these do not fit together");
        }
        _optimization.LoadState((name, tensor) => file.ReadInto(Checkpoint.OptimizerPrefix + name, tensor));
        StepsTaken = state.StepsTaken;
        _epochs.AddRange(state.Epochs);
        _running = state.Running;
        _checkpointWritten = true;
    }

    private StepResult TakeStep(RunClock clock)
    {
        using var scope = torch.NewDisposeScope();
        var epoch = (int)(StepsTaken / StepsPerEpoch);
        if (_orderedEpoch != epoch)
        {
            _order = new SeededRandom(Options.Seed, SeededRandom.Use.Order, epoch).Permutation(_training.Count);
            _orderedEpoch = epoch;
        }
        var first = (int)(StepsTaken % StepsPerEpoch) * Options.BatchSize;
        var positions = _order.AsSpan(first, Math.Min(Options.BatchSize, _order.Length - first));
        var (images, labels) = _training.Batch(positions);
        var dtype = Model.parameters().First().dtype;
        try
        {
            var result = _optimization.Step(_augmentation.Apply(images, labels, dtype, StepsTaken), StepsTaken);
            StepsTaken++;
            _running = _running.Plus(result);
            clock.Count(result.Images);
            return result;
        }
        catch (TrainingDivergedException error)
        {
            throw Diverged(error.Step, error.Loss, error.GradientNorm);
        }
    }

    /// <summary>Evaluates, records and saves; false if that was cancelled, so that a resumed training does it.</summary>
    private bool TryEndEpoch(IProgress<TrainingProgress>? progress, RunClock clock, CancellationToken cancellation)
    {
        EvaluationResult? evaluation = null;
        try
        {
            if (_evaluation is not null)
                evaluation = Evaluation.Of(Model, _evaluation, Options.EvaluationBatchSize, cancellation);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        if (evaluation is { } result && !double.IsFinite(result.Loss))
            throw Diverged(StepsTaken, result.Loss, double.NaN);
        var ended = new EpochResult(_epochs.Count + 1, _running.MeanLoss, _running.Accuracy, evaluation, clock.Epoch);
        var report = Report(step: null, clock, ended);
        _epochs.Add(ended);
        _running = default;
        clock.StartEpoch();
        if (ended.Epoch % Options.CheckpointEvery == 0 || ended.Epoch == Options.Epochs)
            SaveCheckpoint();
        progress?.Report(report);
        return true;
    }

    private void SaveCheckpoint()
    {
        if (Options.CheckpointPath is not { } path)
            return;
        // The gradients were finite, but an update can still overflow, or leave numbers with which the next loss does.
        using var scope = torch.NewDisposeScope();
        using var sample = _training.Take(Options.BatchSize);
        var loss = Evaluation.Of(Model, sample, Options.BatchSize).Loss;
        if (!double.IsFinite(loss) || !Model.parameters().All(parameter => parameter.detach().isfinite().all().ToBoolean()))
            throw Diverged(StepsTaken, double.IsFinite(loss) ? double.NaN : loss, double.NaN);
        Save(path);
        _checkpointWritten = true;
    }

    private TrainingDivergedException Diverged(long step, double loss, double gradientNorm) => new(
        (int)((step - 1) / StepsPerEpoch) + 1, step, loss, gradientNorm, _checkpointWritten ? Options.CheckpointPath : null);

    private TrainingProgress Report(StepResult? step, RunClock clock, EpochResult? ended) => new(
        Model.Architecture.Name,
        _epochs.Count + 1,
        Options.Epochs,
        StepsTaken - (_epochs.Count * StepsPerEpoch),
        StepsPerEpoch,
        step?.Loss ?? _running.MeanLoss,
        _running.MeanLoss,
        _running.Accuracy,
        step?.LearningRate ?? 0,
        step?.GradientNorm ?? 0,
        clock.ImagesPerSecond,
        clock.TimeLeft,
        ended);

    /// <summary>The times of one run: steps that an earlier process took do not count.</summary>
    private sealed class RunClock(long steps)
    {
        private readonly Stopwatch _run = Stopwatch.StartNew();
        private TimeSpan _epochStart;
        private TimeSpan _lastStep;
        private long _epochImages;
        private long _taken;

        /// <summary>From the epoch's start to its last step.</summary>
        public TimeSpan Epoch => _lastStep - _epochStart;

        public double ImagesPerSecond => Epoch > TimeSpan.Zero ? _epochImages / Epoch.TotalSeconds : 0;

        public TimeSpan TimeLeft => _taken == 0 ? TimeSpan.Zero : _run.Elapsed * ((double)(steps - _taken) / _taken);

        public void StartEpoch()
        {
            _epochStart = _lastStep = _run.Elapsed;
            _epochImages = 0;
        }

        public void Count(long images)
        {
            _lastStep = _run.Elapsed;
            _epochImages += images;
            _taken++;
        }
    }
}
