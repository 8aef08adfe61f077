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
    /// <param name="train">Runs the training with the progress it is given, as <c>trainer.Run</c> does.</param>
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

    /// <summary>A step's or an epoch's report as one line.</summary>
    public static string Describe(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        var place = $"{progress.Model}  epoch {progress.Epoch}/{progress.Epochs}";
        var pace = $"{progress.ImagesPerSecond:0} images/s";
        var left = $"left {Time(progress.TimeLeft)}";
        if (progress.Ended is not { } ended)
        {
            return $"{place}  step {progress.Step}/{progress.StepsPerEpoch}  "
                + $"loss {progress.Loss:0.000}  accuracy {progress.Accuracy:0.0%}  {pace}  {left}";
        }
        var test = ended.Evaluation is { } result
            ? $"  test loss {result.Loss:0.000}  test accuracy {result.Accuracy:0.00%}"
            : "";
        return $"{place}  loss {ended.Loss:0.000}  accuracy {ended.Accuracy:0.0%}{test}  {pace}  {Time(ended.Duration)}  {left}";
    }

    private static string Time(TimeSpan time)
    {
        var seconds = $"{time.Seconds:00}";
        return time.TotalHours >= 1 ? $"{(int)time.TotalHours}:{time.Minutes:00}:{seconds}" : $"{time.Minutes}:{seconds}";
    }

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
