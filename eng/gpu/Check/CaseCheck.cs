using System.Runtime.InteropServices;
using LocalAttention.Core.Kernels.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>What was found about a case.</summary>
/// <param name="Problem">The case.</param>
/// <param name="Ways">Ways that ran.</param>
/// <param name="Refused">Ways that the device has too little for.</param>
/// <param name="Error">The largest error of any way, over what it may be.</param>
/// <param name="Where">Whose it is.</param>
/// <param name="Composite">The composite's, in float32 on the same device.</param>
/// <param name="Repeats">Whether each way gives the same bits twice.</param>
/// <param name="Failure">What the device or the emulation says against it; none: nothing.</param>
internal sealed record CaseResult(
    KernelCase Problem, int Ways, int Refused, double Error, string Where, double Composite, bool Repeats, string? Failure)
{
    /// <summary>Whether the kernels do what they should.</summary>
    public bool IsRight => Failure is null && Ways > 0 && Repeats && Error <= 1 && Composite <= 1;
}

/// <summary>Runs cases on a device.</summary>
/// <param name="device">The device.</param>
/// <param name="place">Where its tensors are.</param>
/// <param name="everyWay">Whether each way is run, rather than the first.</param>
internal sealed class CaseCheck(ICudaDevice device, Device place, bool everyWay)
{
    private readonly SteeredDevice _device = new(device);

    /// <summary>Runs a case: in every way twice, in float64 in main memory, and as composite on the device.</summary>
    public CaseResult Of(KernelCase problem)
    {
        using var scope = NewDisposeScope();
        var exact = Evaluation.Of(problem, problem.Composite, ScalarType.Float64, CPU);
        var composite = Evaluation.Of(problem, problem.Composite, ScalarType.Float32, place).Against(exact, problem).Share;
        var result = new CaseResult(problem, 0, 0, 0, "", composite, Repeats: true, Failure: null);
        using var played = CudaDevices.Play(_device);
        _device.Forget();
        for (var way = 0; way == 0 || (everyWay && way < _device.MostWays); way++)
        {
            using var inner = NewDisposeScope();
            _device.Way = way;
            try
            {
                var found = Evaluation.Of(problem, problem.Fused, problem.Element, place);
                var again = Evaluation.Of(problem, problem.Fused, problem.Element, place);
                var (error, where) = found.Against(exact, problem);
                result = result with { Ways = result.Ways + 1, Repeats = result.Repeats && found.HasBitsOf(again) };
                if (error >= result.Error)
                {
                    result = result with { Error = error, Where = $"{where}, way {way}" };
                }
            }
            catch (CudaException refusal) when (refusal.IsRefusal)
            {
                result = result with { Refused = result.Refused + 1 };
            }
            catch (Exception error) when (error is CudaException or NotSupportedException or ExternalException)
            {
                return result with { Failure = $"way {way}: {error.Message}" };
            }
        }
        return result;
    }
}
