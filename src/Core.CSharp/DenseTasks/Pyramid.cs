using LocalAttention.Core.Specification;

namespace LocalAttention.Core.DenseTasks;

/// <summary>One map of a pyramid.</summary>
/// <param name="Place">Where it comes from: <c>stage 2</c>, or the level of a feature pyramid, <c>P3</c>.</param>
/// <param name="Stride">Pixels of the image between neighbouring tokens, a power of two in all published models.</param>
/// <param name="Map">Its size and channels.</param>
public sealed record PyramidLevel(string Place, double Stride, MapShape Map);

/// <summary>The maps that a hierarchical backbone gives to dense tasks, from the value alone.</summary>
public static class Pyramid
{
    /// <summary>The map of each stage before its transition: what <c>Backbone.features</c> returns.</summary>
    /// <param name="architecture">Any architecture that builds.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take that size.</exception>
    public static ValueList<PyramidLevel> Of(Architecture architecture, ImageSize? image = null)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        Validation.EnsureValid(architecture);
        var size = image ?? architecture.Resolution;
        var mistakes = Validation.CheckSize(architecture, size);
        if (mistakes.Count > 0)
        {
            throw new SpecificationException($"'{architecture.Name}' on images of {size}", mistakes);
        }
        var (levels, stride) = (new List<PyramidLevel>(), (double)architecture.Stem.Stride);
        var map = new MapShape(size, architecture.ImageChannels);
        var parts = Walk.Through(architecture, size).ToList();
        for (var stage = 0; stage < architecture.Stages.Count; stage++)
        {
            var place = $"stage {stage + 1}";
            // A stage without blocks passes on the map that the last transition, or the stem, has made.
            var entering = parts.OfType<BlockPart>().FirstOrDefault(part => part.Place.StartsWith($"{place},", StringComparison.Ordinal));
            var transition = parts.OfType<TransitionPart>().FirstOrDefault(part => part.Place == $"{place}, transition");
            map = entering?.Map ?? transition?.Input ?? map;
            levels.Add(new PyramidLevel(place, stride, map));
            stride *= StrideOf(architecture.Stages[stage].Transition);
        }
        return ValueList.From(levels);
    }

    private static double StrideOf(Transition? transition) => transition switch
    {
        null => 1,
        PatchMerging => 2,
        StridedConvolution convolution => convolution.Stride,
        QnADownsampling down => down.Stride,
        QnAUpsampling up => 1.0 / up.Factor,
        _ => throw new InvalidOperationException($"unknown transition {transition.GetType()}"),
    };
}
