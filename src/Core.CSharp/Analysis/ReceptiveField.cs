using System.Globalization;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>
/// The receptive field along one axis on an image without borders, whose windows lie as those of the image do: what the growth
/// formula <c>size ← size + (kernel − 1) · stride</c> gives, with windows that do not move with their token taken whole.
/// </summary>
/// <param name="First">The first pixel; below 0 where the field goes beyond the image. None: it has no end.</param>
/// <param name="Size">How many pixels. None: all that there are, as with attention to all tokens.</param>
/// <param name="Stride">Pixels between neighbouring units; below 1 where a map is finer than the image.</param>
public sealed record TheoreticalField(long? First, long? Size, double Stride)
{
    /// <summary>The middle of the field in pixels, a pixel being its own number; none where it has no end.</summary>
    public double? Centre => First is { } first && Size is { } size ? first + ((size - 1) / 2.0) : null;

    /// <summary><c>35 pixels from -8, at every 8th</c>.</summary>
    public override string ToString() =>
        (Size is { } size ? $"{size} pixels from {First}" : "all pixels") + $", at every {Stride}";
}

/// <summary>
/// The pixels that a unit depends on, computed from the value: a token of the map of some place, at a row and a column. Every
/// layer's rule at the border counts: padding, masks, windows cut or moved inwards.
/// </summary>
/// <remarks>
/// A pixel belongs to the field when a path of reads leads from the unit to it. Parameters that happen to cancel, or a ReLU
/// that is off, may hide such a pixel; none outside the field is ever seen.
/// </remarks>
/// <param name="Place">The unit's place, as <see cref="LayerTrace.Place"/> says it, or <c>stage 2</c>.</param>
/// <param name="Row">The unit's row on the map of that place.</param>
/// <param name="Column">The unit's column.</param>
/// <param name="Map">Size of that map.</param>
/// <param name="Down">The theoretical field down the rows.</param>
/// <param name="Right">The theoretical field along the columns.</param>
/// <param name="Pixels">The exact field.</param>
public sealed record ReceptiveField(
    string Place, int Row, int Column, ImageSize Map, TheoreticalField Down, TheoreticalField Right, PixelSet Pixels)
{
    /// <summary>The field of a unit of a stage's map, before its transition, or of the map after one of its blocks.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="stage">The stage, counted from 1.</param>
    /// <param name="row">The unit's row, counted from 0.</param>
    /// <param name="column">The unit's column, counted from 0.</param>
    /// <param name="block">The block, counted from 1; none: the stage's map.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take the image.</exception>
    /// <exception cref="ArgumentException">There is no such stage, block, row or column.</exception>
    public static ReceptiveField Of(
        Architecture architecture, int stage, int row, int column, int? block = null, ImageSize? image = null) =>
        Of(architecture, block is { } number ? $"stage {stage}, block {number}" : $"stage {stage}", row, column, image);

    /// <summary>The field of a unit of the map that leaves some place.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="place">
    /// <c>stem</c>, <c>stage 2</c> for its map before the transition, or a place of <see cref="ShapeInference.Trace"/>, such as
    /// <c>stage 2, block 3</c> or <c>stage 2, transition</c>.
    /// </param>
    /// <param name="row">The unit's row, counted from 0.</param>
    /// <param name="column">The unit's column, counted from 0.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take the image.</exception>
    /// <exception cref="ArgumentException">There is no such place, row or column.</exception>
    public static ReceptiveField Of(Architecture architecture, string place, int row, int column, ImageSize? image = null)
    {
        ArgumentNullException.ThrowIfNull(place);
        var parts = Parts(architecture, image);
        var until = UntilPlace(parts, architecture.Stages.Count, place);
        var map = until[^1].Output.Size;
        if (row < 0 || row >= map.Height || column < 0 || column >= map.Width)
        {
            throw new ArgumentException(
                $"there is no unit at row {row} and column {column} of {place}: its map is {map}; count both from 0");
        }
        var unit = new PixelSet(map);
        unit.Add(row, column);
        var steps = until.SelectMany(Mixing.StepsOf).ToArray();
        return new ReceptiveField(
            place, row, column, map,
            Theoretical(steps, path => path.Rows, row), Theoretical(steps, path => path.Columns, column), Backwards(steps, unit));
    }

    /// <summary>
    /// The pixels that the logits depend on. Not all in every model: convolutions may stride over some, and floor may leave out
    /// the last.
    /// </summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take the image.</exception>
    public static PixelSet OfLogits(Architecture architecture, ImageSize? image = null)
    {
        var parts = Parts(architecture, image);
        var all = new PixelSet(parts[^1].Input.Size);
        // A class token sees the map in the last stage's blocks alone, all of it in the first of them.
        if (architecture.Head is not ClassTokenHead || (architecture.Stages.Count > 0 && architecture.Stages[^1].Blocks.Count > 0))
        {
            all.AddAll();
        }
        return Backwards([.. parts.SelectMany(Mixing.StepsOf)], all);
    }

    internal static List<Part> Parts(Architecture architecture, ImageSize? image)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        Validation.EnsureValid(architecture);
        var size = image ?? architecture.Resolution;
        var problems = Validation.CheckSize(architecture, size);
        if (problems.Count > 0)
        {
            throw new SpecificationException(architecture.Name, problems);
        }
        return [.. Walk.Through(architecture, size)];
    }

    /// <summary>The parts from the image to the place, which is the last of them.</summary>
    private static List<Part> UntilPlace(List<Part> parts, int stages, string place)
    {
        var last = parts.FindLastIndex(part => part is not HeadPart && part.Place == place);
        for (var stage = 1; last < 0 && stage <= stages; stage++)
        {
            // The stage may have no part at all; its map is then the one that comes to it.
            if (place == $"stage {stage}")
            {
                last = parts.FindLastIndex(
                    part => part is StemPart || StageOf(part) < stage || (StageOf(part) == stage && part is not TransitionPart));
            }
        }
        if (last < 0)
        {
            var places = string.Join("; ", Enumerable.Range(1, stages).Select(stage => $"stage {stage}")
                .Concat(parts.Where(part => part is not HeadPart).Select(part => part.Place)));
            throw new ArgumentException($"there is no place '{place}' with a map; use one of: {places}", nameof(place));
        }
        return parts[..(last + 1)];
    }

    /// <summary>The number in <c>stage 2, block 3</c>; beyond all stages for the head.</summary>
    internal static int StageOf(Part part) => part is HeadPart
        ? int.MaxValue
        : int.Parse(part.Place.Split(',')[0]["stage ".Length..], CultureInfo.InvariantCulture);

    private static PixelSet Backwards(IReadOnlyList<MixingStep> steps, PixelSet units) =>
        steps.Reverse().Aggregate(units, (set, step) => step.ReadsOf(set));

    private static TheoreticalField Theoretical(IReadOnlyList<MixingStep> steps, Func<ReadingPath, AxisRule> axis, long unit)
    {
        (long First, long Last)? field = (unit, unit);
        var stride = 1.0;
        foreach (var step in steps.Reverse())
        {
            stride = stride * step.Scale.Numerator / step.Scale.Denominator;
            if (field is { } read)
            {
                var paths = step.Paths.Select(path => axis(path).WithoutBorders(read.First, read.Last)).ToArray();
                field = paths.All(path => path is not null)
                    ? (paths.Min(path => path!.Value.First), paths.Max(path => path!.Value.Last))
                    : null;
            }
        }
        return field is var (first, last)
            ? new TheoreticalField(first, last - first + 1, stride)
            : new TheoreticalField(null, null, stride);
    }
}
