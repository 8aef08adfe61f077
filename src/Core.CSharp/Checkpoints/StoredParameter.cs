using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>How a parameter's axes stand in a file, seen from the model.</summary>
public enum ParameterLayout
{
    /// <summary>As in the model.</summary>
    Same,

    /// <summary>A linear layer's kernel: <c>[in, out]</c> in the file, <c>[out, in]</c> in the model.</summary>
    InputFirst,

    /// <summary>A convolution: <c>[height, width, in, out]</c> in the file, <c>[out, in, height, width]</c> in the model.</summary>
    ChannelsLast,
}

/// <summary>A parameter's name and layout in a file.</summary>
/// <param name="Name">The name.</param>
/// <param name="Layout">The layout.</param>
public readonly record struct StoredParameter(string Name, ParameterLayout Layout)
{
    /// <summary>The shape in the file of a parameter that has the given shape in the model.</summary>
    public long[] ShapeOf(ReadOnlySpan<long> shape) => Layout switch
    {
        ParameterLayout.InputFirst => [shape[1], shape[0]],
        ParameterLayout.ChannelsLast => [shape[2], shape[3], shape[1], shape[0]],
        _ => shape.ToArray(),
    };

    /// <summary>The axes of the model in the file's order; none where both are the same.</summary>
    internal long[]? AxesToFile => Layout switch
    {
        ParameterLayout.InputFirst => [1, 0],
        ParameterLayout.ChannelsLast => [2, 3, 1, 0],
        _ => null,
    };

    /// <summary>The axes of the file in the model's order; none where both are the same.</summary>
    internal long[]? AxesToModel => Layout switch
    {
        ParameterLayout.InputFirst => [1, 0],
        ParameterLayout.ChannelsLast => [3, 2, 0, 1],
        _ => null,
    };
}
