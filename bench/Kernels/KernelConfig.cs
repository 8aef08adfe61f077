using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Running;
using Perfolizer.Horology;

namespace LocalAttention.Bench.Kernels;

/// <summary>
/// How kernels are measured: in this process, where the library has its settings and the machine's peaks are known, and with
/// the roofline beside the times.
/// </summary>
public sealed class KernelConfig : ManualConfig
{
    /// <summary>Measures the machine's peaks.</summary>
    public KernelConfig()
    {
        var peak = MachinePeak.Measure(repetitions: 10);
        AddLogger(ConsoleLogger.Default);
        AddColumnProvider(DefaultColumnProviders.Params, DefaultColumnProviders.Statistics);
        AddColumn(
            StatisticColumn.Median,
            new RooflineColumn("GFLOP/s", "operations over the mean time", (work, seconds) => $"{work.Pass.Operations(work.Training) / seconds / 1e9:0}"),
            new RooflineColumn("GB/s", "bytes over the mean time", (work, seconds) => $"{work.Pass.Bytes(work.Training) / seconds / 1e9:0.0}"),
            new RooflineColumn(
                "Roofline",
                $"shortest time by the peaks over the mean; peaks: {peak.OperationsPerSecond / 1e9:0} GFLOP/s, {peak.BytesPerSecond / 1e9:0.0} GB/s",
                (work, seconds) => $"{work.Pass.FloorSeconds(peak, work.Training) / seconds:0%}"));
        AddJob(Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(3)
            .WithIterationCount(15)
            .WithIterationTime(TimeInterval.FromMilliseconds(250)));
        WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(30));
        WithArtifactsPath(Path.Combine(Location.Root, "artifacts", "benchmarks"));
    }
}
