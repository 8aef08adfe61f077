using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Check;

/// <summary>One attention over a projected map: what a kernel is given, and what it must make of it.</summary>
/// <param name="Element">The element type.</param>
internal abstract record KernelCase(ScalarType Element)
{
    /// <summary>Unit roundoff of float32, in which the kernels sum.</summary>
    protected static readonly double Single = Math.ScaleB(1, -24);

    /// <summary>The kernel's family: slide, qna, neighbourhood or window.</summary>
    public abstract string Kernel { get; }

    /// <summary>The sizes, in words.</summary>
    public abstract string Problem { get; }

    /// <summary>Tokens of all images: the terms of a table's gradient.</summary>
    protected abstract long Tokens { get; }

    /// <summary>The inputs, in main memory and float32, in the order of <see cref="Fused"/>'s.</summary>
    public abstract IReadOnlyList<CaseInput> Inputs();

    /// <summary>The attention by CUDA kernels.</summary>
    public abstract Tensor Fused(IReadOnlyList<Tensor> inputs);

    /// <summary>The same in the tensor library's operators, in any element type and on any device.</summary>
    public abstract Tensor Composite(IReadOnlyList<Tensor> inputs);

    /// <summary>How far a result may be from float64's, relative to what <see cref="ScaleOf"/> says.</summary>
    /// <param name="name">The result: <c>output</c>, or the input whose gradient it is.</param>
    public abstract double ToleranceOf(string name);

    /// <summary>The size that an error is relative to.</summary>
    /// <param name="name">The result.</param>
    /// <param name="largest">Its largest element.</param>
    /// <param name="largestOfAll">The largest of all results, some of which are what is left of terms that cancel.</param>
    public virtual double ScaleOf(string name, double largest, double largestOfAll) =>
        Math.Max(largest, 1e-2 * largestOfAll);

    /// <summary>Unit roundoff of the element type: half the distance from 1 to the next number.</summary>
    protected double Unit => Element switch
    {
        ScalarType.Float16 => Math.ScaleB(1, -11),
        ScalarType.BFloat16 => Math.ScaleB(1, -8),
        _ => Single,
    };

    /// <summary>
    /// What sums in float32 over so many terms may lose: a unit for each term of the sums that follow one another, and for
    /// independent terms the root of their number; 64 more for the device's own exponentials and roots.
    /// </summary>
    protected double SumsOf(double terms) => Single * (terms + Math.Sqrt(Tokens) + 64);
}

/// <summary>An input of a kernel.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Values">Its values, in main memory and float32.</param>
/// <param name="Differentiable">Whether there is a gradient by it.</param>
internal sealed record CaseInput(string Name, Tensor Values, bool Differentiable = true);
