using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>
/// Under which shifts of the image a map shifts with it. An image can be shifted in two ways. It <em>moves</em> when the camera
/// does: what it holds goes on, and something new enters at the border; equal then are the tokens further from the border than
/// a band. It <em>rolls</em> as a torus: what leaves at one side enters at the other; equal then are all tokens.
/// </summary>
/// <remarks>
/// A shift of the image by <c>(down, right)</c> pixels shifts the map by the same number of pixels, so by
/// <c>(down, right) / Stride</c> tokens. The lattices hold for any parameters; parameters that are in no way special have no
/// other shifts, but that a QnA transition whose window holds the map is taken to be bound to its stride and the border.
/// </remarks>
/// <param name="Place">The stage, whose map is the one before its transition; <c>last map</c> for the one that enters the head.</param>
/// <param name="Map">Size of the map.</param>
/// <param name="Stride">Pixels between neighbouring tokens; below 1 where the map is finer than the image.</param>
/// <param name="Moved">Shifts under which the map moves with an image that moves, inside <paramref name="Border"/>.</param>
/// <param name="Border">
/// The band along the border whose tokens know of it: padding, masks, windows cut or moved inwards. It may be wider than the
/// image, where no token is inside and a larger image has some. Of no meaning along an axis without moves.
/// </param>
/// <param name="Rolled">Shifts under which the whole map rolls with an image that rolls.</param>
/// <param name="Reasons">What the layers of this stage, the stem or transition before it included, do to shifts.</param>
public sealed record MapEquivariance(
    string Place, ImageSize Map, double Stride, ShiftLattice Moved, BorderBand Border, ShiftLattice Rolled, ValueList<string> Reasons)
{
    /// <summary>Whether a token lies inside the border band of an image of the given size.</summary>
    public bool HasInside(ImageSize image) => Border.Top + Border.Bottom < image.Height && Border.Left + Border.Right < image.Width;
}

/// <summary>Under which rolls of the image the logits stay the same.</summary>
/// <param name="Rolled">
/// The rolls. An image that moves never keeps its logits exactly, as something enters that was not there.
/// </param>
/// <param name="Reasons">Why.</param>
public sealed record LogitsInvariance(ShiftLattice Rolled, ValueList<string> Reasons);

/// <summary>The shifts of the image to which a model's maps are equivariant and its logits invariant, computed from the value.</summary>
/// <param name="Image">The image's size, on which windows that hold the map, grids and padding depend.</param>
/// <param name="Stages">The map of each stage, before its transition.</param>
/// <param name="LastMap">The map that enters the head: the whole model but the head.</param>
/// <param name="Logits">The logits.</param>
public sealed record Equivariance(
    ImageSize Image, ValueList<MapEquivariance> Stages, MapEquivariance LastMap, LogitsInvariance Logits)
{
    /// <summary>The equivariance of an architecture.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    /// <exception cref="SpecificationException">The architecture has mistakes, or does not take the image.</exception>
    public static Equivariance Of(Architecture architecture, ImageSize? image = null)
    {
        var parts = ReceptiveField.Parts(architecture, image);
        var size = parts[0].Input.Size;
        var (down, right) = (new AxisShifts(size.Height), new AxisShifts(size.Width));
        var stages = new List<MapEquivariance>();
        var reasons = new EquivarianceReasons();
        var map = parts[0].Output.Size;
        foreach (var part in parts)
        {
            while (part is not StemPart && stages.Count < architecture.Stages.Count && IsBehind(part, stages.Count + 1))
            {
                stages.Add(OfMap($"stage {stages.Count + 1}", map, down, right, reasons));
                reasons = new EquivarianceReasons();
            }
            foreach (var step in Mixing.StepsOf(part))
            {
                var nextDown = down.Behind(step, [.. step.Paths.Select(path => path.Rows)]);
                var nextRight = right.Behind(step, [.. step.Paths.Select(path => path.Columns)]);
                reasons.Add(step, (down, nextDown), (right, nextRight));
                (down, right) = (nextDown, nextRight);
            }
            map = part.Output.Size;
        }
        var last = OfMap("last map", map, down, right, reasons);
        return new Equivariance(size, ValueList.From(stages), last, OfLogits(architecture.Head, last));
    }

    /// <summary>Whether a part comes after the blocks of a stage: its transition, a later stage, or the head.</summary>
    private static bool IsBehind(Part part, int stage) => part switch
    {
        HeadPart => true,
        TransitionPart => ReceptiveField.StageOf(part) >= stage,
        _ => ReceptiveField.StageOf(part) > stage,
    };

    private static MapEquivariance OfMap(
        string place, ImageSize map, AxisShifts down, AxisShifts right, EquivarianceReasons reasons)
    {
        var border = new BorderBand(down.BandBefore, down.BandAfter, right.BandBefore, right.BandAfter);
        return new MapEquivariance(
            place, map, (double)down.Stride.Numerator / down.Stride.Denominator,
            new ShiftLattice(down.Moves ? down.Period : null, right.Moves ? right.Period : null), border,
            new ShiftLattice(Rolls(down), Rolls(right)), reasons.Sentences);
    }

    /// <summary>A roll by the whole image is none.</summary>
    private static long? Rolls(AxisShifts axis) => axis.Rolls && axis.Period < axis.Pixels ? axis.Period : null;

    private static LogitsInvariance OfLogits(Head head, MapEquivariance last)
    {
        if (head is QnAPoolHead && last.Map != ImageSize.Square(1))
        {
            return new(ShiftLattice.None, ["the pooling window is the map, and its biases and scales tell places apart"]);
        }
        if (last.Rolled.IsNone)
        {
            return new(ShiftLattice.None, head is ClassTokenHead
                ? ["the class token attends to a map that does not roll with the image"]
                : ["the mean is over a map that does not roll with the image, so logits are nearly invariant at best"]);
        }
        return new(last.Rolled, [head is ClassTokenHead
            ? "the class token attends to all tokens, wherever they stand"
            : "the mean over all tokens does not know where they stand"]);
    }
}
