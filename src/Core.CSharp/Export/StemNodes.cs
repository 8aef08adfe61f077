using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Export;

/// <summary>The stem as nodes: from images <c>[B, channels, H, W]</c> to a map <c>[B, H', W', C]</c>.</summary>
internal static class StemNodes
{
    /// <summary>The first map.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, Stem stem, OnnxValue images, Conventions conventions) => stem switch
    {
        PatchStem patch => Patches(graph, part, patch, images, conventions),
        ConvolutionStem convolutions => Convolutions(graph, part, convolutions, images, conventions),
        _ => throw new InvalidOperationException($"unknown stem {stem.GetType()}"),
    };

    private static OnnxValue Patches(OnnxGraph graph, ModelPart part, PatchStem stem, OnnxValue images, Conventions conventions)
    {
        var side = stem.PatchSize;
        var padded = graph.Pad(
            images, 2, 0, 0, TokenPadding.Missing(images.Shape[2], side), TokenPadding.Missing(images.Shape[3], side));
        var tokens = graph.ChannelsLast(graph.Convolution(part["proj"], padded, stride: side));
        return stem.Norm ? graph.Norm(part["norm"], tokens, conventions.EpsilonAroundBlocks) : tokens;
    }

    private static OnnxValue Convolutions(
        OnnxGraph graph, ModelPart part, ConvolutionStem stem, OnnxValue images, Conventions conventions)
    {
        var map = images;
        for (var index = 0; index < stem.Convolutions.Count; index++)
        {
            var (at, convolution) = (graph.At($"convolution {index + 1}"), stem.Convolutions[index]);
            var isLast = index == stem.Convolutions.Count - 1;
            map = at.Convolution(
                part[$"convs.{index}"], map, convolution.Stride, convolution.Padding ?? (convolution.Kernel / 2));
            if (!stem.ActivatedBetween && !isLast)
            {
                continue;
            }
            var norm = part[$"norms.{(stem.ActivatedBetween ? index : 0)}"];
            map = at.Norm(norm, at.ChannelsLast(map), conventions.EpsilonAroundBlocks);
            map = isLast ? map : at.ChannelsFirst(at.Activate(map, conventions.Activation));
        }
        return map;
    }
}
