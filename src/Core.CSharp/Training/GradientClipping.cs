using LocalAttention.Core.Specification;
using TorchSharp;
using TorchSharp.Modules;

namespace LocalAttention.Core.Training;

/// <summary>
/// Scales all gradients down together where their common L2 norm is above a limit (arXiv 1211.5063, section 3.2).
/// </summary>
internal static class GradientClipping
{
    // PyTorch adds this to the norm before it divides by it, optax does not: a trajectory shows the difference.
    private const double PyTorchEpsilon = 1e-6;

    /// <returns>The norm before clipping; if it is not finite, the gradients are as they were.</returns>
    /// <param name="parameters">The parameters whose gradients are clipped.</param>
    /// <param name="limit">The largest norm; none: the norm is only measured.</param>
    /// <param name="naming">Whose recipe it is.</param>
    public static double Apply(IEnumerable<Parameter> parameters, double? limit, ParameterNaming naming)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        var gradients = parameters.Select(parameter => parameter.grad).OfType<torch.Tensor>().ToList();
        var norms = gradients.ConvertAll(gradient => gradient.norm());
        var norm = torch.stack(norms).norm().to(torch.ScalarType.Float64).item<double>();
        if (limit is not { } largest || !double.IsFinite(norm))
            return norm;
        var factor = largest / (naming == ParameterNaming.Flax ? norm : norm + PyTorchEpsilon);
        if (factor < 1)
        {
            foreach (var gradient in gradients)
                gradient.mul_(factor);
        }
        return norm;
    }
}
