using System.Text.RegularExpressions;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench;

/// <summary>What the command line asks for.</summary>
/// <param name="Quick">A look, in about two minutes.</param>
/// <param name="Json">The array alone on standard output.</param>
/// <param name="Kernels">Our own kernels by BenchmarkDotNet, in place of the comparison.</param>
/// <param name="Works">What is measured.</param>
public sealed record Options(bool Quick, bool Json, bool Kernels, IReadOnlyList<Work> Works)
{
    /// <summary>How it is used.</summary>
    public const string Usage =
        """
        ./bench.sh                 measures ours and the peers, interleaved: about ten minutes
        ./bench.sh --quick         only comparisons that have a target, fewer repetitions: about two minutes
        ./bench.sh --only NAME…    only these works; * stands for any letters: --only 'qna-*'
        ./bench.sh --json          one JSON array on standard output, and nothing else
        ./bench.sh --kernels       our own kernels alone, by BenchmarkDotNet, with their rooflines
        ./bench.sh --list          the names of the works
        """;

    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">It has an option or a name that there is not.</exception>
    public static Options Parse(IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        var (quick, json, kernels) = (false, false, false);
        var patterns = new List<string>();
        for (var index = 0; index < arguments.Count; index++)
        {
            switch (arguments[index])
            {
                case "--quick":
                    quick = true;
                    break;
                case "--json":
                    json = true;
                    break;
                case "--kernels":
                    kernels = true;
                    break;
                case "--only":
                    var before = patterns.Count;
                    while (index + 1 < arguments.Count && !arguments[index + 1].StartsWith('-'))
                    {
                        patterns.AddRange(arguments[++index].Split(',', StringSplitOptions.RemoveEmptyEntries));
                    }
                    if (patterns.Count == before)
                    {
                        throw new ArgumentException($"--only needs a name; there are {Names()}");
                    }
                    break;
                case var other:
                    throw new ArgumentException($"there is no '{other}'\n{Usage}");
            }
        }
        return new Options(quick, json, kernels, Chosen(patterns));
    }

    /// <summary>The names of all works.</summary>
    public static string Names() => string.Join(", ", Catalogue.All.Select(work => work.Name));

    private static IReadOnlyList<Work> Chosen(List<string> patterns)
    {
        var expressions = patterns.ToDictionary(
            pattern => pattern,
            pattern => new Regex($"^{Regex.Escape(pattern).Replace(@"\*", ".*", StringComparison.Ordinal)}$"));
        foreach (var (pattern, expression) in expressions)
        {
            if (!Catalogue.All.Any(work => expression.IsMatch(work.Name)))
            {
                throw new ArgumentException($"there is no work '{pattern}'; there are {Names()}");
            }
        }
        return patterns.Count == 0
            ? Catalogue.All
            : [.. Catalogue.All.Where(work => expressions.Values.Any(expression => expression.IsMatch(work.Name)))];
    }
}
