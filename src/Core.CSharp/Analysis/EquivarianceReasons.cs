using System.Globalization;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>In words, what the layers of a stage do to shifts: one sentence for all blocks of a kind.</summary>
internal sealed class EquivarianceReasons
{
    private readonly List<(string What, List<string> Places, string Effect)> _groups = [];

    /// <summary>The sentences, in the order of the first layer of each.</summary>
    public ValueList<string> Sentences => ValueList.From(
        _groups.Where(group => group.Effect.Length > 0).Select(group => $"{Together(group.Places)}: {group.What}: {group.Effect}"));

    /// <summary>Takes note of a step, and of each axis before and behind it.</summary>
    public void Add(MixingStep step, (AxisShifts Before, AxisShifts Behind) down, (AxisShifts Before, AxisShifts Behind) right)
    {
        var (rows, columns) = (
            Effect(step, [.. step.Paths.Select(path => path.Rows)], down.Before, down.Behind),
            Effect(step, [.. step.Paths.Select(path => path.Columns)], right.Before, right.Behind));
        var effect = rows == columns ? rows : $"down, {OrNothing(rows)}; right, {OrNothing(columns)}";
        var stride = down.Before.Stride is var (numerator, denominator) && denominator == 1 ? $"{numerator}" : $"{numerator}/{denominator}";
        var what = step.Part is StemPart ? step.What : $"{step.What} at stride {stride}";
        var index = _groups.FindIndex(group => group.What == what && StageOf(group.Places[0]) == StageOf(step.Part.Place));
        if (index < 0)
        {
            _groups.Add((what, [step.Part.Place], effect));
        }
        else
        {
            _groups[index].Places.Add(step.Part.Place);
            // The last of a kind tells how wide the band has become; what leaves no shift is told by the first.
            if (step.TellsPlacesApart is null && !step.Paths.Any(path => path.Rows.IsWhole || path.Columns.IsWhole))
            {
                _groups[index] = _groups[index] with { Effect = effect };
            }
        }
    }

    private static string Effect(MixingStep step, AxisRule[] rules, AxisShifts before, AxisShifts behind)
    {
        var someLeft = before.Moves || before.Rolls;
        if (step.TellsPlacesApart is { } places)
        {
            return someLeft ? $"{places}, so no shift is left" : places;
        }
        if (rules.FirstOrDefault(rule => rule.IsWhole) is WholeRule whole)
        {
            return OfWhole(whole, before);
        }
        var effects = new List<string>();
        if (rules[0].Step > 1)
        {
            effects.Add($"shifts of {before.PixelsOf(rules[0].Step)} pixels");
        }
        var meetsBorder = rules.Any(rule => rule.Inside(0, rule.Inputs) != (0, rule.Outputs));
        var (wider, wide) = (
            (behind.BandBefore, behind.BandAfter) != (before.BandBefore, before.BandAfter),
            Math.Max(behind.BandBefore, behind.BandAfter));
        if (before.Moves && wider)
        {
            effects.Add(meetsBorder
                ? $"{step.Beyond}: only further than {wide} pixels from the border"
                : $"the band along the border widens to {wide} pixels");
        }
        if (before.Rolls && !behind.Rolls)
        {
            effects.Add(before.Moves && wider && meetsBorder ? "so no roll is left" : $"{step.Beyond}: no roll is left");
        }
        else if (before.Rolls && rules.Any(rule => rule is KernelRule { Border: BorderRule.Circular, Side: > 1 }))
        {
            effects.Add("everywhere on a torus");
        }
        return string.Join("; ", effects);
    }

    private static string OfWhole(WholeRule whole, AxisShifts before)
    {
        const string everything = "everything is seen from everywhere";
        if (whole.TellsPlacesApart is { } reason)
        {
            return before.Moves || before.Rolls ? $"{everything}, and {reason}, so no shift is left" : $"{everything}, and {reason}";
        }
        var entering = before.Moves ? $"{everything}, what enters at the border too" : everything;
        var pixels = before.PixelsOf(whole.Step);
        var by = pixels > before.Period ? $", by {pixels} pixels" : "";
        // A roll by the whole image is none.
        return (before.Moves, before.Rolls && pixels < before.Pixels) switch
        {
            (true, true) => $"{entering}: only rolls are left{by}",
            (true, false) => $"{entering}, so no shift is left",
            (false, true) when by.Length > 0 => $"{everything}: rolls{by}",
            (false, false) when before.Rolls => $"{everything}, in patches as large as the map, so no shift is left",
            _ => everything,
        };
    }

    private static string OrNothing(string effect) => effect.Length == 0 ? "nothing" : effect;

    private static string StageOf(string place) => place.Split(',')[0];

    /// <summary><c>stage 2, blocks 1 to 6</c>.</summary>
    private static string Together(List<string> places)
    {
        places = [.. places.Distinct()];
        if (places.Count == 1)
        {
            return places[0];
        }
        var numbers = places.Select(place => place.Split(' ')[^1]).ToArray();
        var (first, last) = (int.Parse(numbers[0], CultureInfo.InvariantCulture), int.Parse(numbers[^1], CultureInfo.InvariantCulture));
        var consecutive = numbers.Length > 2 && last - first == numbers.Length - 1;
        var text = consecutive ? $"{numbers[0]} to {numbers[^1]}" : $"{string.Join(", ", numbers[..^1])} and {numbers[^1]}";
        return $"{StageOf(places[0])}, blocks {text}";
    }
}
