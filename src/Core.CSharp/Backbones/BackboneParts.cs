using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>From the parts of an architecture to their layers, each knowing its place and its rate of stochastic depth.</summary>
internal static class BackboneParts
{
    /// <summary>The stem's layer.</summary>
    public static nn.Module<Tensor, Tensor> Stem(Architecture architecture) => architecture.Stem switch
    {
        PatchStem patch => new PatchEmbedding(patch, architecture.ImageChannels, architecture.SizePolicy, architecture.Conventions),
        ConvolutionStem convolution => new ConvolutionalEmbedding(convolution, architecture.ImageChannels, architecture.Conventions),
        var stem => throw new InvalidOperationException($"unknown stem {stem.GetType()}"),
    };

    /// <summary>The stages' layers, first to last.</summary>
    public static StageLayers[] Stages(Architecture architecture)
    {
        var rates = new Queue<double>(DropPathRates(architecture));
        var parts = Walk.Through(architecture, architecture.Resolution).ToList();
        var after = new Queue<MapShape>(parts.OfType<TransitionPart>().Select(part => part.Output));
        var map = parts[0].Output;
        var stages = new List<StageLayers>();
        foreach (var stage in architecture.Stages)
        {
            var classTokens = stages.Count == architecture.Stages.Count - 1 && architecture.Head is ClassTokenHead ? 1 : 0;
            stages.Add(Stage(architecture, stage, stages.Count + 1, map, classTokens, rates));
            map = stage.Transition is null ? map : after.Dequeue();
        }
        return [.. stages];
    }

    private static StageLayers Stage(
        Architecture architecture, Stage stage, int number, MapShape map, int classTokens, Queue<double> rates)
    {
        var place = $"stage {number}";
        var blocks = new List<TransformerBlock>();
        foreach (var block in stage.Blocks)
        {
            blocks.Add(new TransformerBlock(
                block, map.Channels, rates.Dequeue(), architecture.SizePolicy, architecture.Conventions,
                $"{place}, block {blocks.Count + 1}"));
        }
        var transition = stage.Transition is { } next
            ? Transition(next, map.Channels, rates, architecture, $"{place}, transition")
            : null;
        return new StageLayers(stage, map, classTokens, blocks, transition, architecture.Conventions);
    }

    /// <summary>
    /// The rate of stochastic depth of each block and QnA transition in order: evenly from 0 to the architecture's, as both
    /// official schedules have it.
    /// </summary>
    private static IEnumerable<double> DropPathRates(Architecture architecture)
    {
        var count = architecture.Stages.Sum(
            stage => stage.Blocks.Count + (stage.Transition is QnADownsampling or QnAUpsampling ? 1 : 0));
        return Enumerable.Range(0, count).Select(index => count == 1 ? 0 : architecture.DropPath * index / (count - 1));
    }

    private static nn.Module<Tensor, Tensor> Transition(
        Transition transition, int channels, Queue<double> rates, Architecture architecture, string place)
    {
        var conventions = architecture.Conventions;
        return transition switch
        {
            PatchMerging merging =>
                new PatchMergingLayer(channels, merging.OutputChannels(channels), architecture.SizePolicy, conventions, place),
            StridedConvolution convolution =>
                new StridedConvolutionLayer(convolution, channels, architecture.SizePolicy, conventions, place),
            QnADownsampling down => new QnATransitionLayer(down, channels, rates.Dequeue(), conventions, place),
            QnAUpsampling up => new QnATransitionLayer(up, channels, rates.Dequeue(), conventions, place),
            _ => throw new InvalidOperationException($"unknown transition {transition.GetType()}"),
        };
    }
}
