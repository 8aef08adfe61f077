using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// Which of several ways is the fastest, measured once for each question and remembered, in memory and in a file: each way
/// runs once to be compiled and warm, and then in rounds that go through all ways, so that a clock that changes meets all of
/// them; the least median wins. A way that asks for more than the device has is left out.
/// </summary>
/// <remarks>
/// A question costs some tens of milliseconds, and more where its kernels are compiled for the first time. Ways may add in
/// different orders: where the last bits must be the same in every process and on every device of a kind,
/// <c>LOCALATTENTION_TUNING</c> set to <c>off</c> or <c>0</c> takes the first way without measuring.
/// </remarks>
/// <param name="file">What earlier processes measured.</param>
/// <param name="measure">Runs some work so many times, and gives the milliseconds that one took on the device.</param>
/// <param name="isCapturing">Whether the device's work goes into a graph now, which measures nothing.</param>
internal sealed class Tuning(TuningFile file, Func<Action, int, double> measure, Func<bool> isCapturing)
{
    /// <summary>The variable that forbids measuring: <c>off</c> or <c>0</c>.</summary>
    public const string Variable = "LOCALATTENTION_TUNING";

    private const int Rounds = 7;

    // What one measurement should take at least, in milliseconds, in runs of which there are at most so many.
    private const double WorthMeasuring = 0.2;
    private const int MostRuns = 50;

    // Milliseconds that all rounds may take; ways that take longer are measured in three.
    private const double Patience = 1000;

    private readonly ConcurrentDictionary<string, TuningFile.Answer> _known = new(file.Read(), StringComparer.Ordinal);
    private readonly Lock _measuring = new();

    /// <summary>Whether the variable's value allows measuring.</summary>
    /// <exception cref="InvalidOperationException">It is no value that it can have.</exception>
    public static bool IsOn(string? value) => value?.Trim().ToUpperInvariant() switch
    {
        null or "" or "ON" or "1" => true,
        "OFF" or "0" => false,
        _ => throw new InvalidOperationException($"{Variable} is '{value}'; it can be on, 1, off or 0"),
    };

    /// <summary>The way to use.</summary>
    /// <param name="question">The work.</param>
    /// <param name="count">How many ways there are.</param>
    /// <param name="run">Does the work in one of them.</param>
    /// <exception cref="CudaException">The device refuses every way.</exception>
    public int Choose(string question, int count, Action<int> run)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (count == 1)
        {
            return 0;
        }
        if (Known(question, count) is { } known)
        {
            return known;
        }
        if (isCapturing())
        {
            return 0;
        }
        // One question at a time: what else runs on the device would be measured too.
        lock (_measuring)
        {
            if (Known(question, count) is { } meanwhile)
            {
                return meanwhile;
            }
            var answer = new TuningFile.Answer(Fastest(question, count, run), count);
            _known[question] = answer;
            file.Keep(question, answer);
            return answer.Way;
        }
    }

    private int? Known(string question, int count) =>
        _known.TryGetValue(question, out var answer) && answer.Of == count ? answer.Way : null;

    private int Fastest(string question, int count, Action<int> run)
    {
        var runs = new int[count];
        var total = 0.0;
        CudaException? refusal = null;
        for (var way = 0; way < count; way++)
        {
            try
            {
                Work(run, way)();
                var once = measure(Work(run, way), 1);
                runs[way] = (int)Math.Clamp(Math.Ceiling(WorthMeasuring / Math.Max(once, 1e-6)), 1, MostRuns);
                total += once * runs[way];
            }
            catch (CudaException error) when (error.IsRefusal)
            {
                refusal = error;
            }
        }
        var rounds = total * Rounds > Patience ? 3 : Rounds;
        var times = new double[count][];
        for (var round = 0; round < rounds; round++)
        {
            for (var way = 0; way < count; way++)
            {
                if (runs[way] > 0)
                {
                    (times[way] ??= new double[rounds])[round] = measure(Work(run, way), runs[way]);
                }
            }
        }
        var ways = Enumerable.Range(0, count).Where(way => runs[way] > 0).ToArray();
        return ways.Length > 0
            ? ways.MinBy(way => Median(times[way]))
            : throw new CudaException($"none of the {count} ways of '{question}' runs; the last one: {refusal!.Message}", refusal)
            {
                IsRefusal = true,
            };
    }

    // What a run leaves behind is let go of at once: nobody asked for its results.
    private static Action Work(Action<int> run, int way) => () =>
    {
        using var scope = NewDisposeScope();
        run(way);
    };

    private static double Median(double[] times)
    {
        var ordered = times.Order().ToArray();
        return ordered[ordered.Length / 2];
    }
}
