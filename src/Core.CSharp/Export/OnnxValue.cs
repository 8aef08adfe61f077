namespace LocalAttention.Core.Export;

/// <summary>What flows along an edge of an ONNX graph.</summary>
/// <param name="Name">Its name, which no other value of the graph has.</param>
/// <param name="Shape">
/// Its shape. Only the first dimension can follow from the batch; it is then <see cref="FromBatch"/>.
/// </param>
internal sealed record OnnxValue(string Name, IReadOnlyList<long> Shape)
{
    /// <summary>A first dimension that is known when the graph runs.</summary>
    public const long FromBatch = -1;

    /// <summary>The size of the last dimension.</summary>
    public int Width => (int)Shape[^1];
}
