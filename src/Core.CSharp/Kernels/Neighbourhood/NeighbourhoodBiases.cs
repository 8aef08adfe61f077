using System.Numerics;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// The biases as the scores start with them, a lane for each stretch: <c>[groups, 2k − 1, k, Segment, lanes]</c>, by the
/// vertical offset, the place of the key in the extended window, and the query's place in its lane.
/// </summary>
internal static unsafe class NeighbourhoodBiases
{
    /// <summary>Lays one group's biases out.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="group">Which group.</param>
    /// <param name="table">The biases by offset, <c>[h, 2k − 1, 2k − 1]</c>.</param>
    /// <param name="target"><c>[2k − 1, k, Segment, lanes]</c>.</param>
    public static void LayOut<T>(in NeighbourhoodShape shape, int group, T* table, T* target)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        new Span<T>(target, shape.BiasSize).Clear();
        var size = shape.Offsets * shape.Offsets;
        for (var index = 0; index < shape.SequencesOf(group); index++)
        {
            var (head, residue) = shape.Sequence((group * shape.SequencesPerGroup) + index);
            var length = shape.LengthOf(shape.Width, residue);
            for (var query = 0; query < length; query++)
            {
                for (var j = 0; j < shape.Window; j++)
                {
                    var biases = table + ((long)head * size) + OffsetOf(shape, query, j, length);
                    var to = target + PlaceOf(shape, index, query, j);
                    for (var row = 0; row < shape.Offsets; row++)
                    {
                        to[(long)row * shape.Window * shape.Segment * shape.Lanes] = biases[row * shape.Offsets];
                    }
                }
            }
        }
    }

    /// <summary>Adds slopes of a group's biases up by offset, for each sequence apart: the transpose of <see cref="LayOut"/>.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="group">Which group.</param>
    /// <param name="slopes"><c>[2k − 1, k, Segment, lanes]</c>.</param>
    /// <param name="sums"><c>[sequences of a group, 2k − 1, 2k − 1]</c>.</param>
    public static void AddUp<T>(in NeighbourhoodShape shape, int group, T* slopes, T* sums)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var size = shape.Offsets * shape.Offsets;
        new Span<T>(sums, shape.SequencesPerGroup * size).Clear();
        for (var index = 0; index < shape.SequencesOf(group); index++)
        {
            var (_, residue) = shape.Sequence((group * shape.SequencesPerGroup) + index);
            var length = shape.LengthOf(shape.Width, residue);
            for (var query = 0; query < length; query++)
            {
                for (var j = 0; j < shape.Window; j++)
                {
                    var to = sums + ((long)index * size) + OffsetOf(shape, query, j, length);
                    var from = slopes + PlaceOf(shape, index, query, j);
                    for (var row = 0; row < shape.Offsets; row++)
                    {
                        to[row * shape.Offsets] += from[(long)row * shape.Window * shape.Segment * shape.Lanes];
                    }
                }
            }
        }
    }

    /// <summary>The horizontal offset of the key at a place of a query's extended window, from 0 to <c>2k − 2</c>.</summary>
    private static int OffsetOf(in NeighbourhoodShape shape, int query, int j, int length) =>
        shape.Resolve(query + j, length) - query + shape.Window - 1;

    private static long PlaceOf(in NeighbourhoodShape shape, int index, int query, int j)
    {
        var (stretch, place) = Math.DivRem(query, shape.Segment);
        return ((((long)j * shape.Segment) + place) * shape.Lanes) + (index * shape.Stretches) + stretch;
    }
}
