using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using LocalAttention.Bench.Works;
using LocalAttention.Gpu.Check;

namespace LocalAttention.Gpu.Bench;

/// <summary>The Python process that runs the peers: <c>peers.py</c>, asked by lines of JSON.</summary>
internal sealed class PeerServer : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts it.</summary>
    public PeerServer(BenchOptions options)
    {
        _process = Process.Start(
            new ProcessStartInfo(options.Python, ["-B", options.Peers, "--device", options.Rehearsal ? "cpu" : "cuda"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })
            ?? throw new InvalidOperationException($"'{options.Python}' did not start");
    }

    /// <summary>The libraries and the device.</summary>
    public JsonNode Describe() => Asked(new JsonObject { ["do"] = "describe" });

    /// <summary>What the device reaches.</summary>
    public (double BytesPerSecond, double OperationsPerSecond) Peaks()
    {
        var answer = Asked(new JsonObject { ["do"] = "peaks" });
        return ((double)answer["bytes_per_second"]!, (double)answer["operations_per_second"]!);
    }

    /// <summary>Builds a peer and runs it once.</summary>
    /// <param name="rival">The peer; its name is what later requests say.</param>
    /// <param name="work">The work whose shape, element type and pass it takes.</param>
    /// <param name="reason">Why it cannot be had.</param>
    /// <returns>What it computed, or none.</returns>
    public Digest? Start(GpuRival rival, GpuWork work, out string? reason)
    {
        var answer = Ask(new JsonObject
        {
            ["do"] = "start",
            ["name"] = rival.Name,
            ["kind"] = rival.Kind,
            ["compiled"] = rival.Compiled,
            ["shape"] = JsonSerializer.SerializeToNode(work.Subject.Shape),
            ["heads"] = work.Subject.Heads,
            ["window"] = work.Subject.Window,
            ["training"] = work.Training,
            ["element"] = Grid.NameOf(work.Element),
        });
        reason = (string?)(answer["absent"] ?? answer["error"]);
        return reason is null
            ? new Digest([.. answer["digest"]!.AsArray().Select(entry => ((double)entry![0]!, (double)entry[1]!))])
            : null;
    }

    /// <summary>Runs a started peer.</summary>
    public double[] Time(GpuRival rival, int warmUps, int repetitions) =>
    [
        .. Asked(new JsonObject
        {
            ["do"] = "time",
            ["name"] = rival.Name,
            ["warm_ups"] = warmUps,
            ["repetitions"] = repetitions,
        })["milliseconds"]!.AsArray().Select(each => (double)each!),
    ];

    /// <summary>Forgets all started peers, and their memory.</summary>
    public void Release() => Asked(new JsonObject { ["do"] = "release" });

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(20)))
        {
            _process.Kill();
        }
        _process.Dispose();
    }

    private JsonNode Asked(JsonObject request)
    {
        var answer = Ask(request);
        return answer["error"] is { } error
            ? throw new InvalidOperationException($"the peers failed: {error}; asked {request.ToJsonString()}")
            : answer;
    }

    private JsonNode Ask(JsonObject request)
    {
        _process.StandardInput.WriteLine(request.ToJsonString());
        _process.StandardInput.Flush();
        return JsonNode.Parse(
            _process.StandardOutput.ReadLine()
            ?? throw new InvalidOperationException($"the peers' process ended when asked {request.ToJsonString()}"))!;
    }
}
