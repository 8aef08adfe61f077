using LocalAttention.Core.Layers;
using static TorchSharp.torch;

namespace LocalAttention.Core.Export;

/// <summary>A map divided into windows, for one size of it: padding, cyclic shift, division, mask, and back.</summary>
/// <param name="Partition">The windows.</param>
/// <param name="Height">Rows of the map.</param>
/// <param name="Width">Columns of the map.</param>
internal sealed record WindowsOfMap(WindowPartition Partition, int Height, int Width)
{
    private int Down => (int)TokenPadding.Missing(Height, Partition.Height);

    private int Right => (int)TokenPadding.Missing(Width, Partition.Width);

    private int Rows => (Height + Down) / Partition.Height;

    private int Columns => (Width + Right) / Partition.Width;

    private int Tokens => Partition.Height * Partition.Width;

    /// <summary>From <c>[B, H, W, C]</c> to <c>[B·windows, L, C]</c>, zeros where the map is padded.</summary>
    public OnnxValue Divide(OnnxGraph graph, OnnxValue map)
    {
        var padded = graph.Pad(map, 1, 0, 0, Down, Right);
        var shifted = Roll(graph, Roll(graph, padded, 1, Partition.ShiftDown), 2, Partition.ShiftRight);
        var cut = graph.Reshape(
            shifted, OnnxValue.FromBatch, Rows, Partition.Height, Columns, Partition.Width, map.Width);
        return graph.Reshape(graph.Transpose(cut, 0, 1, 3, 2, 4, 5), OnnxValue.FromBatch, Tokens, map.Width);
    }

    /// <summary>The inverse of <see cref="Divide"/>, what was padded cut off.</summary>
    public OnnxValue Join(OnnxGraph graph, OnnxValue windows)
    {
        var cut = graph.Reshape(
            windows, OnnxValue.FromBatch, Rows, Columns, Partition.Height, Partition.Width, windows.Width);
        var shifted = graph.Reshape(
            graph.Transpose(cut, 0, 1, 3, 2, 4, 5), OnnxValue.FromBatch, Height + Down, Width + Right, windows.Width);
        return Back(graph, Back(graph, shifted, 1, Height, Partition.ShiftDown), 2, Width, Partition.ShiftRight);
    }

    /// <summary>What adds a bias for each head and pair of tokens, and the mask, to logits <c>[B·windows, h, L, L]</c>; none where there is neither.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="bias"><c>[h, L, L]</c>, or none.</param>
    public Func<OnnxValue, OnnxValue>? Bias(OnnxGraph graph, OnnxValue? bias)
    {
        if (Mask(graph) is not { } mask)
        {
            return bias is null ? null : logits => graph.Add(logits, bias);
        }
        // Both are constants, so that a runtime adds them up once.
        var both = bias is null ? mask : graph.Add(mask, bias);
        return logits =>
        {
            var perImage = graph.Reshape(logits, [OnnxValue.FromBatch, Rows * Columns, .. logits.Shape.Skip(1)]);
            return graph.Reshape(graph.Add(perImage, both), [.. logits.Shape]);
        };
    }

    /// <summary>0 or −∞, <c>[windows, 1, L, L]</c>, or none.</summary>
    private OnnxValue? Mask(OnnxGraph graph)
    {
        using var scope = NewDisposeScope();
        using var like = zeros(1, dtype: ScalarType.Float32);
        var mask = Partition.Mask(Height + Down, Width + Right, Height, Width, like);
        return mask is null
            ? null
            : graph.Constant("mask", [Rows * Columns, 1, Tokens, Tokens], mask.contiguous().data<float>().ToArray());
    }

    private static OnnxValue Roll(OnnxGraph graph, OnnxValue map, int axis, int shift) => shift == 0
        ? map
        : graph.Gather(map, axis, Places(map.Shape[axis], map.Shape[axis], shift));

    private static OnnxValue Back(OnnxGraph graph, OnnxValue map, int axis, int length, int shift)
    {
        if (shift == 0)
        {
            return length == map.Shape[axis] ? map : graph.Slice(map, axis, 0, length);
        }
        return graph.Gather(map, axis, Places(length, map.Shape[axis], -shift));
    }

    private static long[] Places(long count, long length, int shift)
    {
        var places = new long[count];
        for (long place = 0; place < count; place++)
        {
            places[place] = (place + shift + length) % length;
        }
        return places;
    }
}
