using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Running;

/// <summary>
/// By how much resident memory grows at most while a work runs once, as the kernel counts it: the high-water mark, reset
/// just before, less the resident memory then. Each measurement has a process of its own, for ours as for the peers.
/// </summary>
public static partial class PeakMemory
{
    /// <summary>The command line's word for the child process.</summary>
    public const string Option = "--memory-of";

    /// <summary>Ours, in a fresh process.</summary>
    /// <param name="work">The work's name in the catalogue.</param>
    public static long OfOurs(string work)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }
        start.ArgumentList.Add(Option);
        start.ArgumentList.Add(work);
        using var process = Process.Start(start)!;
        var answer = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? long.Parse(answer, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"the process that measures the memory of {work} failed");
    }

    /// <summary>A rival's, in a fresh process.</summary>
    public static long OfRival(Rival rival, bool training)
    {
        ArgumentNullException.ThrowIfNull(rival);
        using var process = new PeerProcess(rival.IsTuned);
        return process.PeakGrowth(rival.Subject, training);
    }

    /// <summary>In this process, which has done nothing else.</summary>
    /// <remarks>
    /// The same work on a small map runs first, so that libraries have loaded what they load once and methods are compiled;
    /// freed memory goes back to the system, so that what the work takes is seen.
    /// </remarks>
    public static long Here(Work work)
    {
        ArgumentNullException.ThrowIfNull(work);
        using (var small = new OurRun(work.Subject, work.Training, work.Subject.SmallShape))
        {
            small.Run();
        }
        using var run = new OurRun(work.Subject, work.Training);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        _ = Trim(0);
        var before = Resident("VmRSS");
        File.WriteAllText("/proc/self/clear_refs", "5");
        run.Run();
        return Resident("VmHWM") - before;
    }

    /// <summary>A line of the process's status, in bytes.</summary>
    private static long Resident(string field)
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(field + ":", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint pad);
}
