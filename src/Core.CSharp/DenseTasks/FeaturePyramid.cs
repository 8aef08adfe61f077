using LocalAttention.Core.Analysis;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// A feature pyramid network over a backbone's stages (FPN, arXiv 1612.03144, section 3), as detectors take it: a 1×1
/// convolution of each stage's map to the same channels, to which the coarser level is added, its tokens repeated; then a
/// 3×3 convolution. Levels are named P2, P3, … by their order; behind the last, further levels are every second token of
/// the one before. No norms, no activations.
/// </summary>
/// <param name="Backbone">The backbone. Its head does not count, nor does a class token.</param>
public sealed record FeaturePyramid(Architecture Backbone)
{
    /// <summary>Channels of every level.</summary>
    public int Channels { get; init; } = 256;

    /// <summary>Levels behind those of the stages: 1 for Mask R-CNN's P6, 0 for semantic FPN.</summary>
    public int ExtraLevels { get; init; } = 1;

    /// <summary>A copy in which the given properties are replaced.</summary>
    public FeaturePyramid With(Architecture? backbone = null, int? channels = null, int? extraLevels = null) => this with
    {
        Backbone = backbone ?? Backbone,
        Channels = channels ?? Channels,
        ExtraLevels = extraLevels ?? ExtraLevels,
    };

    /// <summary>The levels, finest first.</summary>
    /// <param name="image">The image's size; none: the backbone's resolution.</param>
    /// <exception cref="SpecificationException">The backbone has mistakes, or does not take that size.</exception>
    public ValueList<PyramidLevel> Levels(ImageSize? image = null)
    {
        var levels = Pyramid.Of(Backbone, image)
            .Select((level, index) => new PyramidLevel($"P{index + 2}", level.Stride, level.Map with { Channels = Channels }))
            .ToList();
        for (var extra = 0; extra < ExtraLevels; extra++)
        {
            var last = levels[^1];
            levels.Add(new PyramidLevel(
                $"P{levels.Count + 2}", 2 * last.Stride, last.Map with { Size = last.Map.Size.DividedBy(2) }));
        }
        return ValueList.From(levels);
    }

    /// <summary>The layers behind the backbone, in the order of their levels.</summary>
    /// <param name="image">The image's size; none: the backbone's resolution.</param>
    /// <exception cref="SpecificationException">The backbone has mistakes, or does not take that size.</exception>
    public ValueList<DensePart> Parts(ImageSize? image = null)
    {
        RequireValid();
        var maps = Pyramid.Of(Backbone, image);
        var laterals = maps
            .Select((level, index) => DensePart.Convolution($"lateral {index + 2}", level.Map, 1, Channels, norm: false))
            .ToList();
        var outputs = laterals
            .Select((lateral, index) => DensePart.Convolution($"output {index + 2}", lateral.Output, 3, Channels, norm: false));
        return ValueList.From(laterals.Concat(outputs));
    }

    /// <summary>All parameters, those of the backbone without its classifier included.</summary>
    public ParameterCount Parameters() =>
        Parts().Aggregate(ParameterCount.Of(DenseBackbone.Of(Backbone)), (sum, part) => sum + part.Parameters);

    /// <summary>Multiply-accumulates of one image, the backbone's included.</summary>
    /// <param name="image">The image's size; none: the backbone's resolution.</param>
    /// <param name="mergedShifts">Whether the two convolutions of each Slide layer are one.</param>
    /// <exception cref="SpecificationException">The backbone has mistakes, or does not take that size.</exception>
    public MultiplyAccumulates Cost(ImageSize? image = null, bool mergedShifts = false) =>
        Parts(image).Aggregate(MultiplyAccumulates.OfFeatures(Backbone, image, mergedShifts), (sum, part) => sum + part.Cost);

    /// <exception cref="SpecificationException">The levels have no channels, or there are fewer than none.</exception>
    internal void RequireValid()
    {
        var problems = new Problems();
        var neck = problems.At("feature pyramid");
        neck.CheckRange("channels", Channels, 1, Limits.Channels);
        neck.CheckRange("extra levels", ExtraLevels, 0, 8);
        if (!problems.IsEmpty)
        {
            throw new SpecificationException($"'{Backbone.Name}' with a feature pyramid", problems.ToList());
        }
    }
}
