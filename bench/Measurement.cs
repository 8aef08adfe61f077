using LocalAttention.Bench.Reports;
using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Running;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench;

/// <summary>One work: its times beside its rivals', its memory, its roofline.</summary>
public static class Measurement
{
    /// <summary>Measures a work.</summary>
    /// <param name="work">What.</param>
    /// <param name="peers">Where the rivals run.</param>
    /// <param name="peak">What the machine reaches.</param>
    /// <param name="quick">Only rivals that there is a target for, and for a short time.</param>
    /// <returns>A row for each rival.</returns>
    public static IReadOnlyList<Row> Of(Work work, PeerProcesses peers, MachinePeak peak, bool quick)
    {
        ArgumentNullException.ThrowIfNull(work);
        bool Counts(Rival rival) => !quick || rival.Target is not null || rival.MemoryTarget is not null;
        var rivals = work.Rivals.Where(Counts).ToList();
        var found = Comparison.Of(work, rivals, peers, quick ? Patience.Quick : Patience.Full);
        var floor = 1000 * WorkFloor.Of(work, peak).Seconds;

        // The memory of a layer's training step: of all rivals, or in a quick run of those that have a target.
        bool TakesMemory(Rival rival) =>
            work is { Training: true, Subject.IsModel: false } && (!quick || rival.MemoryTarget is not null);
        long? ours = rivals.Any(TakesMemory) ? PeakMemory.OfOurs(work.Name) : null;
        return
        [
            .. found.Rivals.Select(result =>
            {
                var measured = TakesMemory(result.Rival);
                long? theirs = measured ? PeakMemory.OfRival(result.Rival, work.Training) : null;
                return Row.Of(work, found.Ours, result, measured ? ours : null, theirs, floor);
            }),
        ];
    }
}
