using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Training;

/// <summary>An epoch that ended.</summary>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="Loss">The mean loss over the epoch's images.</param>
/// <param name="Accuracy">The share of them that was right when they were seen, augmented.</param>
/// <param name="Evaluation">The result on the evaluation set; none without one.</param>
/// <param name="Duration">The time that its steps took in this run.</param>
public sealed record EpochResult(int Epoch, double Loss, double Accuracy, EvaluationResult? Evaluation, TimeSpan Duration);

/// <summary>Where a training stands; reported after each step and each epoch.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="Epochs">All epochs.</param>
/// <param name="Step">The step within the epoch, counted from 1.</param>
/// <param name="StepsPerEpoch">Steps of an epoch.</param>
/// <param name="StepLoss">The loss of this step.</param>
/// <param name="Loss">The mean loss of the epoch so far.</param>
/// <param name="Accuracy">The accuracy of the epoch so far.</param>
/// <param name="LearningRate">The step's learning rate.</param>
/// <param name="GradientNorm">The norm of the step's gradients before clipping.</param>
/// <param name="ImagesPerSecond">The speed of this run's steps in this epoch.</param>
/// <param name="TimeLeft">An estimate of the time until the training ends.</param>
/// <param name="Ended">The epoch's result, where this reports its end.</param>
public sealed record TrainingProgress(
    string Model,
    int Epoch,
    int Epochs,
    long Step,
    long StepsPerEpoch,
    double StepLoss,
    double Loss,
    double Accuracy,
    double LearningRate,
    double GradientNorm,
    double ImagesPerSecond,
    TimeSpan TimeLeft,
    EpochResult? Ended)
{
    /// <summary>Steps taken in the whole training.</summary>
    public long StepsTaken => ((Epoch - 1) * StepsPerEpoch) + Step;

    /// <summary>Steps of the whole training.</summary>
    public long Steps => Epochs * StepsPerEpoch;
}

/// <summary>How a training ended.</summary>
/// <param name="Epochs">The epochs that ended, first to last, those before a resumption included.</param>
/// <param name="Cancelled">Whether it was cancelled before its end.</param>
/// <param name="CheckpointPath">The file that it can be resumed from; none if none was asked for.</param>
public sealed record TrainingResult(ValueList<EpochResult> Epochs, bool Cancelled, string? CheckpointPath)
{
    /// <summary>The last evaluation; none without an evaluation set or a whole epoch.</summary>
    public EvaluationResult? Evaluation => Epochs.Count == 0 ? null : Epochs[^1].Evaluation;
}
