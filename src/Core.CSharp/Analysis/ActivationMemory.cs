using LocalAttention.Core.Kernels;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Analysis;

/// <summary>
/// The most memory that a model needs at once beside its parameters and images, in bytes, predicted from the value: the
/// layers' allocations are played one by one, with what lives until a scope ends and what the graph keeps.
/// </summary>
/// <remarks>
/// <para>
/// Counted are tensors, as libtorch's allocator sees them. Not counted: what kernels and libraries keep for themselves
/// (buffers of each thread, reordered weights), the managed heap, what the C library holds in reserve; on two cores some
/// ten megabytes. Tensors smaller than a token of each place (tables, masks, statistics of parameters) are left out where
/// they do not matter.
/// </para>
/// <para>
/// Measured peaks of tensors lie within 15% of both numbers: <c>tests/Core.Tests/Analysis</c> holds that on small models;
/// <c>eng/memory.fsx</c> found at most 8% on the smallest model of each family, of 1 and of 4 images, on both backends.
/// Where maps have a few tokens, the library's own order of weights outweighs them, and the numbers say too little.
/// </para>
/// </remarks>
/// <param name="Inference">A forward pass without gradients, in a dispose scope.</param>
/// <param name="Training">
/// Forward, cross entropy and backward, in a dispose scope, with the gradients of all parameters, which are none before.
/// The optimiser's state is not in it.
/// </param>
public sealed record ActivationMemory(long Inference, long Training)
{
    /// <summary>The peaks of a model of an architecture.</summary>
    /// <param name="architecture">Any architecture that builds.</param>
    /// <param name="batch">Images at once.</param>
    /// <param name="dtype">Element type of parameters and images; none: float32.</param>
    /// <param name="backend">
    /// Whether the fused kernels compute; <see cref="Backend.Auto"/> is taken for them, as it takes them on the CPU. With
    /// bfloat16 they have no gradients, so training is that of the composite.
    /// </param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="ArgumentException">There are no images, or no floating-point elements.</exception>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take that size.</exception>
    public static ActivationMemory Of(
        Architecture architecture,
        int batch = 1,
        ScalarType? dtype = null,
        Backend backend = Backend.FusedCpu,
        ImageSize? image = null)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        Validation.EnsureValid(architecture);
        if (batch < 1)
        {
            throw new ArgumentException($"a batch of {batch} images; use at least 1", nameof(batch));
        }
        var type = dtype ?? ScalarType.Float32;
        var elementSize = type switch
        {
            ScalarType.Float64 => 8,
            ScalarType.Float32 => 4,
            ScalarType.BFloat16 or ScalarType.Float16 => 2,
            _ => throw new ArgumentException($"models have no elements of {type}; use float32, float64 or bfloat16", nameof(dtype)),
        };
        var size = image ?? architecture.Resolution;
        var mistakes = Validation.CheckSize(architecture, size);
        if (mistakes.Count > 0)
        {
            throw new SpecificationException($"'{architecture.Name}' on images of {size}", mistakes);
        }
        var fuses = backend != Backend.Composite && type != ScalarType.Float16;
        return new(
            Peak(training: false, fuses),
            Peak(training: true, fuses && type != ScalarType.BFloat16));

        long Peak(bool training, bool fused)
        {
            var tape = new MemoryTape(training, elementSize);
            var model = new MemoryModel(architecture, new MemoryLayers(tape, fused), batch);
            var logits = model.Forward(size);
            if (training)
            {
                tape.Backward(logits);
            }
            return tape.Peak;
        }
    }
}
