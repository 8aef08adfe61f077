namespace LocalAttention.Core.Specification;

/// <summary>Which known name was probably meant.</summary>
internal static class NearestNames
{
    /// <summary><c>; did you mean 'x'?</c> where a candidate is near, else nothing.</summary>
    public static string Hint(string name, IEnumerable<string> candidates) =>
        Nearest(name, candidates) is { } nearest ? $"; did you mean '{nearest}'?" : "";

    /// <summary>The candidate that the fewest edits separate from the name, if those are at most a third of it.</summary>
    public static string? Nearest(string name, IEnumerable<string> candidates)
    {
        var allowed = Math.Max(2, name.Length / 3);
        string? nearest = null;
        foreach (var candidate in candidates)
        {
            if (Math.Abs(candidate.Length - name.Length) > allowed)
                continue;
            var distance = Distance(name, candidate);
            if (distance > allowed)
                continue;
            nearest = candidate;
            allowed = distance - 1;
        }
        return nearest;
    }

    /// <summary>The candidates that the fewest edits separate from the name, nearest first; those alike as they come.</summary>
    public static IEnumerable<string> Of(string name, IEnumerable<string> candidates, int count) =>
        candidates.OrderBy(candidate => Distance(name, candidate)).Take(count);

    /// <summary>Levenshtein's distance.</summary>
    private static int Distance(string left, string right)
    {
        var row = new int[right.Length + 1];
        for (var j = 0; j <= right.Length; j++)
            row[j] = j;
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var substituted = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, 1 + Math.Min(row[j], row[j - 1]));
            }
        }
        return row[^1];
    }
}
