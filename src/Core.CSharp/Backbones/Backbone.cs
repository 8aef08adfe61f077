using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// The model of an architecture: stem, stages, head. <see cref="ArchitectureExtensions.Build"/> makes it.
/// </summary>
/// <remarks>
/// Parameters have the names of Swin's official PyTorch code, whatever the architecture's naming: <c>patch_embed.*</c>,
/// <c>layers.S.blocks.B.*</c>, <c>layers.S.downsample.*</c>, <c>norm.*</c>, <c>pool.*</c>, <c>head.*</c>, with stages and
/// blocks counted from 0; beside them <c>layers.S.pos_embed</c>, <c>layers.S.norm.*</c> and <c>cls_token</c>.
/// <see cref="Checkpoints.ParameterNames"/> has the names in files.
/// </remarks>
public sealed class Backbone : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> patch_embed;
    private readonly ModuleList<StageLayers> layers;
    private readonly LayerNorm norm;
    private readonly Parameter? cls_token;
    private readonly QnALayer? pool;
    private readonly Linear? head;
    private ImageSize? _admitted;

    internal Backbone(Architecture architecture)
        : base(architecture.Name)
    {
        Architecture = architecture;
        patch_embed = BackboneParts.Stem(architecture);
        layers = new ModuleList<StageLayers>(BackboneParts.Stages(architecture));
        var last = ShapeInference.LastMap(architecture);
        var conventions = architecture.Conventions;
        norm = nn.LayerNorm(last.Channels, conventions.NormEpsilon);
        cls_token = architecture.Head is ClassTokenHead ? PositionEmbedding.ClassToken(last.Channels) : null;
        pool = architecture.Head is QnAPoolHead qna
            ? new QnALayer(
                qna.Attention.With(window: last.Size.Height), last.Channels, pooling: true, conventions: conventions, place: "head")
            : null;
        head = architecture.Head.Classes > 0
            ? WeightInitialization.Linear(last.Channels, architecture.Head.Classes, bias: true, conventions.Initialization)
            : null;
        RegisterComponents();
    }

    /// <summary>What the model was built from.</summary>
    public Architecture Architecture { get; }

    /// <summary>Classifies images.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>, of the parameters' element type and on their device.</param>
    /// <returns><c>[B, classes]</c>; pooled features <c>[B, C]</c> where the head has no classes.</returns>
    /// <exception cref="ArgumentException">
    /// The images have another rank, channels, size, element type or device than the model takes.
    /// </exception>
    public override Tensor forward(Tensor images)
    {
        RequireImages(images);
        using var scope = NewDisposeScope();
        var map = layers.SkipLast(1).Aggregate(patch_embed.call(images), (current, stage) => stage.call(current));
        var pooled = cls_token is null
            ? Pool(layers[^1].call(map))
            : Normalisation.Apply(norm, layers[^1].Features(map, cls_token).ClassToken);
        return (head is null ? pooled : head.call(pooled)).MoveToOuterDisposeScope();
    }

    /// <summary>The map of each stage, before its transition: what dense tasks build on.</summary>
    /// <remarks>
    /// The class token takes no part in it, as in PVT's dense models. Where the stages have norms, the last map gets the head's,
    /// as in PVTv2's; elsewhere no map is normalised.
    /// </remarks>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <returns>For each stage <c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">The images do not fit the model.</exception>
    public IReadOnlyList<Tensor> features(Tensor images) => Maps(images, dense: true);

    /// <summary>The map of each stage, after its transition. The class token takes part in it, and is no place of it.</summary>
    /// <param name="images"><c>[B, channels, H, W]</c>.</param>
    /// <returns>For each stage <c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">The images do not fit the model.</exception>
    public IReadOnlyList<Tensor> stages(Tensor images) => Maps(images, dense: false);

    /// <summary>
    /// Merges the two convolutions of every Slide layer into one, for inference (arXiv 2304.04237, section 3.4). Outputs
    /// stay the same bit for bit, and so does the state dict. Training again, or loading parameters, comes after
    /// <see cref="unmerge_shifts"/>; <c>train()</c> calls it by itself.
    /// </summary>
    public void merge_shifts()
    {
        foreach (var slide in modules().OfType<SlideLayer>())
        {
            slide.merge_shifts();
        }
    }

    /// <summary>Undoes <see cref="merge_shifts"/>; the parameters were never changed.</summary>
    public void unmerge_shifts()
    {
        foreach (var slide in modules().OfType<SlideLayer>())
        {
            slide.unmerge_shifts();
        }
    }

    private List<Tensor> Maps(Tensor images, bool dense)
    {
        RequireImages(images);
        using var scope = NewDisposeScope();
        var maps = new List<Tensor>();
        var map = patch_embed.call(images);
        foreach (var stage in layers)
        {
            var isLast = maps.Count == layers.Count - 1;
            var features = isLast && !dense && cls_token is not null
                ? stage.Features(map, cls_token).Map
                : stage.Features(map);
            map = stage.Transition(features);
            // Behind a last transition the head's norm is of other channels.
            if (dense && isLast && Architecture.Stages[^1].Transition is null && Architecture.Stages.Any(other => other.Norm))
            {
                features = Normalisation.Apply(norm, features);
            }
            maps.Add((dense ? features : map).MoveToOuterDisposeScope());
        }
        return maps;
    }

    /// <summary>The normalised map as one vector for each image, <c>[B, C]</c>.</summary>
    private Tensor Pool(Tensor map)
    {
        var normalised = norm.call(map);
        var pooled = Architecture.Head is QnAPoolHead { Skip: false } ? null : normalised.mean([1, 2]);
        if (pool is not null)
        {
            var attended = pool.call(normalised).flatten(1);
            pooled = pooled is null ? attended : attended + pooled;
        }
        return pooled!;
    }

    private void RequireImages(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        var model = $"'{Architecture.Name}'";
        if (images.ndim != 4)
        {
            var remedy = images.ndim == 3 ? "; a single image becomes a batch by unsqueeze(0)" : "";
            throw new ArgumentException(
                $"{model}: the images have {images.ndim} dimensions {MapInput.Shape(images)}; "
                + $"give it 4: [batch, {Architecture.ImageChannels}, height, width]{remedy}", nameof(images));
        }
        if (images.size(1) != Architecture.ImageChannels)
        {
            throw new ArgumentException(
                $"{model}: the images {MapInput.Shape(images)} have {images.size(1)} channels; "
                + $"the model takes {Architecture.ImageChannels}, in the second dimension", nameof(images));
        }
        MapInput.RequireKind(images, norm.weight!, model, "batch of images");
        RequireSize(new ImageSize((int)images.size(2), (int)images.size(3)), model);
    }

    private void RequireSize(ImageSize size, string model)
    {
        if (size == _admitted)
        {
            return;
        }
        var problems = Validation.CheckSize(Architecture, size);
        if (problems.Count > 0)
        {
            throw new ArgumentException($"{model} does not take images of {size}: {string.Join(" ", problems)}");
        }
        _admitted = size;
    }
}
