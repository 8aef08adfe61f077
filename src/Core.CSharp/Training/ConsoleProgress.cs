using System.Diagnostics;
using Spectre.Console;

namespace LocalAttention.Core.Training;

/// <summary>
/// Shows a training in the console: a bar with epoch, step, loss, accuracy, speed and time left on a terminal, one plain
/// line an epoch elsewhere.
/// </summary>
public static class ConsoleProgress
{
    /// <summary>Shows a training while it runs.</summary>
    /// <param name="train">Runs the training with the progress it is given: <c>progress => trainer.Run(progress, token)</c>.</param>
    /// <param name="console">Where to show it; left out: the process's console.</param>
    /// <returns>What <paramref name="train"/> returns.</returns>
    public static T Show<T>(Func<IProgress<TrainingProgress>, T> train, IAnsiConsole? console = null)
    {
        ArgumentNullException.ThrowIfNull(train);
        var target = console ?? AnsiConsole.Console;
        if (!target.Profile.Capabilities.Interactive || !target.Profile.Out.IsTerminal)
            return train(new Lines(target));
        return target.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
            .Start(context => train(new Bar(target, context)));
    }

    /// <summary>The line that an epoch ends with.</summary>
    public static string Describe(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        if (progress.Ended is not { } ended)
        {
            return $"{progress.Model}  epoch {progress.Epoch}/{progress.Epochs}  step {progress.Step}/{progress.StepsPerEpoch}  "
                + $"loss {progress.Loss:0.000}  accuracy {progress.Accuracy:0.0%}  {progress.ImagesPerSecond:0} images/s  left {Time(progress.TimeLeft)}";
        }
        var test = ended.Evaluation is { } evaluation ? $"  test loss {evaluation.Loss:0.000}  test accuracy {evaluation.Accuracy:0.00%}" : "";
        return $"{progress.Model}  epoch {progress.Epoch}/{progress.Epochs}  loss {ended.Loss:0.000}  accuracy {ended.Accuracy:0.0%}{test}  "
            + $"{progress.ImagesPerSecond:0} images/s  {Time(ended.Duration)}  left {Time(progress.TimeLeft)}";
    }

    private static string Time(TimeSpan time) =>
        time.TotalHours >= 1 ? $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}" : $"{time.Minutes}:{time.Seconds:00}";

    private sealed class Lines(IAnsiConsole console) : IProgress<TrainingProgress>
    {
        // Written as it is: wrapping at a width is for terminals.
        public void Report(TrainingProgress value)
        {
            if (value.Ended is not null)
                console.Profile.Out.Writer.WriteLine(Describe(value));
        }
    }

    private sealed class Bar(IAnsiConsole console, ProgressContext context) : IProgress<TrainingProgress>
    {
        private static readonly TimeSpan BetweenTexts = TimeSpan.FromMilliseconds(100);

        private ProgressTask? _task;
        private long _lastText;

        public void Report(TrainingProgress value)
        {
            _task ??= context.AddTask(Markup.Escape(value.Model), maxValue: value.Steps);
            _task.Value = value.StepsTaken;
            if (value.Ended is not null)
                console.WriteLine(Describe(value));
            else if (Stopwatch.GetElapsedTime(_lastText) > BetweenTexts)
                _task.Description = Markup.Escape(Describe(value));
            else
                return;
            _lastText = Stopwatch.GetTimestamp();
        }
    }
}
