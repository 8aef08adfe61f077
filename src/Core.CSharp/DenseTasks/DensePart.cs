using LocalAttention.Core.Analysis;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.DenseTasks;

/// <summary>What is known of one layer of a dense task's neck or head without a tensor.</summary>
/// <param name="Place">Where it stands: <c>lateral 2</c>, <c>output 3</c>, <c>head 4, convolution 1</c>, <c>classes</c>.</param>
/// <param name="Input">The map that enters.</param>
/// <param name="Output">The map that leaves.</param>
/// <param name="Parameters">Its parameters, the norm's included.</param>
/// <param name="Cost">Multiply-accumulates of one image.</param>
public sealed record DensePart(
    string Place, MapShape Input, MapShape Output, ParameterCount Parameters, MultiplyAccumulates Cost)
{
    /// <summary>A convolution that keeps the map's size, with a bias, or with a batch norm in its place.</summary>
    internal static DensePart Convolution(string place, MapShape input, long kernel, int channels, bool norm)
    {
        var weights = kernel * kernel * input.Channels * channels;
        var count = weights + ((norm ? 2L : 1L) * channels);
        return new DensePart(
            place, input, input with { Channels = channels }, new ParameterCount(count, count),
            new MultiplyAccumulates(0, 0, weights * input.Tokens, 0));
    }
}
