using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>What stands between stages, as nodes.</summary>
internal static class TransitionNodes
{
    /// <summary>From <c>[B, H, W, C]</c> to <c>[B, H', W', C']</c>.</summary>
    public static OnnxValue Of(OnnxGraph graph, ModelPart part, Transition transition, OnnxValue map, Conventions conventions) =>
        transition switch
        {
            PatchMerging => Merging(graph, part, map, conventions),
            StridedConvolution convolution => Convolution(graph, part, convolution, map, conventions),
            QnADownsampling down => QnA(
                graph, part, map, conventions, Downsampled(graph.At("skip"), down, map),
                QnANodes.Of(
                    graph.At("attention"), part["attn"], down.Attention, part["norm1"],
                    Normalised(graph, part, map, conventions), stride: down.Stride)),
            QnAUpsampling up => QnA(
                graph, part, map, conventions, Repeated(graph.At("skip"), up.Factor, map),
                QnANodes.Of(
                    graph.At("attention"), part["attn"], up.Attention, part["norm1"],
                    Normalised(graph, part, map, conventions), upsampling: up.Factor)),
            _ => throw new InvalidOperationException($"unknown transition {transition.GetType()}"),
        };

    private static OnnxValue Merging(OnnxGraph graph, ModelPart part, OnnxValue map, Conventions conventions)
    {
        var padded = graph.Pad(map, 1, 0, 0, map.Shape[1] % 2, map.Shape[2] % 2);
        var (height, width, channels) = (padded.Shape[1] / 2, padded.Shape[2] / 2, padded.Shape[3]);
        var squares = graph.Transpose(
            graph.Reshape(padded, OnnxValue.FromBatch, height, 2, width, 2, channels), 0, 1, 3, 4, 2, 5);
        var joined = graph.Reshape(squares, OnnxValue.FromBatch, height, width, 4 * channels);
        return graph.Linear(part["reduction"], graph.Norm(part["norm"], joined, conventions.EpsilonAroundBlocks));
    }

    private static OnnxValue Convolution(
        OnnxGraph graph, ModelPart part, StridedConvolution convolution, OnnxValue map, Conventions conventions)
    {
        var (stride, patches) = (convolution.Stride, convolution.IsPatches);
        var whole = patches
            ? graph.Pad(map, 1, 0, 0, TokenPadding.Missing(map.Shape[1], stride), TokenPadding.Missing(map.Shape[2], stride))
            : map;
        var convolved = graph.Convolution(
            part["reduction"], graph.ChannelsFirst(whole), stride, padding: patches ? 0 : convolution.Kernel / 2);
        return graph.Norm(part["norm"], graph.ChannelsLast(convolved), conventions.EpsilonAroundBlocks);
    }

    private static OnnxValue Normalised(OnnxGraph graph, ModelPart part, OnnxValue map, Conventions conventions) =>
        graph.At("norm 1").Norm(part["norm1"], map, conventions.NormEpsilon);

    /// <summary>A QnA block: <c>skip + γ₁·attended</c>, then its MLP.</summary>
    private static OnnxValue QnA(
        OnnxGraph graph, ModelPart part, OnnxValue map, Conventions conventions, OnnxValue around, OnnxValue attended)
    {
        // A 1×1 convolution is a linear layer of every token.
        var weight = part.Parameter("skip.weight");
        var skipped = graph.At("skip").Linear(
            part.NameOf("skip"), around, map.Width, weight.size(0), () => weight.flatten(1), bias: null);
        return graph.Mixed(part, graph.Add(graph.Scaled(part, "gamma_1", attended), skipped), conventions, MlpConvolution.None);
    }

    private static OnnxValue Downsampled(OnnxGraph graph, QnADownsampling down, OnnxValue map)
    {
        if (down.Skip == SkipPath.AveragePool)
        {
            return AveragePool(graph, map, down.Attention.Window, down.Stride);
        }
        long[] Places(long length) =>
            [.. Enumerable.Range(0, (int)((length + down.Stride - 1) / down.Stride)).Select(place => (long)place * down.Stride)];

        return down.Stride == 1 ? map : graph.Gather(graph.Gather(map, 1, Places(map.Shape[1])), 2, Places(map.Shape[2]));
    }

    /// <summary>Means over windows, zeros outside the map counted, as <see cref="QnATransitionLayer"/> has them.</summary>
    private static OnnxValue AveragePool(OnnxGraph graph, OnnxValue map, int window, int stride)
    {
        var (top, bottom) = QnATransitionLayer.SamePadding(map.Shape[1], window, stride);
        var (left, right) = QnATransitionLayer.SamePadding(map.Shape[2], window, stride);
        var padded = graph.ChannelsFirst(graph.Pad(map, 1, top, left, bottom, right));
        long Along(long length) => ((length - window) / stride) + 1;
        return graph.ChannelsLast(graph.Apply(
            "AveragePool", [padded], [padded.Shape[0], padded.Shape[1], Along(padded.Shape[2]), Along(padded.Shape[3])],
            OnnxAttribute.Of("kernel_shape", window, window),
            OnnxAttribute.Of("strides", stride, stride)));
    }

    private static OnnxValue Repeated(OnnxGraph graph, int factor, OnnxValue map)
    {
        long[] Places(long length) => [.. Enumerable.Range(0, (int)length * factor).Select(place => (long)place / factor)];

        return graph.Gather(graph.Gather(map, 1, Places(map.Shape[1])), 2, Places(map.Shape[2]));
    }
}
