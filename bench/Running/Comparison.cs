using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Running;

/// <summary>How long measuring may take.</summary>
/// <param name="Seconds">Seconds for one work, about: rounds go on until they are spent.</param>
/// <param name="FewestRounds">Rounds that are made in any case.</param>
/// <param name="MostRounds">Rounds that are enough.</param>
/// <param name="SecondsOfOne">Seconds after which a slow contestant, once measured, rests for the remaining rounds.</param>
public sealed record Patience(double Seconds, int FewestRounds, int MostRounds, double SecondsOfOne)
{
    /// <summary>A look, in about two minutes for everything.</summary>
    public static Patience Quick { get; } = new(1.5, 1, 5, SecondsOfOne: 2.5);

    /// <summary>A measurement, in about ten minutes for everything.</summary>
    public static Patience Full { get; } = new(12, 3, 25, SecondsOfOne: 30);
}

/// <summary>
/// Measures a work and its rivals in turns, ours before each of them, so that what drifts on the machine drifts for all:
/// ours, rival, ours, next rival, and again. Each turn is a short burst.
/// </summary>
public static class Comparison
{
    // Threads of libraries that have just computed spin for a while, on cores that the next in turn needs.
    private static readonly TimeSpan PauseBetweenTurns = TimeSpan.FromMilliseconds(40);

    /// <summary>Measures.</summary>
    /// <param name="work">What.</param>
    /// <param name="rivals">Those of its rivals that take part.</param>
    /// <param name="peers">The processes that run them.</param>
    /// <param name="patience">For how long.</param>
    public static ComparisonResult Of(Work work, IReadOnlyList<Rival> rivals, PeerProcesses peers, Patience patience)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentNullException.ThrowIfNull(rivals);
        ArgumentNullException.ThrowIfNull(peers);
        ArgumentNullException.ThrowIfNull(patience);
        using var run = new OurRun(work.Subject, work.Training);
        using var others = new OurRuns(rivals.Where(rival => rival.Where == Place.Here), work.Training);
        var ours = Contestant.Ours(run);
        var theirs = rivals
            .Select(rival => rival.Where == Place.Here
                ? Contestant.Ours(others[rival])
                : Contestant.Peer(peers[rival.Where], rival, work.Training))
            .ToList();
        foreach (var contestant in theirs.Prepend(ours))
        {
            contestant.Gauge();
        }
        var roundSeconds = theirs.Where(rival => rival.SecondsMeasured < patience.SecondsOfOne).Sum(rival => ours.SecondsOfBurst + rival.SecondsOfBurst + (2 * PauseBetweenTurns.TotalSeconds));
        var rounds = Math.Clamp((int)(patience.Seconds / Math.Max(1e-6, roundSeconds)), patience.FewestRounds, patience.MostRounds);
        for (var round = 0; round < rounds; round++)
        {
            foreach (var rival in theirs.Where(rival => rival.SecondsMeasured < patience.SecondsOfOne))
            {
                Thread.Sleep(PauseBetweenTurns);
                ours.Burst();
                Thread.Sleep(PauseBetweenTurns);
                rival.Burst();
            }
        }
        if (ours.SecondsMeasured == 0)
        {
            ours.Burst(); // every rival was slow enough to rest from the start
        }
        peers.Release();
        return new ComparisonResult(
            ours.Sample,
            [.. rivals.Zip(theirs, (rival, contestant) => new RivalResult(
                rival,
                contestant.Sample,
                rival.Subject == work.Subject ? contestant.Digest.DifferenceFrom(ours.Digest) : null,
                rival.Subject != work.Subject || contestant.Digest.AgreesWith(ours.Digest)))]);
    }

    /// <summary>Works of ours that are rivals.</summary>
    private sealed class OurRuns(IEnumerable<Rival> rivals, bool training) : IDisposable
    {
        private readonly Dictionary<Rival, OurRun> _runs = rivals.ToDictionary(rival => rival, rival => new OurRun(rival.Subject, training));

        public OurRun this[Rival rival] => _runs[rival];

        public void Dispose()
        {
            foreach (var run in _runs.Values)
            {
                run.Dispose();
            }
        }
    }
}

/// <summary>What a comparison found.</summary>
/// <param name="Ours">Our times.</param>
/// <param name="Rivals">Each rival's.</param>
public sealed record ComparisonResult(Sample Ours, IReadOnlyList<RivalResult> Rivals);

/// <summary>What a comparison found about a rival.</summary>
/// <param name="Rival">The rival.</param>
/// <param name="Times">Its times.</param>
/// <param name="Difference">By how much its digest differs from ours; none where it computes something else.</param>
/// <param name="Agrees">Whether that is rounding, or it computes something else anyway.</param>
public sealed record RivalResult(Rival Rival, Sample Times, double? Difference, bool Agrees);
