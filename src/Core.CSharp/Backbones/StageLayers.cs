using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>A stage of a backbone: its blocks, and the transition to the next stage where there is one.</summary>
/// <remarks>Parameters: <c>blocks.B.*</c>, <c>downsample.*</c>.</remarks>
internal sealed class StageLayers : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<nn.Module<Tensor, Tensor>> blocks;
    private readonly nn.Module<Tensor, Tensor>? downsample;

    public StageLayers(IEnumerable<nn.Module<Tensor, Tensor>> blocks, nn.Module<Tensor, Tensor>? transition)
        : base(nameof(StageLayers))
    {
        this.blocks = nn.ModuleList(blocks.ToArray());
        downsample = transition;
        RegisterComponents();
    }

    /// <summary>The map after the blocks.</summary>
    public Tensor Features(Tensor map) => blocks.Aggregate(map, (current, block) => block.call(current));

    /// <summary>The map after the transition; itself where there is none.</summary>
    public Tensor Transition(Tensor features) => downsample is null ? features : downsample.call(features);

    /// <summary>The blocks, then the transition.</summary>
    public override Tensor forward(Tensor map)
    {
        using var scope = NewDisposeScope();
        return Transition(Features(map)).MoveToOuterDisposeScope();
    }
}
