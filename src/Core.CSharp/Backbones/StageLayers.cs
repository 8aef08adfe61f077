using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// A stage of a backbone: the embedding of places, the blocks, the norm after them, and the transition to the next stage,
/// where there are such.
/// </summary>
/// <remarks>
/// <para>Parameters: <c>pos_embed</c>, <c>blocks.B.*</c>, <c>norm.*</c>, <c>downsample.*</c>.</para>
/// <para>
/// A class token has no place. What attends to it asks for none, so with it the tokens go through the blocks as a map of one
/// row, the class token first.
/// </para>
/// </remarks>
internal sealed class StageLayers : nn.Module<Tensor, Tensor>
{
    private readonly ImageSize _declared;
    private readonly int _classTokens;

    private readonly Parameter? pos_embed;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> blocks;
    private readonly LayerNorm? norm;
    private readonly nn.Module<Tensor, Tensor>? downsample;

    /// <param name="stage">What the stage is.</param>
    /// <param name="map">Its map at the architecture's resolution.</param>
    /// <param name="classTokens">1 where the stage takes a class token, else 0.</param>
    /// <param name="blocks">Its blocks.</param>
    /// <param name="transition">The layer of its transition.</param>
    /// <param name="conventions">The norm's.</param>
    public StageLayers(
        Stage stage,
        MapShape map,
        int classTokens,
        IEnumerable<nn.Module<Tensor, Tensor>> blocks,
        nn.Module<Tensor, Tensor>? transition,
        Conventions conventions)
        : base(nameof(StageLayers))
    {
        _declared = map.Size;
        _classTokens = classTokens;
        pos_embed = stage.PositionEmbedding ? PositionEmbedding.Of(map, classTokens) : null;
        this.blocks = nn.ModuleList(blocks.ToArray());
        norm = stage.Norm ? nn.LayerNorm(map.Channels, conventions.NormEpsilon) : null;
        downsample = transition;
        RegisterComponents();
    }

    /// <summary>The map after the blocks and their norm, without a class token.</summary>
    public Tensor Features(Tensor map)
    {
        if (pos_embed is null && blocks.Count == 0 && norm is null)
        {
            return map;
        }
        using var scope = NewDisposeScope();
        var placed = pos_embed is null ? map : map + Places(map);
        return Normalised(Through(placed)).MoveToOuterDisposeScope();
    }

    /// <summary>The map after the blocks and their norm, and the class token, <c>[B, C]</c>, that went with it.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <param name="classToken">The token that enters, <c>[1, 1, C]</c>.</param>
    public (Tensor Map, Tensor ClassToken) Features(Tensor map, Tensor classToken)
    {
        using var scope = NewDisposeScope();
        var (batch, channels) = (map.size(0), map.size(3));
        var tokens = cat([classToken.expand(batch, 1, channels), map.flatten(1, 2)], 1);
        if (pos_embed is not null)
        {
            tokens = tokens + cat([pos_embed.narrow(1, 0, _classTokens), Places(map).flatten(1, 2)], 1);
        }
        var attended = Normalised(Through(tokens.unsqueeze(1))).squeeze(1);
        var features = attended.narrow(1, 1, attended.size(1) - 1).reshape(map.shape);
        var token = attended.select(1, 0);
        return (features.MoveToOuterDisposeScope(), token.MoveToOuterDisposeScope());
    }

    /// <summary>The map after the transition; itself where there is none.</summary>
    public Tensor Transition(Tensor features) => downsample is null ? features : downsample.call(features);

    /// <summary>The blocks, then the transition.</summary>
    public override Tensor forward(Tensor map)
    {
        using var scope = NewDisposeScope();
        return Transition(Features(map)).MoveToOuterDisposeScope();
    }

    private Tensor Through(Tensor map) => blocks.Aggregate(map, (current, block) => block.call(current));

    private Tensor Normalised(Tensor map) => norm is null ? map : Normalisation.Apply(norm, map);

    private Tensor Places(Tensor map)
    {
        var places = pos_embed!.narrow(1, _classTokens, pos_embed.size(1) - _classTokens);
        return PositionEmbedding.At(places, _declared, new ImageSize((int)map.size(1), (int)map.size(2)));
    }
}
