using LocalAttention.Bench.Running;
using LocalAttention.Bench.Works;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Bench;

/// <summary>
/// Measures a work and its rivals in turns, ours before each of them, so that clocks and temperatures that drift do so for all.
/// </summary>
internal sealed class Turns(PeerServer peers, IClock clock, Device device, bool quick)
{
    private const int WarmUps = 3;
    private const int MostRepetitions = 20;
    private const double MillisecondsOfTurn = 100;

    private int Rounds => quick ? 3 : 15;

    /// <summary>Measures.</summary>
    /// <param name="work">What.</param>
    /// <param name="tolerance">By how much results may differ.</param>
    public Comparison Of(GpuWork work, double tolerance)
    {
        using var run = new OurRun(work.Subject, work.Training, dtype: work.Element, device: device);
        var digest = run.Digest();
        var (absent, present) = (new List<RivalResult>(), new List<Contestant>());
        foreach (var rival in work.Rivals)
        {
            if (peers.Start(rival, work, out var reason) is { } theirs)
            {
                var difference = rival.Same ? DifferenceOf(theirs, digest) : (double?)null;
                present.Add(new Contestant(rival, difference, (warmUps, times) => peers.Time(rival, warmUps, times)));
            }
            else
            {
                absent.Add(new RivalResult(rival, null, null, Agrees: true, reason));
            }
        }
        var ours = new Contestant(null, null, (warmUps, times) => clock.Time(run.Run, warmUps, times));
        foreach (var contestant in present.Prepend(ours))
        {
            contestant.Gauge();
        }
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var rival in present.DefaultIfEmpty())
            {
                ours.Turn();
                rival?.Turn();
            }
        }
        peers.Release();
        return new Comparison(
            work, ours.Sample,
            [
                .. present.Select(rival => new RivalResult(
                    rival.Rival!, rival.Sample, rival.Difference,
                    Agrees: rival.Difference is null || rival.Difference <= tolerance, Reason: null)),
                .. absent,
            ]);
    }

    // What is not a number differs from everything.
    private static double DifferenceOf(Digest theirs, Digest ours) =>
        theirs.Entries.Concat(ours.Entries).All(entry => double.IsFinite(entry.Value))
            ? theirs.DifferenceFrom(ours)
            : double.PositiveInfinity;

    private sealed class Contestant(GpuRival? rival, double? difference, Func<int, int, double[]> time)
    {
        private readonly List<double> _milliseconds = [];
        private int _repetitions;

        public GpuRival? Rival => rival;

        public double? Difference => difference;

        public Sample Sample => Sample.OfSeconds(_milliseconds.Select(each => each / 1000));

        /// <summary>How often it runs in a turn; compiles and tunes what is compiled and tuned once.</summary>
        public void Gauge() => _repetitions =
            (int)Math.Clamp(MillisecondsOfTurn / Math.Max(1e-3, time(WarmUps, 3).Min()), 1, MostRepetitions);

        public void Turn() => _milliseconds.AddRange(time(1, _repetitions));
    }
}

/// <summary>What was found about a work.</summary>
internal sealed record Comparison(GpuWork Work, Sample Ours, IReadOnlyList<RivalResult> Rivals);

/// <summary>What was found about a rival.</summary>
/// <param name="Rival">The rival.</param>
/// <param name="Times">Its times; none: it is not here.</param>
/// <param name="Difference">By how much its results differ from ours; none: it computes something else.</param>
/// <param name="Agrees">Whether that is rounding.</param>
/// <param name="Reason">Why it is not here.</param>
internal sealed record RivalResult(GpuRival Rival, Sample? Times, double? Difference, bool Agrees, string? Reason);
