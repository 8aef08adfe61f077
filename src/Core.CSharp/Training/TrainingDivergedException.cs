namespace LocalAttention.Core.Training;

/// <summary>
/// The loss or its gradient became infinite or not a number. Training stopped before the parameters took it in; the last
/// checkpoint that was written stays as it is.
/// </summary>
public sealed class TrainingDivergedException : Exception
{
    /// <param name="epoch">The epoch, counted from 1; none outside a training.</param>
    /// <param name="step">The step, counted from 1 over the whole training.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="gradientNorm">The norm of all gradients together.</param>
    /// <param name="checkpointPath">The last checkpoint; none if none was written.</param>
    public TrainingDivergedException(int? epoch, long step, double loss, double gradientNorm, string? checkpointPath = null)
        : base(Text(epoch, step, loss, gradientNorm, checkpointPath))
    {
        Epoch = epoch;
        Step = step;
        Loss = loss;
        GradientNorm = gradientNorm;
        CheckpointPath = checkpointPath;
    }

    /// <summary>The epoch, counted from 1; none outside a training.</summary>
    public int? Epoch { get; }

    /// <summary>The step, counted from 1 over the whole training.</summary>
    public long Step { get; }

    /// <summary>The loss.</summary>
    public double Loss { get; }

    /// <summary>The norm of all gradients together.</summary>
    public double GradientNorm { get; }

    /// <summary>The last checkpoint; none if none was written.</summary>
    public string? CheckpointPath { get; }

    private static string Text(int? epoch, long step, double loss, double gradientNorm, string? checkpointPath)
    {
        var place = epoch is null ? $"step {step}" : $"epoch {epoch}, step {step}";
        var what = double.IsFinite(loss) ? $"the gradient's norm is {gradientNorm}" : $"the loss is {loss}";
        var file = checkpointPath is null ? "" : $" {checkpointPath} holds the last good state.";
        return $"{place}: {what}. Training stopped; a lower learning rate, a longer warm-up or clipping helps.{file}";
    }
}
