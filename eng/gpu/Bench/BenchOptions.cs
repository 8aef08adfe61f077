using System.Text.RegularExpressions;

namespace LocalAttention.Gpu.Bench;

/// <summary>What a benchmark is asked for.</summary>
/// <param name="Peers">The peers' script.</param>
/// <param name="Python">The Python that runs it.</param>
/// <param name="Results">The folder of the JSON file; none: it is not written.</param>
/// <param name="Only">Patterns of the works' names; none: all.</param>
/// <param name="Quick">Few repetitions.</param>
/// <param name="Rehearsal">Without a device, on small maps.</param>
internal sealed record BenchOptions(
    string Peers, string Python, string? Results, IReadOnlyList<string> Only, bool Quick, bool Rehearsal)
{
    /// <summary>The works that are asked for.</summary>
    public IReadOnlyList<GpuWork> Works()
    {
        var all = GpuCatalogue.Of(Rehearsal);
        return Only.Count == 0 ? all : [.. all.Where(work => Only.Any(pattern => Matches(pattern, work.Name)))];
    }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">It has something that there is not.</exception>
    public static BenchOptions Parse(ReadOnlySpan<string> arguments)
    {
        var (peers, python, results, quick, rehearsal) = ("eng/gpu/peers.py", "python3", (string?)null, false, false);
        var only = new List<string>();
        for (var index = 0; index < arguments.Length; index++)
        {
            var option = arguments[index];
            switch (option)
            {
                case "--quick":
                    quick = true;
                    continue;
                case "--cpu":
                    rehearsal = true;
                    continue;
                case not ("--peers" or "--python" or "--results" or "--only"):
                    throw new ArgumentException($"bench has no '{option}'; --help tells what it has");
            }
            if (index + 1 == arguments.Length)
            {
                throw new ArgumentException($"{option} needs a value");
            }
            var value = arguments[++index];
            switch (option)
            {
                case "--peers":
                    peers = value;
                    break;
                case "--python":
                    python = value;
                    break;
                case "--results":
                    results = value;
                    break;
                default:
                    only.Add(value);
                    while (index + 1 < arguments.Length && !arguments[index + 1].StartsWith('-'))
                    {
                        only.Add(arguments[++index]);
                    }
                    break;
            }
        }
        var options = new BenchOptions(peers, python, results, only, quick, rehearsal);
        return options.Works().Count > 0
            ? options
            : throw new ArgumentException(
                $"--only matches none of {string.Join(", ", GpuCatalogue.Of(rehearsal).Select(work => work.Name))}");
    }

    private static bool Matches(string pattern, string name) =>
        Regex.IsMatch(name, $"^{Regex.Escape(pattern).Replace(@"\*", ".*", StringComparison.Ordinal)}$");
}
