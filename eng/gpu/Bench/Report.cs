using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LocalAttention.Gpu.Check;

namespace LocalAttention.Gpu.Bench;

/// <summary>What a benchmark found, as a table and as JSON.</summary>
/// <param name="Date">When, in UTC.</param>
/// <param name="Device">The device's name.</param>
/// <param name="Backend">What computes ours.</param>
/// <param name="Library">What the peers are made of.</param>
/// <param name="GigabytesPerSecond">A large copy, read and written.</param>
/// <param name="TeraflopsPerSecond">A large matrix product.</param>
/// <param name="Rehearsal">Whether times mean nothing.</param>
internal sealed record Report(
    DateTime Date, string Device, string Backend, JsonNode Library, double GigabytesPerSecond, double TeraflopsPerSecond,
    bool Rehearsal)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static readonly string[] Headings =
        ["work", "peer", "ours ms", "±", "peer ms", "±", "ratio", "target", "met", "roofline", "difference"];

    private readonly List<(Comparison Found, double Floor)> _works = [];

    /// <summary>Whether all that should compute the same did.</summary>
    public bool Agrees => _works.All(work => work.Found.Rivals.All(rival => rival.Agrees));

    /// <summary>Adds a work.</summary>
    /// <param name="found">What was found.</param>
    /// <param name="floor">The milliseconds that the device's peaks allow at least.</param>
    public void Add(Comparison found, double floor) => _works.Add((found, floor));

    /// <summary>Writes where and with what.</summary>
    public void WriteHead(TextWriter writer)
    {
        writer.WriteLine($"{Device}, {Date:yyyy-MM-dd HH:mm} UTC{(Rehearsal ? "; a rehearsal: times mean nothing" : "")}");
        writer.WriteLine($"ours: {Backend}");
        writer.WriteLine($"peers: PyTorch {Library["torch"]}, CUDA {Library["cuda"]}, {Library["libraries"]!.ToJsonString()}");
        writer.WriteLine(
            Invariant($"peaks: copy {GigabytesPerSecond:0} GB/s, matrix product {TeraflopsPerSecond:0.0} TFLOP/s"));
        writer.WriteLine();
    }

    /// <summary>Writes a line for each comparison, and what is missing.</summary>
    public void WriteTable(TextWriter writer)
    {
        var lines = _works
            .SelectMany(work => work.Found.Rivals.Where(rival => rival.Times is not null).Select(rival => Cells(work, rival)))
            .Prepend(Headings).ToList();
        var widths = Enumerable.Range(0, Headings.Length).Select(column => lines.Max(line => line[column].Length)).ToList();
        foreach (var line in lines)
        {
            writer.WriteLine(string.Join("  ", line.Select((cell, column) =>
                column < 2 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]))).TrimEnd());
        }
        writer.WriteLine();
        writer.WriteLine(
            "medians, ± interquartile range; ratio: the peer's time over ours; roofline: the shortest time by the peaks over ours");
        foreach (var (found, floor) in _works)
        {
            if (found.Rivals.All(rival => rival.Times is null))
            {
                var share = floor / found.Ours.Median;
                writer.WriteLine(Invariant($"{found.Work.Name}: ours {found.Ours.Median:0.000} ms, {share:0%} of the roofline"));
            }
            foreach (var rival in found.Rivals.Where(rival => rival.Reason is not null))
            {
                writer.WriteLine($"{found.Work.Name}: {rival.Rival.Name} is left out: {rival.Reason}");
            }
            foreach (var rival in found.Rivals.Where(rival => !rival.Agrees))
            {
                writer.WriteLine(Invariant(
                    $"{found.Work.Name}: ours and {rival.Rival.Name} compute different things, by {rival.Difference:0.0e0}"));
            }
        }
    }

    /// <summary>Writes everything into a file of its own, named by date and device.</summary>
    /// <returns>The file.</returns>
    public string WriteJson(string folder)
    {
        Directory.CreateDirectory(folder);
        var device = string.Concat(
            Device.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-'));
        var path = Path.Combine(folder, $"{Date:yyyy-MM-ddTHH-mm-ss}-{device}{(Rehearsal ? "-rehearsal" : "")}.json");
        var rows = _works.SelectMany(work => work.Found.Rivals.Select(rival => Row(work, rival)));
        var content = new JsonObject
        {
            ["date"] = Date.ToString("O", CultureInfo.InvariantCulture),
            ["device"] = Device,
            ["backend"] = Backend,
            ["rehearsal"] = Rehearsal,
            ["library"] = Library.DeepClone(),
            ["copy_gb_per_second"] = GigabytesPerSecond,
            ["matrix_product_tflop_per_second"] = TeraflopsPerSecond,
            ["rows"] = new JsonArray([.. rows]),
        };
        File.WriteAllText(path, content.ToJsonString(Indented) + "\n");
        return path;
    }

    private static JsonObject Row((Comparison Found, double Floor) work, RivalResult rival)
    {
        var (found, floor) = work;
        var row = new JsonObject
        {
            ["work"] = found.Work.Name,
            ["shape"] = JsonSerializer.SerializeToNode(found.Work.Subject.Shape),
            ["element"] = Grid.NameOf(found.Work.Element),
            ["peer"] = rival.Rival.Name,
            ["ours_ms"] = found.Ours.Median,
            ["ours_spread_ms"] = found.Ours.Spread,
            ["roofline_fraction"] = floor / found.Ours.Median,
            ["target"] = rival.Rival.Target,
        };
        if (rival.Times is not { } times)
        {
            row["left_out"] = rival.Reason;
            return row;
        }
        var ratio = times.Median / found.Ours.Median;
        row["peer_ms"] = times.Median;
        row["peer_spread_ms"] = times.Spread;
        row["measurements"] = new JsonArray(found.Ours.Milliseconds.Count, times.Milliseconds.Count);
        row["ratio"] = ratio;
        row["met"] = rival.Rival.Target is { } target ? ratio >= target : null;
        row["difference"] = rival.Difference is { } difference && double.IsFinite(difference) ? difference : null;
        row["agrees"] = rival.Agrees;
        return row;
    }

    private static string[] Cells((Comparison Found, double Floor) work, RivalResult rival)
    {
        var (ours, theirs) = (work.Found.Ours, rival.Times!);
        var ratio = theirs.Median / ours.Median;
        return
        [
            work.Found.Work.Name, rival.Rival.Name, Number(ours.Median), Number(ours.Spread), Number(theirs.Median),
            Number(theirs.Spread), Invariant($"{ratio:0.00}"),
            rival.Rival.Target is { } least ? Invariant($"≥ {least:0.#}") : "",
            rival.Rival.Target is { } target ? (ratio >= target ? "yes" : "no") : "",
            Invariant($"{work.Floor / ours.Median:0%}"),
            rival.Difference is { } difference ? Invariant($"{difference:0.0e0}") : "",
        ];
    }

    private static string Number(double milliseconds) => Invariant($"{milliseconds:0.000}");

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
