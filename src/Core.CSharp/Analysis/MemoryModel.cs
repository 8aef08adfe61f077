using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The allocations of a whole model, as <c>Backbone.forward</c> makes them.</summary>
/// <param name="architecture">The model.</param>
/// <param name="layers">The layers of its blocks.</param>
/// <param name="batch">Images.</param>
internal sealed class MemoryModel(Architecture architecture, MemoryLayers layers, long batch)
{
    private MemoryTape Tape => layers.Tape;

    /// <summary>From images to logits.</summary>
    public SimulatedTensor Forward(ImageSize image) => Tape.Scope(() =>
    {
        var parts = new Queue<Part>(Walk.Through(architecture, image));
        var stem = (StemPart)parts.Dequeue();
        var map = Tape.Scope(() => Stem(stem));
        var drops = new Queue<bool>(Drops());
        for (var stage = 0; stage < architecture.Stages.Count; stage++)
        {
            var entering = map;
            map = Tape.Scope(() => Transition(parts, Tape.Scope(() => Features(parts, entering, drops)), drops));
        }
        return Head((HeadPart)parts.Dequeue(), map);
    });

    /// <summary>Whether stochastic depth is above 0 in each block and QnA transition.</summary>
    private IEnumerable<bool> Drops()
    {
        var count = architecture.Stages.Sum(
            stage => stage.Blocks.Count + (stage.Transition is QnADownsampling or QnAUpsampling ? 1 : 0));
        return Enumerable.Range(0, count).Select(index => index > 0 && architecture.DropPath > 0);
    }

    private SimulatedTensor Stem(StemPart stem)
    {
        var images = Tape.Given(batch * stem.Input.Tokens * stem.Input.Channels);
        var tokens = batch * stem.Output.Tokens;
        long channels = stem.Output.Channels;
        if (stem.Stem is PatchStem patch)
        {
            var weights = (long)patch.PatchSize * patch.PatchSize * stem.Input.Channels * channels;
            var projected = layers.Convolution(images, weights, tokens * channels, channels);
            // Channels come first here; the norm, or what follows, copies the map to put them last.
            var map = layers.Copy(projected, tokens * channels);
            if (!patch.Norm)
            {
                return map;
            }
            var normalised = layers.Norm(map, tokens, channels);
            Tape.Dispose(map);
            return normalised;
        }
        var (current, input) = (images, stem.Input);
        var convolutions = (ConvolutionStem)stem.Stem;
        for (var index = 0; index < convolutions.Convolutions.Count; index++)
        {
            var convolution = convolutions.Convolutions[index];
            var output = new MapShape(convolution.OutputSize(input.Size), convolution.Channels);
            var elements = batch * output.Tokens * output.Channels;
            current = layers.Convolution(
                current, (long)convolution.Kernel * convolution.Kernel * input.Channels * output.Channels, elements, output.Channels);
            var isLast = index == convolutions.Convolutions.Count - 1;
            if (convolutions.ActivatedBetween || isLast)
            {
                current = layers.Norm(layers.Copy(current, elements), batch * output.Tokens, output.Channels);
            }
            if (convolutions.ActivatedBetween && !isLast)
            {
                current = layers.Pointwise(current, elements);
            }
            input = output;
        }
        return current;
    }

    private SimulatedTensor Features(Queue<Part> parts, SimulatedTensor map, Queue<bool> drops)
    {
        while (parts.Peek() is EmbeddingPart or BlockPart or NormPart)
        {
            switch (parts.Dequeue())
            {
                case EmbeddingPart embedding:
                    var elements = batch * (embedding.Map.Tokens + embedding.ClassTokens) * embedding.Map.Channels;
                    if (embedding.ClassTokens > 0)
                    {
                        map = Tape.Apply([map], elements, parameters: embedding.Map.Channels);
                    }
                    if (embedding.Positions)
                    {
                        map = Tape.Apply([map], elements, parameters: elements / batch, passesSlope: true);
                    }
                    break;
                case BlockPart block:
                    map = layers.Block(
                        map, block.Block, block.Map, batch, block.ClassTokens, drops.Dequeue(), architecture.SizePolicy,
                        architecture.Conventions.Activation);
                    break;
                case NormPart norm:
                    map = layers.Norm(map, batch * norm.Map.Tokens, norm.Map.Channels);
                    break;
            }
        }
        return map;
    }

    private SimulatedTensor Transition(Queue<Part> parts, SimulatedTensor map, Queue<bool> drops)
    {
        if (parts.Peek() is not TransitionPart)
        {
            return map;
        }
        var part = (TransitionPart)parts.Dequeue();
        var (tokens, inputs, outputs) = (batch * part.Output.Tokens, part.Input.Channels, part.Output.Channels);
        return Tape.Scope(() =>
        {
            switch (part.Transition)
            {
                case PatchMerging:
                    var squares = layers.Copy(map, tokens * 4 * inputs);
                    return layers.Linear(layers.Norm(squares, tokens, 4 * inputs), tokens, 4 * inputs, outputs, bias: false);
                case StridedConvolution convolution:
                    var weights = (long)convolution.Kernel * convolution.Kernel * inputs * outputs;
                    var convolved = layers.Convolution(map, weights, tokens * outputs, convolution.Bias ? outputs : 0);
                    return layers.Norm(convolved, tokens, outputs);
                case QnADownsampling down:
                    return QnATransition(map, part, down.Attention, 1, down.MlpRatio, down.LayerScale, drops.Dequeue());
                case QnAUpsampling up:
                    return QnATransition(map, part, up.Attention, up.Factor, up.MlpRatio, up.LayerScale, drops.Dequeue());
                default:
                    throw new InvalidOperationException($"unknown transition {part.Transition.GetType()}");
            }
        });
    }

    private SimulatedTensor QnATransition(
        SimulatedTensor map, TransitionPart part, QnAAttention qna, int factor, double mlpRatio, double? layerScale, bool drops)
    {
        var (tokens, channels) = (batch * part.Output.Tokens, (long)part.Output.Channels);
        var normalised = layers.Norm(map, batch * part.Input.Tokens, part.Input.Channels);
        var attention = new MemoryAttention(layers, part.Input, batch, classTokens: 0);
        var attended = Tape.Scope(() => attention.QnA(
            normalised, qna, part.Input, part.Output, (long)factor * factor, (long)qna.Window * qna.Window));
        attended = layers.Branch(attended, layerScale, tokens, channels, drops: false);
        // The skip path's tokens, picked, averaged or repeated, then projected.
        var picked = layers.Copy(map, tokens * part.Input.Channels);
        var around = layers.Linear(picked, tokens, part.Input.Channels, channels, bias: false);
        var sum = layers.Add(attended, around, tokens * channels);
        var mixed = layers.Mlp(
            layers.Norm(sum, tokens, channels), tokens, channels, (long)(channels * mlpRatio), MlpConvolution.None,
            architecture.Conventions.Activation);
        return layers.Add(sum, layers.Branch(mixed, layerScale, tokens, channels, drops), tokens * channels);
    }

    private SimulatedTensor Head(HeadPart head, SimulatedTensor map)
    {
        var (tokens, channels) = (batch * head.Map.Tokens, (long)head.Map.Channels);
        var normalised = layers.Norm(map, tokens, channels);
        var pooled = Tape.Apply([normalised], batch * channels);
        return head.Head.Classes == 0 ? pooled : layers.Linear(pooled, batch, channels, head.Head.Classes);
    }
}
