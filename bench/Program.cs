// Measures ours and the peers: see Options.Usage, or ./bench.sh --help.
using System.Diagnostics;
using System.Globalization;
using BenchmarkDotNet.Running;
using LocalAttention.Bench;
using LocalAttention.Bench.Kernels;
using LocalAttention.Bench.Reports;
using LocalAttention.Bench.Roofline;
using LocalAttention.Bench.Running;
using LocalAttention.Bench.Works;

switch (args)
{
    case ["--help" or "-h"]:
        Console.WriteLine(Options.Usage);
        return 0;
    case ["--list"]:
        Console.WriteLine(string.Join('\n', Catalogue.All.Select(work => work.Name)));
        return 0;
    case [PeakMemory.Option, var name]:
        Console.WriteLine(PeakMemory.Here(Catalogue.All.Single(work => work.Name == name)).ToString(CultureInfo.InvariantCulture));
        return 0;
}

Options options;
try
{
    options = Options.Parse(args);
}
catch (ArgumentException mistake)
{
    Console.Error.WriteLine($"bench: {mistake.Message}");
    return 2;
}

if (options.Kernels)
{
    var summary = BenchmarkRunner.Run<KernelBenchmarks>();
    return summary.Reports.All(report => report.Success) ? 0 : 1;
}

using var peers = new PeerProcesses();
var peak = MachinePeak.Measure(repetitions: options.Quick ? 5 : 20);
var machine = Machine.Here(peers, peak);
var rows = new List<Row>();
foreach (var work in options.Works)
{
    var begin = Stopwatch.GetTimestamp();
    Console.Error.Write($"measuring {work.Name}");
    rows.AddRange(Measurement.Of(work, peers, peak, options.Quick));
    Console.Error.WriteLine($": {Stopwatch.GetElapsedTime(begin).TotalSeconds:0.0} s");
}
var results = new Results(machine, rows);
Table.Write(options.Json ? Console.Error : Console.Out, results);
if (options.Json)
{
    Console.WriteLine(results.ToBriefJson());
}
Console.Error.WriteLine($"written to {Path.GetRelativePath(Environment.CurrentDirectory, results.Write())}");
return rows.All(row => row.Agrees) ? 0 : 1;
