using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Where the blocks of a model look: for each token of a block's map, how much attention it receives.
/// </summary>
/// <remarks>
/// <para>
/// A token receives the sum of the weights that all queries of its map give it, averaged over heads; then a map is divided by
/// its sum, so that its numbers are shares of all attention. Each kind of attention has its own weights:
/// </para>
/// <list type="bullet">
/// <item>windows, stripes, whole maps and neighbourhoods: the softmax itself, masks and biases included;</item>
/// <item>reduced and pooled maps: that of the cell, spread evenly over its tokens;</item>
/// <item>
/// slide: that of the place which a sample's fixed shift reads, without what the learned convolution takes from around it;
/// </item>
/// <item>QnA: the size of the weight that a token's value has in the output, all learned queries and their scales together.</item>
/// </list>
/// <para>A class token attends as others do, and is left out of the map.</para>
/// </remarks>
public static class ReceivedAttention
{
    /// <summary>The maps of a model's blocks for some images, in order; computed in evaluation mode, without gradients.</summary>
    /// <param name="model">The model; afterwards it is in the mode in which it came.</param>
    /// <param name="images"><c>[B, channels, H, W]</c>, as the model takes them.</param>
    /// <param name="chosen">Whether a block is wanted, by its stage and its place in it, counted from 1; left out: all are.</param>
    /// <returns>The maps, which the caller disposes of.</returns>
    /// <exception cref="ArgumentException">The images do not fit the model.</exception>
    public static IReadOnlyList<BlockAttention> Of(Backbone model, Tensor images, Func<int, int, bool>? chosen = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(images);
        var training = model.training;
        var hooks = new List<nn.Module<Tensor, Tensor>.HookRemover>();
        var maps = new List<BlockAttention>();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        model.eval();
        try
        {
            foreach (var (stage, block, attention) in Attentions(model))
            {
                if (chosen is not null && !chosen(stage, block))
                    continue;
                hooks.Add(attention.register_forward_pre_hook((_, map) =>
                {
                    using var inner = NewDisposeScope();
                    var received = Shares(((IReceivedAttention)attention).Received(map));
                    maps.Add(new BlockAttention(stage, block, received.MoveToOtherDisposeScope(scope)));
                    return map;
                }));
            }
            using (model.forward(images))
            {
                // The hooks have seen what is wanted.
            }
        }
        finally
        {
            foreach (var hook in hooks)
                hook.remove();
            model.train(training);
        }
        return maps.ConvertAll(map => map with
        {
            Map = WithoutClassToken(map, model.Architecture, new ImageSize((int)images.size(2), (int)images.size(3)))
                .MoveToOuterDisposeScope(),
        });
    }

    private static IEnumerable<(int Stage, int Block, nn.Module<Tensor, Tensor> Attention)> Attentions(Backbone model)
    {
        var modules = model.named_modules().ToDictionary(named => named.name, named => named.module);
        for (var stage = 1; stage <= model.Architecture.Stages.Count; stage++)
        {
            for (var block = 1; block <= model.Architecture.Stages[stage - 1].Blocks.Count; block++)
                yield return (stage, block, ((TransformerBlock)modules[$"layers.{stage - 1}.blocks.{block - 1}"]).Attention);
        }
    }

    /// <summary>A map whose numbers add up to 1; zeros where it has no others.</summary>
    private static Tensor Shares(Tensor received)
    {
        var sums = received.sum([1L, 2L], keepdim: true);
        return received / sums.masked_fill(sums.eq(0), 1);
    }

    private static Tensor WithoutClassToken(BlockAttention attention, Architecture architecture, ImageSize image)
    {
        if (attention.Stage < architecture.Stages.Count || architecture.Head is not ClassTokenHead)
            return attention.Map;
        // With a class token the tokens go through the blocks as one row.
        var place = $"stage {attention.Stage}, block {attention.Block}";
        var size = ShapeInference.Trace(architecture, image).First(part => part.Place == place).Input.Size;
        return Shares(attention.Map.squeeze(1).narrow(1, 1, (long)size.Height * size.Width).view(-1, size.Height, size.Width));
    }
}

/// <summary>Where a block looks.</summary>
/// <param name="Stage">Its stage, counted from 1.</param>
/// <param name="Block">Its place in the stage, counted from 1.</param>
/// <param name="Map">The share of all attention that each token receives, <c>[B, H, W]</c>; those of an image add up to 1.</param>
public sealed record BlockAttention(int Stage, int Block, Tensor Map);
