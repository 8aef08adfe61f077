using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>A layer that can say how much each of its tokens is attended to.</summary>
internal interface IReceivedAttention
{
    /// <summary>
    /// What every token of a map receives: the sum of the weights that all queries give it, averaged over heads. Computed by
    /// the composite's operators, whatever backend is in use.
    /// </summary>
    /// <param name="map">The layer's input, <c>[B, H, W, C]</c>.</param>
    /// <returns>Numbers of 0 or more, <c>[B, H, W]</c>.</returns>
    Tensor Received(Tensor map);
}
