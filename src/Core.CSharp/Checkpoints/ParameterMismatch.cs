using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Where a file's tensors and a model's parameters differ, said in one message.</summary>
internal static class ParameterMismatch
{
    private const int Named = 5;

    /// <param name="file">The file.</param>
    /// <param name="architecture">The model's architecture.</param>
    /// <param name="expected">What the model wants, by the file's names.</param>
    /// <exception cref="CheckpointException">Something is missing, unexpected or misshapen.</exception>
    public static void EnsureNone(
        WeightsFile file, Architecture architecture, IReadOnlyDictionary<string, long[]> expected)
    {
        var present = file.Entries.Where(entry => !IsDerived(entry.Name)).ToList();
        var missing = expected.Keys.Where(name => !file.Contains(name)).ToList();
        var unexpected = present.Select(entry => entry.Name).Where(name => !expected.ContainsKey(name)).ToList();
        var misshapen = present
            .Where(entry => expected.TryGetValue(entry.Name, out var shape) && !shape.AsSpan().SequenceEqual(entry.Dimensions))
            .ToList();
        if (missing.Count + unexpected.Count + misshapen.Count == 0)
            return;

        string[] parts =
        [
            Part(missing, "missing", name => $"{name} {Shape(expected[name])}"),
            Part(unexpected, "unexpected", name => SafetensorsHeader.Shortened(name) + Meant(name, missing)),
            Part(misshapen, "misshapen", entry => $"{entry.Name} {Shape(entry.Shape)} instead of {Shape(expected[entry.Name])}"),
        ];
        throw new CheckpointException(
            file.Path,
            $"the tensors are not those of {architecture.Name} ({expected.Count} parameters): "
                + $"{string.Join("; ", parts.Where(part => part.Length > 0))}");
    }

    /// <summary>
    /// What a file may hold beside parameters: tables that official files store although they follow from the
    /// architecture, and the state of the optimizer.
    /// </summary>
    public static bool IsDerived(string name) =>
        name.EndsWith("relative_position_index", StringComparison.Ordinal)
        || name.EndsWith("attn_mask", StringComparison.Ordinal)
        || name.StartsWith(Checkpoint.OptimizerPrefix, StringComparison.Ordinal);

    private static string Part<T>(List<T> items, string what, Func<T, string> describe)
    {
        if (items.Count == 0)
            return "";
        var more = items.Count > Named ? $", and {items.Count - Named} more" : "";
        return $"{items.Count} {what}: {string.Join(", ", items.Take(Named).Select(describe))}{more}";
    }

    private static string Meant(string name, List<string> missing) =>
        NearestNames.Nearest(name, missing) is { } meant ? $" (for {meant}?)" : "";

    private static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
