using System.Text.Json;
using LocalAttention.Bench.Running;

namespace LocalAttention.Bench.Reports;

/// <summary>All that a run found.</summary>
/// <param name="Machine">Where.</param>
/// <param name="Rows">What.</param>
public sealed record Results(Machine Machine, IReadOnlyList<Row> Rows)
{
    private static readonly JsonSerializerOptions Written = new(JsonSerializerDefaults.General)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    /// <summary>The rows in brief, as one array.</summary>
    public string ToBriefJson() => JsonSerializer.Serialize(Rows.Select(BriefRow.Of), Written);

    /// <summary>Writes everything into a file of its own, named by date, machine and commit.</summary>
    /// <returns>The file.</returns>
    public string Write()
    {
        Directory.CreateDirectory(Location.Results);
        var processor = string.Join('-', Machine.Processor.ToLowerInvariant().Split(
            [' ', '/', '(', ')', '@', ','], StringSplitOptions.RemoveEmptyEntries));
        var name = $"{Machine.Date:yyyy-MM-ddTHH-mm-ss}-{processor}-{Machine.Cores}-cores-{Machine.Commit.Replace("+", "-changed", StringComparison.Ordinal)}.json";
        var path = Path.Combine(Location.Results, name);
        File.WriteAllText(path, JsonSerializer.Serialize(this, Written) + "\n");
        return path;
    }
}
