using LocalAttention.Core.Backbones;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// A backbone with a feature pyramid: from images <c>[B, channels, H, W]</c> to levels <c>[B, C, H, W]</c>, finest first.
/// <see cref="DenseTaskExtensions"/> builds it.
/// </summary>
/// <remarks>Parameters: <c>backbone.*</c>, <c>neck.*</c>.</remarks>
public sealed class FeaturePyramidModel : nn.Module<Tensor, IReadOnlyList<Tensor>>
{
    private readonly Backbone backbone;
    private readonly FeaturePyramidLayer neck;

    internal FeaturePyramidModel(FeaturePyramid pyramid, Backbone backbone)
        : base(pyramid.Backbone.Name)
    {
        Specification = pyramid;
        this.backbone = backbone;
        neck = new FeaturePyramidLayer(
            [.. Pyramid.Of(pyramid.Backbone).Select(level => level.Map.Channels)], pyramid.Channels, pyramid.ExtraLevels);
        RegisterComponents();
    }

    /// <summary>What the model was built from.</summary>
    public FeaturePyramid Specification { get; }

    /// <summary>The backbone, without a classifier.</summary>
    public Backbone Backbone => backbone;

    /// <summary>The levels of images.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <returns>For each level <c>[B, C, H, W]</c>.</returns>
    /// <exception cref="ArgumentException">The images do not fit the backbone.</exception>
    public override IReadOnlyList<Tensor> forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        return [.. neck.call(backbone.features(images)).Select(level => level.MoveToOuterDisposeScope())];
    }

    /// <summary>Copies the backbone's parameters from a classifier of the same architecture, a pre-trained one for example.</summary>
    /// <exception cref="ArgumentException">The classifier's architecture is another one.</exception>
    public void load_backbone(Backbone classifier) => DenseBackbone.Copy(classifier, backbone);
}
