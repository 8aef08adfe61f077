using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Works;
using LocalAttention.Core.Kernels;
using LocalAttention.Gpu.Check;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Bench;

/// <summary>The command <c>bench</c>.</summary>
internal static class Benchmark
{
    // The peaks of passes are in bytes of float32.
    private const double BytesOfPasses = sizeof(float);

    /// <summary>Measures what is asked.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(BenchOptions options)
    {
        if (!options.Rehearsal && Checking.Device0(out var obstacle) is null)
        {
            Console.Error.WriteLine($"bench: no CUDA device: {obstacle}");
            return ExitCode.NoDevice;
        }
        var device = options.Rehearsal ? CPU : CUDA;
        using var peers = new PeerServer(options);
        var library = peers.Describe();
        var (bytes, operations) = peers.Peaks();
        var report = new Report(
            DateTime.UtcNow, (string)library["device"]!, Backends.Describe(device.type, options.Works()[0].Element), library,
            bytes / 1e9, operations / 1e12, options.Rehearsal);
        report.WriteHead(Console.Out);
        var turns = new Turns(peers, options.Rehearsal ? new WallClock() : new DeviceClock(), device, options.Quick);
        foreach (var work in options.Works())
        {
            Console.Error.WriteLine($"measuring {work.Name}");
            var found = turns.Of(work, ToleranceOf(work.Element));
            var size = work.Element == ScalarType.Float32 ? sizeof(float) : sizeof(ushort);
            var floor = WorkFloor.Of(
                new Work(work.Name, work.Subject, work.Training, []),
                new MachinePeak(operations, bytes * BytesOfPasses / size));
            report.Add(found, 1000 * floor.Seconds);
        }
        report.WriteTable(Console.Out);
        if (options.Results is not null)
        {
            Console.WriteLine($"written to {report.WriteJson(options.Results)}");
        }
        return report.Agrees ? ExitCode.Success : ExitCode.Failure;
    }

    // Products with fixed random directions gather a share of the error of each element, relative to the norm: some ten
    // roundings of each element that lie between input and output, of either side, are independent. A wrong offset, head or
    // channel changes the number by its whole size.
    private static double ToleranceOf(ScalarType element) => element switch
    {
        ScalarType.Float32 => 2e-5,
        ScalarType.Float16 => 10 * Math.ScaleB(1, -11),
        _ => 10 * Math.ScaleB(1, -8),
    };
}
