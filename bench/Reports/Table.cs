using System.Globalization;

namespace LocalAttention.Bench.Reports;

/// <summary>The results as text.</summary>
public static class Table
{
    private static readonly string[] Headings =
        ["work", "peer", "tuned", "ours ms", "±", "peer ms", "±", "ratio", "target", "met", "memory", "target", "met", "roofline"];

    private static readonly HashSet<int> LeftAligned = [0, 1, 2, 9, 12];

    /// <summary>Writes the machine, one line a comparison, and what is missed.</summary>
    public static void Write(TextWriter writer, Results results)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(results);
        var (machine, rows) = (results.Machine, results.Rows);
        writer.WriteLine($"{machine.Processor}, {machine.Cores} cores, {machine.Date:yyyy-MM-dd HH:mm} UTC, commit {machine.Commit}");
        writer.WriteLine($"ours: {machine.Backend}");
        writer.WriteLine(
            $"peers: PyTorch {machine.PeerVersion}; as it comes: {Threads(machine.PeerThreads)}; "
            + $"tuned: {Threads(machine.TunedThreads)}, {string.Join(' ', machine.Tuning)}");
        writer.WriteLine($"peaks: matrix product {machine.PeakGflops:0} GFLOP/s, copy {machine.PeakGigabytesPerSecond:0.0} GB/s");
        writer.WriteLine();

        var cells = rows.Select(Cells).Prepend(Headings).ToList();
        var widths = Enumerable.Range(0, Headings.Length).Select(column => cells.Max(line => line[column].Length)).ToList();
        foreach (var line in cells)
        {
            var padded = line.Select((cell, column) =>
                LeftAligned.Contains(column) ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]));
            writer.WriteLine(string.Join("  ", padded).TrimEnd());
        }
        writer.WriteLine();
        writer.WriteLine(
            "± interquartile range; ratio: peer's time over ours, for a peer that is a work of ours our time over its; "
            + "memory: peer's over ours, peak of forward and backward; roofline: shortest time by the peaks over ours");
        var targets = rows.SelectMany(row => new[] { row.Met, row.MemoryMet }).OfType<bool>().ToList();
        writer.WriteLine($"{targets.Count(met => met)} of {targets.Count} targets met");
        foreach (var row in rows.Where(row => !row.Agrees))
        {
            writer.WriteLine($"{row.Work}: ours and {row.Peer} compute different things, by {row.Difference:0.0e0}");
        }
    }

    private static string[] Cells(Row row) =>
    [
        row.Work,
        row.Peer,
        row.Tuned ? "tuned" : "",
        Number(row.OursMs),
        Number(row.OursSpreadMs),
        Number(row.PeerMs),
        Number(row.PeerSpreadMs),
        row.Ratio.ToString("0.00", CultureInfo.InvariantCulture),
        row.Target ?? "",
        Answer(row.Met),
        row.MemoryRatio is { } memory ? $"{memory:0.0} ({row.OursPeakBytes >> 20} MiB)" : "",
        row.MemoryTarget is { } target ? $"≥ {target:0.#}" : "",
        Answer(row.MemoryMet),
        row.RooflineFraction.ToString("0%", CultureInfo.InvariantCulture),
    ];

    private static string Number(double milliseconds) =>
        milliseconds.ToString(milliseconds < 100 ? "0.00" : "0", CultureInfo.InvariantCulture);

    private static string Answer(bool? met) => met switch
    {
        true => "yes",
        false => "no",
        null => "",
    };

    private static string Threads(int count) => count == 1 ? "1 thread" : $"{count} threads";
}
