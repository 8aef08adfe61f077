using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>One tensor of a file of weights.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
public record WeightsEntry(string Name, torch.ScalarType Type, IReadOnlyList<long> Shape)
{
    /// <summary>The number of elements.</summary>
    public long Elements => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>The dimensions as torch takes them.</summary>
    internal long[] Dimensions => [.. Shape];
}
