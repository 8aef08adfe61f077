using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Begin">Where its bytes begin, counted from the end of the header.</param>
/// <param name="End">Where they end.</param>
public sealed record SafetensorsEntry(
    string Name, torch.ScalarType Type, IReadOnlyList<long> Shape, long Begin, long End) : WeightsEntry(Name, Type, Shape)
{
    /// <summary>The number of bytes.</summary>
    public long Length => End - Begin;
}
