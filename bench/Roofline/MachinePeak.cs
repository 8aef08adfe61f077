using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Roofline;

/// <summary>What the machine reaches, measured in the run whose times it is held against.</summary>
/// <param name="OperationsPerSecond">float32 operations of a large matrix product.</param>
/// <param name="BytesPerSecond">Bytes read and written by a copy that no cache holds.</param>
public sealed record MachinePeak(double OperationsPerSecond, double BytesPerSecond)
{
    private const long Side = 2048;
    private const long CopiedNumbers = 64 << 20;

    /// <summary>Measures both; the best of some repetitions, as these are bounds.</summary>
    /// <param name="repetitions">How many of each.</param>
    public static MachinePeak Measure(int repetitions)
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        return new MachinePeak(
            2.0 * Side * Side * Side / Best(repetitions, MatrixProducts()),
            2.0 * CopiedNumbers * sizeof(float) / Best(repetitions, Copy()));
    }

    /// <summary>A square product by both routes of the library: its product, and a 1×1 convolution over channels-last.</summary>
    private static Action[] MatrixProducts()
    {
        var (left, right) = (rand(Side, Side), rand(Side, Side));
        var map = left.view(1, 1, Side, Side).permute(0, 3, 1, 2);
        var kernel = right.view(Side, Side, 1, 1);
        return
        [
            () => mm(left, right).Dispose(),
            () => nn.functional.conv2d(map, kernel).Dispose(),
        ];
    }

    private static Action[] Copy()
    {
        var (source, target) = (ones(CopiedNumbers), zeros(CopiedNumbers));
        return [() => target.copy_(source)];
    }

    private static double Best(int repetitions, Action[] routes)
    {
        var best = double.PositiveInfinity;
        for (var repetition = 0; repetition <= repetitions; repetition++)
        {
            foreach (var route in routes)
            {
                var begin = Stopwatch.GetTimestamp();
                route();
                best = Math.Min(best, Stopwatch.GetElapsedTime(begin).TotalSeconds);
            }
        }
        return best;
    }
}
