namespace LocalAttention.Core.Training;

/// <summary>A linear rise from 0 to the peak, then half a cosine down to the minimum (arXiv 1608.03983).</summary>
/// <param name="Peak">The largest rate.</param>
/// <param name="Minimum">The rate that the cosine falls to.</param>
/// <param name="WarmupSteps">Steps of the rise.</param>
/// <param name="Steps">All steps.</param>
public sealed record LearningRateSchedule(double Peak, double Minimum, long WarmupSteps, long Steps)
{
    /// <summary>The rate at a step, counted from 0.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps)
            return Peak * (step + 1) / WarmupSteps;
        var progress = (double)(step - WarmupSteps) / Math.Max(1, Steps - WarmupSteps);
        return Minimum + ((Peak - Minimum) * 0.5 * (1 + Math.Cos(Math.PI * Math.Min(1, progress))));
    }

    /// <summary>The schedule of a training.</summary>
    /// <param name="options">Its options.</param>
    /// <param name="steps">All steps.</param>
    /// <param name="stepsPerEpoch">Steps of an epoch.</param>
    public static LearningRateSchedule For(TrainingOptions options, long steps, long stepsPerEpoch)
    {
        ArgumentNullException.ThrowIfNull(options);
        var warmup = options.WarmupSteps ?? (long)Math.Round(options.WarmupEpochs * stepsPerEpoch);
        return new LearningRateSchedule(options.LearningRate, options.MinimumLearningRate, Math.Min(warmup, steps), steps);
    }
}
