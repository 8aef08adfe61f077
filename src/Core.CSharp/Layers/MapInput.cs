using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>What a layer asks of the map of tokens that it is given.</summary>
internal static class MapInput
{
    /// <summary>The sizes of a map <c>[B, H, W, C]</c>, after checking that a layer can take it.</summary>
    /// <param name="map">The map.</param>
    /// <param name="channels">The channels that the layer was built for.</param>
    /// <param name="weight">A parameter of the layer: its element type and device are the map's.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">Rank, channels, element type or device differ.</exception>
    public static (long Batch, long Height, long Width) Require(Tensor map, long channels, Tensor weight, string place)
    {
        ArgumentNullException.ThrowIfNull(map);
        if (map.ndim != 4)
        {
            throw new ArgumentException(
                $"{place}: the map has {map.ndim} dimensions {Shape(map)}; give it 4: [batch, height, width, channels]", nameof(map));
        }
        if (map.size(3) != channels)
        {
            throw new ArgumentException(
                $"{place}: the map {Shape(map)} has {map.size(3)} channels; the layer takes {channels}, in the last dimension",
                nameof(map));
        }
        RequireKind(map, weight, place, "map");
        return (map.size(0), map.size(1), map.size(2));
    }

    /// <summary>Checks that a tensor has the element type and the device of a model's parameters.</summary>
    /// <exception cref="ArgumentException">One of them differs.</exception>
    public static void RequireKind(Tensor tensor, Tensor weight, string place, string what)
    {
        if (tensor.dtype != weight.dtype)
        {
            throw new ArgumentException(
                $"{place}: the {what} holds {tensor.dtype} and the parameters {weight.dtype}; convert one with to(ScalarType.…)");
        }
        if (tensor.device_type != weight.device_type)
        {
            throw new ArgumentException(
                $"{place}: the {what} is on {tensor.device} and the parameters are on {weight.device}; move one with to(…)");
        }
    }

    /// <summary>Checks that heads divide channels.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public static void RequireHeads(int heads, int channels, string place)
    {
        if (heads < 1 || channels < 1 || channels % heads != 0)
        {
            throw new ArgumentException($"{place}: {heads} heads do not divide {channels} channels; use a divisor of them");
        }
    }

    /// <summary><c>[2, 7, 7, 48]</c>.</summary>
    public static string Shape(Tensor tensor) => $"[{string.Join(", ", tensor.shape)}]";
}
