using System.Globalization;
using LocalAttention.Bench.Works;
using LocalAttention.Core.Backbones;
using LocalAttention.Core.Kernels;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>Whole models on a CUDA device: by kernels as by operators, and recorded as CUDA graphs as they are.</summary>
internal static class ModelCheck
{
    // Relative to the largest logit: float32 rounds to 6e-8, and some hundred roundings of sums follow one another.
    private const double Tolerance = 1e-4;

    // The same kernels in the same order; only the library's products may be others while a graph is recorded.
    private const double ToleranceOfGraphs = 1e-5;

    private static readonly Architecture[] Architectures = [SlideSwin.Tiny, QnAViT.Tiny, Swin.Tiny];

    /// <summary>Checks them, and prints a line for each comparison.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(Device device)
    {
        var failures = 0;
        void Report(string model, string what, Tensor found, Tensor wanted, double tolerance)
        {
            var error = (found - wanted).abs().max().item<float>() / wanted.abs().max().item<float>();
            var agrees = error <= tolerance;
            failures += agrees ? 0 : 1;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{model,-18} {what,-42} {error:0.0e0} of {tolerance:0e0}{(agrees ? "" : "   FAILED")}"));
        }
        foreach (var architecture in Architectures)
        {
            using var scope = NewDisposeScope();
            using var withoutGradient = no_grad();
            var model = architecture.Build();
            ParameterFilling.Fill(model);
            model.to(device).eval();
            var images = Counter.Filled("input", [2, 3, architecture.Resolution.Height, architecture.Resolution.Width]).to(device);
            Tensor By(Backend backend)
            {
                using var chosen = Backends.Use(backend);
                return model.call(images);
            }
            var fused = By(Backend.FusedCuda);
            Report(architecture.Name, "kernels against operators", fused, By(Backend.Composite), Tolerance);

            using var compiled = model.compile();
            if (compiled.Obstacle(images) is { } obstacle)
            {
                failures++;
                Console.WriteLine($"{architecture.Name,-18} CUDA graphs   FAILED: {obstacle}");
                continue;
            }
            Report(architecture.Name, "recorded", compiled.call(images), model.call(images), ToleranceOfGraphs);
            var darker = images * 0.5;
            Report(architecture.Name, "recorded, another input", compiled.call(darker), model.call(darker), ToleranceOfGraphs);
            foreach (var parameter in model.parameters())
            {
                parameter.mul_(0.75);
            }
            Report(
                architecture.Name, "recorded, parameters changed", compiled.call(images), model.call(images), ToleranceOfGraphs);
        }
        return failures == 0 ? ExitCode.Success : ExitCode.Failure;
    }
}
