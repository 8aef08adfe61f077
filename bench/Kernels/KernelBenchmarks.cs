using BenchmarkDotNet.Attributes;
using LocalAttention.Bench.Works;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Kernels;

/// <summary>Our kernels one by one, without the linear layers around them.</summary>
[Config(typeof(KernelConfig))]
public class KernelBenchmarks
{
    private IReadOnlyList<Tensor> _inputs = [];
    private Tensor? _cotangent;

    /// <summary>The kernels.</summary>
    public static IEnumerable<KernelCase> Cases => KernelCase.All;

    /// <summary>The kernel that is measured.</summary>
    [ParamsSource(nameof(Cases))]
    public KernelCase Kernel { get; set; } = KernelCase.All.First();

    /// <summary>Makes its inputs.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        _inputs = [.. Kernel.Inputs.Select((shape, index) => Counter.Filled($"{Kernel.Name}/{index}", shape))];
        if (!Kernel.Training)
        {
            return;
        }
        foreach (var input in _inputs)
        {
            input.requires_grad = true;
        }
        using var output = Kernel.Forward(_inputs);
        _cotangent = Counter.Filled($"{Kernel.Name}/cotangent", output.shape);
    }

    /// <summary>Runs it once, and its backward pass in training.</summary>
    [Benchmark]
    public void Run()
    {
        if (_cotangent is null)
        {
            using var withoutGradient = no_grad();
            Kernel.Forward(_inputs).Dispose();
            return;
        }
        foreach (var input in _inputs)
        {
            input.grad = null;
        }
        using var output = Kernel.Forward(_inputs);
        output.backward([_cotangent]);
    }

    /// <summary>Frees the inputs.</summary>
    [GlobalCleanup]
    public void Free()
    {
        foreach (var input in _inputs)
        {
            input.Dispose();
        }
        _cotangent?.Dispose();
        _cotangent = null;
    }
}
