using System.Diagnostics;
using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Running;
using LocalAttention.Core.Kernels;
using TorchSharp;

namespace LocalAttention.Bench.Reports;

/// <summary>Where and on what the measurements were made.</summary>
/// <param name="Processor">The processor's name.</param>
/// <param name="Cores">Cores that the process may use.</param>
/// <param name="Date">When, in UTC.</param>
/// <param name="Commit">The commit, with <c>+</c> where files differ from it.</param>
/// <param name="Backend">What computes ours.</param>
/// <param name="PeerVersion">The peers' PyTorch.</param>
/// <param name="PeerThreads">Threads that it takes by itself.</param>
/// <param name="TunedThreads">Threads of the tuned peers.</param>
/// <param name="Tuning">What is set for the tuned peers.</param>
/// <param name="PeakGflops">A large matrix product.</param>
/// <param name="PeakGigabytesPerSecond">A large copy.</param>
public sealed record Machine(
    string Processor,
    int Cores,
    DateTime Date,
    string Commit,
    string Backend,
    string PeerVersion,
    int PeerThreads,
    int TunedThreads,
    IReadOnlyList<string> Tuning,
    double PeakGflops,
    double PeakGigabytesPerSecond)
{
    /// <summary>This machine, now.</summary>
    public static Machine Here(PeerProcesses peers, MachinePeak peak)
    {
        ArgumentNullException.ThrowIfNull(peers);
        ArgumentNullException.ThrowIfNull(peak);
        var (version, threads) = peers[Works.Place.PyTorch].Library();
        return new Machine(
            ProcessorName(),
            Environment.ProcessorCount,
            DateTime.UtcNow,
            CurrentCommit(),
            Backends.Describe(DeviceType.CPU, torch.ScalarType.Float32),
            version,
            threads,
            peers[Works.Place.TunedPyTorch].Library().Threads,
            [.. PeerProcess.TunedSettings.Select(setting => $"{setting.Name}={setting.Value}")],
            peak.OperationsPerSecond / 1e9,
            peak.BytesPerSecond / 1e9);
    }

    private static string ProcessorName()
    {
        const string Field = "model name";
        var line = File.Exists("/proc/cpuinfo")
            ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal))
            : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? "unknown processor";
    }

    private static string CurrentCommit()
    {
        var commit = Git("rev-parse", "--short", "HEAD");
        var changed = Git("status", "--porcelain", "--untracked-files=no");
        return commit.Length == 0 ? "unknown" : commit + (changed.Length > 0 ? "+" : "");
    }

    private static string Git(params string[] arguments)
    {
        try
        {
            using var git = Process.Start(
                new ProcessStartInfo("git", ["-C", Location.Root, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var output = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return git.ExitCode == 0 ? output : "";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return ""; // an archive without git is measured as well
        }
    }
}
