using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>Linear spatial-reduction attention as nodes; what <see cref="PooledLayer"/> computes.</summary>
internal static class PooledNodes
{
    /// <summary><c>[B, H, W, C]</c> to the same shape.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, PooledAttention attention, OnnxValue map, Conventions conventions)
    {
        var (height, width, pool) = (map.Shape[1], map.Shape[2], attention.Pool);
        // Cells are rectangles, so that their means are a product from each side.
        var rows = graph.Constant("rows of cells", [pool, height], Means(pool, height));
        var columns = graph.Transpose(graph.Constant("columns of cells", [pool, width], Means(pool, width)), 1, 0);
        var cells = graph.MatrixProduct(rows, graph.MatrixProduct(graph.ChannelsFirst(map), columns));
        var projected = graph.ChannelsLast(graph.At("sr").Convolution(part["sr"], cells));
        var normalised = graph.At("norm").Norm(part["norm"], projected, conventions.EpsilonAroundBlocks);
        return graph.AttendTo(part, attention.Heads, map, graph.Activate(normalised, Activation.Gelu));
    }

    /// <summary>Cell <c>i</c> of <c>P</c> is the mean of places <c>⌊i·n/P⌋</c> to before <c>⌈(i+1)·n/P⌉</c>: <c>[P, n]</c>.</summary>
    private static float[] Means(int pool, long length)
    {
        var means = new float[pool * length];
        for (var cell = 0; cell < pool; cell++)
        {
            var (begin, end) = (cell * length / pool, (((cell + 1) * length) + pool - 1) / pool);
            for (var place = begin; place < end; place++)
            {
                means[(cell * length) + place] = 1f / (end - begin);
            }
        }
        return means;
    }
}
