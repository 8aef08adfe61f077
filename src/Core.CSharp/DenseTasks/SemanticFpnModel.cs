using LocalAttention.Core.Backbones;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// A segmenter: from images <c>[B, channels, H, W]</c> to logits <c>[B, classes, H, W]</c> of every pixel.
/// <see cref="DenseTaskExtensions"/> builds it.
/// </summary>
/// <remarks>Parameters: <c>backbone.*</c>, and with mmsegmentation's names <c>neck.*</c>, <c>decode_head.*</c>.</remarks>
public sealed class SemanticFpnModel : nn.Module<Tensor, Tensor>
{
    private readonly Backbone backbone;
    private readonly FeaturePyramidLayer neck;
    private readonly SemanticFpnHead decode_head;

    internal SemanticFpnModel(SemanticFpn semantic, Backbone backbone)
        : base(semantic.Backbone.Name)
    {
        Specification = semantic;
        this.backbone = backbone;
        neck = new FeaturePyramidLayer(
            [.. Pyramid.Of(semantic.Backbone).Select(level => level.Map.Channels)], semantic.PyramidChannels);
        decode_head = new SemanticFpnHead(
            semantic.PyramidChannels, semantic.HeadChannels, semantic.Classes, semantic.Doublings(), semantic.Dropout);
        RegisterComponents();
    }

    /// <summary>What the model was built from.</summary>
    public SemanticFpn Specification { get; }

    /// <summary>The backbone, without a classifier.</summary>
    public Backbone Backbone => backbone;

    /// <summary>The logits of every pixel.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <returns><c>[B, classes, H, W]</c>.</returns>
    /// <exception cref="ArgumentException">The images do not fit the backbone.</exception>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        var logits = decode_head.call(neck.call(backbone.features(images)));
        return SemanticFpnHead.Bilinear(logits, images.size(2), images.size(3)).MoveToOuterDisposeScope();
    }

    /// <summary>Copies the backbone's parameters from a classifier of the same architecture, a pre-trained one for example.</summary>
    /// <exception cref="ArgumentException">The classifier's architecture is another one.</exception>
    public void load_backbone(Backbone classifier) => DenseBackbone.Copy(classifier, backbone);
}
