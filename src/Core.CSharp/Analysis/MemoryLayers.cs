using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The allocations of the layers that all blocks share, as their <c>forward</c> makes them.</summary>
/// <param name="tape">Where they are played.</param>
/// <param name="fused">Whether the fused kernels compute, or standard operators.</param>
internal sealed class MemoryLayers(MemoryTape tape, bool fused)
{
    // As in Layers/Mlp.cs: hidden elements that are computed at once at inference, and those of a part.
    private const long LargestHidden = 4_000_000;
    private const long HiddenOfPart = 2_000_000;

    public MemoryTape Tape => tape;

    public bool IsFused => fused;

    /// <summary>A linear layer. Where its weight is put together from parameters, that copy lives as long as the scope.</summary>
    public SimulatedTensor Linear(
        SimulatedTensor input, long tokens, long inputs, long outputs, bool bias = true, bool copiesWeight = false)
    {
        SimulatedTensor[] saved = copiesWeight ? [input, tape.Apply([], inputs * outputs)] : [input];
        return tape.Apply([input], tokens * outputs, saved, parameters: (inputs * outputs) + (bias ? outputs : 0));
    }

    /// <summary>Mean and deviation of each token are kept.</summary>
    public SimulatedTensor Norm(SimulatedTensor input, long tokens, long channels) => tape.Apply(
        [input], tokens * channels, saved: [input], extra: 2 * tokens, parameters: 2 * channels,
        slopeWorkspace: fused ? 64 * channels : 0);

    public SimulatedTensor Add(SimulatedTensor left, SimulatedTensor right, long elements) =>
        tape.Apply([left, right], elements, passesSlope: true);

    /// <summary>A copy in another order; the gradient is a view of the result's.</summary>
    public SimulatedTensor Copy(SimulatedTensor input, long elements) => tape.Apply([input], elements, passesSlope: true);

    /// <summary>A function of each element whose gradient needs what enters.</summary>
    public SimulatedTensor Pointwise(SimulatedTensor input, long elements) => tape.Apply([input], elements, saved: [input]);

    /// <summary>A constant times each element.</summary>
    public SimulatedTensor Times(SimulatedTensor input, long elements) => tape.Apply([input], elements);

    /// <summary>
    /// A convolution of a map whose channels come last, so that neither input nor output is copied. Its weight is put in
    /// that order, and in the library's own, on the way.
    /// </summary>
    /// <param name="input">The map.</param>
    /// <param name="weights">Parameters of the weight.</param>
    /// <param name="outputs">Elements of the result.</param>
    /// <param name="bias">Parameters of the bias.</param>
    /// <param name="copied">Elements of the input where it is a part of another tensor, which the convolution copies.</param>
    public SimulatedTensor Convolution(SimulatedTensor input, long weights, long outputs, long bias, long copied = 0) => tape.Apply(
        [input], outputs, saved: [input], parameters: weights + bias, workspace: (2 * weights) + copied,
        slopeWorkspace: (3 * weights) + copied);

    /// <summary>A block on a map of some tokens, all images together.</summary>
    public SimulatedTensor Block(
        SimulatedTensor map, Block block, MapShape shape, long batch, int classTokens, bool drops, SizePolicy policy, Activation activation)
    {
        long channels = shape.Channels;
        var tokens = batch * (shape.Tokens + classTokens);
        var attention = new MemoryAttention(this, shape, batch, classTokens);
        return tape.Scope(() =>
        {
            var attended = attention.Of(Norm(map, tokens, channels), block.Attention);
            var branch = Branch(attended, block.LayerScale, tokens, channels, drops);
            var sum = Add(map, branch, tokens * channels);
            var mixed = Mlp(Norm(sum, tokens, channels), tokens, channels, block.HiddenChannels(shape.Channels), block.MlpConvolution, activation);
            return Add(sum, Branch(mixed, block.LayerScale, tokens, channels, drops), tokens * channels);
        });
    }

    /// <summary>Layer scale and stochastic depth.</summary>
    public SimulatedTensor Branch(SimulatedTensor branch, double? layerScale, long tokens, long channels, bool drops)
    {
        if (layerScale is not null)
        {
            branch = tape.Apply(
                [branch], tokens * channels, saved: [branch], parameters: channels, slopeWorkspace: tokens * channels);
        }
        return drops && tape.Training ? Times(Times(branch, tokens * channels), tokens * channels) : branch;
    }

    public SimulatedTensor Mlp(
        SimulatedTensor input, long tokens, long channels, long hidden, MlpConvolution convolution, Activation activation)
    {
        var fusesActivation = fused && activation != Activation.Relu;
        if (!tape.Training && fusesActivation && convolution == MlpConvolution.None)
        {
            return InferMlp(input, tokens, channels, hidden);
        }
        var expanded = Linear(input, tokens, channels, hidden);
        var mixed = expanded;
        if (convolution == MlpConvolution.DepthwiseAfterRelu)
        {
            // Kept for its gradient: the result, which is the input of what follows.
            mixed = tape.Apply([mixed], tokens * hidden, savesResult: true);
        }
        if (convolution != MlpConvolution.None)
        {
            mixed = Convolution(mixed, 9 * hidden, tokens * hidden, hidden);
        }
        var activated = Pointwise(mixed, tokens * hidden);
        var output = Linear(activated, tokens, hidden, channels);
        tape.Dispose(activated);
        tape.Dispose(mixed);
        tape.Dispose(expanded);
        return output;
    }

    /// <summary>The activation overwrites what enters it; long inputs go through in parts.</summary>
    private SimulatedTensor InferMlp(SimulatedTensor input, long tokens, long channels, long hidden)
    {
        var parts = tokens * hidden < LargestHidden ? 1 : (tokens * hidden + HiddenOfPart - 1) / HiddenOfPart;
        if (parts == 1)
        {
            var expanded = Linear(input, tokens, channels, hidden);
            var output = Linear(expanded, tokens, hidden, channels);
            tape.Dispose(expanded);
            return output;
        }
        var whole = tape.Apply([input], tokens * channels);
        var ofPart = (tokens + parts - 1) / parts;
        tape.Passing(ofPart * (hidden + channels));
        return whole;
    }
}
