using LocalAttention.Bench.Works;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>The output of an attention and its gradients, in main memory.</summary>
/// <param name="Results">By name: <c>output</c>, or the input whose gradient it is.</param>
internal sealed record Evaluation(IReadOnlyList<(string Name, Tensor Values)> Results)
{
    private double LargestOfAll => Results.Max(result => LargestOf(result.Values));

    /// <summary>Runs a case forward and backward, on its inputs rounded to its element type.</summary>
    /// <param name="problem">The case.</param>
    /// <param name="attend">Its attention, by whatever computes it.</param>
    /// <param name="type">The element type that it is computed in.</param>
    /// <param name="device">Where it is computed.</param>
    public static Evaluation Of(KernelCase problem, Func<IReadOnlyList<Tensor>, Tensor> attend, ScalarType type, Device device)
    {
        using var gradient = enable_grad();
        Tensor Placed(Tensor values) => values.to(problem.Element).to(type).to(device).detach();
        var inputs = problem.Inputs();
        var leaves = inputs.Select(input => Placed(input.Values).clone().requires_grad_(input.Differentiable)).ToList();
        var output = attend(leaves);
        output.backward([Placed(Counter.Filled("slope", output.shape))]);
        List<(string, Tensor)> results = [("output", Gathered(output))];
        results.AddRange(inputs.Zip(leaves)
            .Where(pair => pair.First.Differentiable)
            .Select(pair => (pair.First.Name, Gathered(pair.Second.grad!))));
        return new Evaluation(results);
    }

    /// <summary>The largest error of all results, over what it may be, and whose it is.</summary>
    /// <param name="exact">The same in float64.</param>
    /// <param name="problem">The case, which says what an error may be.</param>
    public (double Share, string Name) Against(Evaluation exact, KernelCase problem)
    {
        var all = exact.LargestOfAll;
        return exact.Results.Zip(Results)
            .Select(pair =>
            {
                var (name, wanted) = pair.First;
                var error = LargestOf(wanted - pair.Second.Values) / problem.ScaleOf(name, LargestOf(wanted), all);
                // What is not a number is infinitely wrong.
                return (Share: double.IsNaN(error) ? double.PositiveInfinity : error / problem.ToleranceOf(name), Name: name);
            })
            .MaxBy(found => found.Share);
    }

    /// <summary>Whether all numbers are the same, to the last bit.</summary>
    public bool HasBitsOf(Evaluation other) =>
        Results.Zip(other.Results).All(pair => pair.First.Values.eq(pair.Second.Values).all().item<bool>());

    private static Tensor Gathered(Tensor values) => values.detach().to(CPU).to(ScalarType.Float64);

    private static double LargestOf(Tensor values) => values.NumberOfElements == 0 ? 0 : values.abs().max().item<double>();
}
