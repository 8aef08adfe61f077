using System.Diagnostics;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Running;

/// <summary>One side of a comparison, started and warm.</summary>
/// <param name="digest">What it computed at the start.</param>
/// <param name="time">Runs it: repetitions to discard, repetitions to count; the seconds of the latter.</param>
internal sealed class Contestant(Digest digest, Func<int, int, double[]> time)
{
    private const double WarmUpSeconds = 0.3;
    private const int MostWarmUps = 50;
    private const double BurstSeconds = 0.1;
    private const int LongestBurst = 10;

    private readonly List<double> _seconds = [];
    private double _once;

    /// <summary>What it computed.</summary>
    public Digest Digest => digest;

    /// <summary>How long a burst takes, about.</summary>
    public double SecondsOfBurst => _once * (Repetitions + Discarded);

    /// <summary>How long all that counts has taken.</summary>
    public double SecondsMeasured => _seconds.Sum();

    /// <summary>All that was measured.</summary>
    public Sample Sample => Sample.OfSeconds(_seconds);

    // What ran before has filled the caches with its own; a long work does not notice.
    private int Discarded => _once < 0.5 ? 1 : 0;

    private int Repetitions => Math.Clamp((int)(BurstSeconds / Math.Max(1e-6, _once)), 1, LongestBurst);

    /// <summary>One of ours, in this process.</summary>
    public static Contestant Ours(OurRun run) => new(run.Digest(), (discarded, repetitions) =>
    {
        for (var repetition = 0; repetition < discarded; repetition++)
        {
            run.Run();
        }
        var seconds = new double[repetitions];
        for (var repetition = 0; repetition < repetitions; repetition++)
        {
            var begin = Stopwatch.GetTimestamp();
            run.Run();
            seconds[repetition] = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        }
        return seconds;
    });

    /// <summary>A rival in another process.</summary>
    public static Contestant Peer(PeerProcess process, Rival rival, bool training) => new(
        process.Start(rival.Name, rival.Subject, training),
        (discarded, repetitions) => process.Time(rival.Name, discarded, repetitions));

    /// <summary>Warms up, and finds out how often it can be run in a burst.</summary>
    public void Gauge()
    {
        _once = time(0, 1)[0];
        if (Discarded == 0)
        {
            _seconds.Add(_once); // it has run before, for its digest
            return;
        }
        _once = time(0, Math.Clamp((int)(WarmUpSeconds / Math.Max(1e-6, _once)), 1, MostWarmUps)).Min();
    }

    /// <summary>Runs a few times in a row, and remembers the times.</summary>
    public void Burst() => _seconds.AddRange(time(Discarded, Repetitions));
}
