using LocalAttention.Core.Analysis;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.DenseTasks;

/// <summary>
/// Semantic segmentation by a feature pyramid (Panoptic FPN, arXiv 1901.02446, section 3.1), the head that PVT and Slide
/// Transformer are compared with on ADE20K: an FPN of one level for each stage; on each level 3×3 convolution, batch norm,
/// ReLU and bilinear upsampling by 2, again and again until it has the finest level's stride; the sum of all; a 1×1
/// convolution to classes; bilinear resizing to the image.
/// </summary>
/// <param name="Backbone">
/// The backbone, each stage of which has the stride of the one before or a power of two times it.
/// </param>
/// <param name="Classes">Classes: 150 for ADE20K.</param>
public sealed record SemanticFpn(Architecture Backbone, int Classes)
{
    /// <summary>Channels of the pyramid's levels.</summary>
    public int PyramidChannels { get; init; } = 256;

    /// <summary>Channels of the head.</summary>
    public int HeadChannels { get; init; } = 128;

    /// <summary>The rate at which whole channels are dropped before the classes while training.</summary>
    public double Dropout { get; init; } = 0.1;

    /// <summary>The pyramid between backbone and head.</summary>
    public FeaturePyramid Pyramid => new(Backbone) { Channels = PyramidChannels, ExtraLevels = 0 };

    /// <summary>A copy in which the given properties are replaced.</summary>
    public SemanticFpn With(
        Architecture? backbone = null,
        int? classes = null,
        int? pyramidChannels = null,
        int? headChannels = null,
        double? dropout = null) => this with
        {
            Backbone = backbone ?? Backbone,
            Classes = classes ?? Classes,
            PyramidChannels = pyramidChannels ?? PyramidChannels,
            HeadChannels = headChannels ?? HeadChannels,
            Dropout = dropout ?? Dropout,
        };

    /// <summary>The layers behind the backbone: the pyramid's, the head's level by level, the classes.</summary>
    /// <param name="image">The image's size; none: the backbone's resolution.</param>
    /// <exception cref="SpecificationException">
    /// The backbone or the head has mistakes, or the backbone does not take that size.
    /// </exception>
    public ValueList<DensePart> Parts(ImageSize? image = null)
    {
        var levels = Pyramid.Levels(image);
        var parts = Pyramid.Parts(image).ToList();
        var doublings = Doublings();
        for (var index = 0; index < levels.Count; index++)
        {
            var map = levels[index].Map;
            for (var step = 0; step < Math.Max(1, doublings[index]); step++)
            {
                var part = DensePart.Convolution($"head {index + 2}, convolution {step + 1}", map, 3, HeadChannels, norm: true);
                parts.Add(part);
                map = part.Output with { Size = part.Output.Size.Times(2) };
            }
        }
        parts.Add(DensePart.Convolution("classes", levels[0].Map with { Channels = HeadChannels }, 1, Classes, norm: false));
        return ValueList.From(parts);
    }

    /// <summary>All parameters, those of the backbone without its classifier included.</summary>
    public ParameterCount Parameters() =>
        Parts().Aggregate(ParameterCount.Of(DenseBackbone.Of(Backbone)), (sum, part) => sum + part.Parameters);

    /// <summary>Multiply-accumulates of one image, the backbone's included.</summary>
    /// <param name="image">The image's size; none: the backbone's resolution.</param>
    /// <param name="mergedShifts">Whether the two convolutions of each Slide layer are one.</param>
    public MultiplyAccumulates Cost(ImageSize? image = null, bool mergedShifts = false) =>
        Parts(image).Aggregate(MultiplyAccumulates.OfFeatures(Backbone, image, mergedShifts), (sum, part) => sum + part.Cost);

    /// <summary>How often each level is doubled to get the finest one's stride.</summary>
    internal int[] Doublings()
    {
        var levels = Pyramid.Levels();
        var problems = new Problems();
        var head = problems.At("semantic FPN");
        head.CheckRange("classes", Classes, 1, Limits.Classes);
        head.CheckRange("channels of the head", HeadChannels, 1, Limits.Channels);
        head.CheckRange("channels of the pyramid", PyramidChannels, 1, Limits.Channels);
        if (Dropout is not (>= 0 and < 1))
        {
            head.Add($"the dropout is {Dropout}", "use a rate from 0 to below 1, such as 0.1");
        }
        var doublings = new int[levels.Count];
        for (var index = 0; index < levels.Count; index++)
        {
            var ratio = Math.Log2(levels[index].Stride / levels[0].Stride);
            if (ratio < 0 || ratio != Math.Round(ratio))
            {
                head.Add(
                    $"stage {index + 1} has a stride of {levels[index].Stride} pixels, stage 1 one of {levels[0].Stride}",
                    "use transitions that halve the map");
            }
            doublings[index] = (int)ratio;
        }
        return problems.IsEmpty
            ? doublings
            : throw new SpecificationException($"'{Backbone.Name}' with semantic FPN", problems.ToList());
    }
}
