using System.Runtime.CompilerServices;

namespace LocalAttention.Bench.Running;

/// <summary>Where things are: found from this source file's place, so that the benchmark runs from any folder.</summary>
internal static class Location
{
    /// <summary>The variable that names another Python than the system's.</summary>
    private const string PythonVariable = "BENCH_PYTHON";

    /// <summary>A Python that has PyTorch and NumPy.</summary>
    public static string Python =>
        Environment.GetEnvironmentVariable(PythonVariable) is { Length: > 0 } chosen ? chosen : "/usr/bin/python3";

    /// <summary>The repository.</summary>
    public static string Root { get; } = Path.GetFullPath(Path.Combine(ThisFile(), "..", "..", ".."));

    /// <summary>Where results are written.</summary>
    public static string Results { get; } = Path.Combine(Root, "bench", "results");

    /// <summary>A script of the peers.</summary>
    public static string Peers(string script) => Path.Combine(Root, "bench", "peers", script);

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
