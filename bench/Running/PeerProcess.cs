using System.Collections;
using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using System.Text.Json.Nodes;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Running;

/// <summary>
/// A Python process that runs peers and stays warm: <c>peers/serve.py</c>, asked by lines of JSON. Its library starts
/// without any setting, or with those that help it.
/// </summary>
public sealed class PeerProcess : IDisposable
{
    private static readonly string[] SettingPrefixes = ["OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "GLIBC_TUNABLES"];

    private readonly Process _process;

    /// <summary>Starts it.</summary>
    /// <param name="tuned">With <see cref="TunedSettings"/>, or with none.</param>
    public PeerProcess(bool tuned)
    {
        var start = new ProcessStartInfo(Location.Python, ["-B", Location.Peers("serve.py")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        var inherited = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(entry => (string)entry.Key);
        foreach (var name in inherited.Where(name => SettingPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal))))
        {
            start.Environment.Remove(name);
        }
        foreach (var (name, value) in tuned ? TunedSettings : [])
        {
            start.Environment[name] = value;
        }
        _process = Process.Start(start) ?? throw new InvalidOperationException($"'{Location.Python}' did not start");
    }

    /// <summary>
    /// What helps PyTorch most, by trial: a thread on every core, freed blocks kept by the allocator, OpenBLAS's AVX-512
    /// kernels where the processor has them, and idle threads that stop spinning soon. Our own library sets the same for
    /// itself.
    /// </summary>
    public static IReadOnlyList<(string Name, string Value)> TunedSettings { get; } =
    [
        ("OMP_NUM_THREADS", $"{Environment.ProcessorCount}"),
        ("MALLOC_MMAP_THRESHOLD_", $"{1L << 32}"),
        ("MALLOC_TRIM_THRESHOLD_", $"{1L << 32}"),
        ("MALLOC_TOP_PAD_", $"{64 << 20}"),
        ("OPENBLAS_THREAD_TIMEOUT", "4"),
        ("GOMP_SPINCOUNT", "2000"),
        .. Avx512F.IsSupported ? [("OPENBLAS_CORETYPE", "SKYLAKEX")] : Array.Empty<(string, string)>(),
    ];

    /// <summary>PyTorch's version, and how many threads it uses.</summary>
    public (string Version, int Threads) Library()
    {
        var answer = Ask(new JsonObject { ["do"] = "threads" });
        return ((string)answer["version"]!, (int)answer["threads"]!);
    }

    /// <summary>Builds a work and runs it once.</summary>
    /// <param name="name">How later requests call it.</param>
    /// <param name="subject">What runs.</param>
    /// <param name="training">Whether with a backward pass.</param>
    public Digest Start(string name, Subject subject, bool training)
    {
        var request = Describe("start", subject, training);
        request["name"] = name;
        var entries = Ask(request)["digest"]!.AsArray();
        return new Digest([.. entries.Select(entry => ((double)entry![0]!, (double)entry[1]!))]);
    }

    /// <summary>Runs a started work.</summary>
    /// <param name="name">Which.</param>
    /// <param name="discarded">Runs before those that count.</param>
    /// <param name="repetitions">Runs that count.</param>
    /// <returns>The seconds of each.</returns>
    public double[] Time(string name, int discarded, int repetitions)
    {
        var answer = Ask(new JsonObject
        {
            ["do"] = "time",
            ["name"] = name,
            ["discarded"] = discarded,
            ["repetitions"] = repetitions,
        });
        return [.. answer["seconds"]!.AsArray().Select(seconds => (double)seconds!)];
    }

    /// <summary>Forgets all started works.</summary>
    public void Release() => Ask(new JsonObject { ["do"] = "release" });

    /// <summary>By how many bytes the resident memory grows at most while a work runs once. For a fresh process.</summary>
    public long PeakGrowth(Subject subject, bool training)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var request = Describe("memory", subject, training);
        request["small"] = JsonSerializer.SerializeToNode(subject.SmallShape);
        return (long)Ask(request)["bytes"]!;
    }

    /// <summary>Ends the process.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(10)))
        {
            _process.Kill();
        }
        _process.Dispose();
    }

    private static JsonObject Describe(string request, Subject subject, bool training) => new()
    {
        ["do"] = request,
        ["kind"] = subject.Kind,
        ["shape"] = JsonSerializer.SerializeToNode(subject.Shape),
        ["heads"] = subject.Heads,
        ["window"] = subject.Window,
        ["training"] = training,
    };

    private JsonNode Ask(JsonObject request)
    {
        _process.StandardInput.WriteLine(request.ToJsonString());
        _process.StandardInput.Flush();
        var line = _process.StandardOutput.ReadLine()
            ?? throw new InvalidOperationException($"the peers' process ended while asked {request.ToJsonString()}");
        var answer = JsonNode.Parse(line)!;
        return answer["error"] is { } error
            ? throw new InvalidOperationException($"a peer failed: {error}; asked {request.ToJsonString()}")
            : answer;
    }
}
