namespace LocalAttention.Core.Analysis;

/// <summary>
/// What one axis of a map has kept of the image's shifts: a value, from which each step makes the next.
/// </summary>
/// <param name="Pixels">Pixels of the image along the axis.</param>
internal readonly record struct AxisShifts(int Pixels)
{
    /// <summary>Pixels that every shift must be a multiple of.</summary>
    public long Period { get; private init; } = 1;

    /// <summary>Whether maps roll as the image rolls.</summary>
    public bool Rolls { get; private init; } = true;

    /// <summary>Whether maps move inside the border band as the image moves.</summary>
    public bool Moves { get; private init; } = true;

    /// <summary>Pixels per token, as a fraction in lowest terms.</summary>
    public (long Numerator, long Denominator) Stride { get; private init; } = (1, 1);

    /// <summary>The first token that knows nothing of the border.</summary>
    public long First { get; private init; }

    /// <summary>The token behind the last that knows nothing of the border.</summary>
    public long End { get; private init; } = Pixels;

    /// <summary>Pixels before the first token that knows nothing of the border.</summary>
    public long BandBefore => Math.Max(0, CeilingOf(First * Stride.Numerator, Stride.Denominator));

    /// <summary>Pixels behind the last one.</summary>
    public long BandAfter => Math.Max(0, Pixels - FloorOf(End * Stride.Numerator, Stride.Denominator));

    /// <summary>Pixels that a shift by some tokens is, at least one.</summary>
    public long PixelsOf(long tokens)
    {
        // Tokens = pixels · denominator / numerator must be a multiple of these.
        var pixels = tokens * Stride.Numerator;
        return pixels / GreatestCommonDivisor(pixels, Stride.Denominator);
    }

    /// <summary>Behind a step whose paths have these rules.</summary>
    public AxisShifts Behind(MixingStep step, IReadOnlyList<AxisRule> rules)
    {
        var (period, first, end) = (Period, 0L, (long)int.MaxValue);
        foreach (var rule in rules)
        {
            var inside = rule.Inside(First, End);
            (first, end) = (Math.Max(first, inside.First), Math.Min(end, inside.End));
            period = LeastCommonMultiple(period, PixelsOf(rule.Step));
        }
        var (numerator, denominator) = (Stride.Numerator * step.Scale.Numerator, Stride.Denominator * step.Scale.Denominator);
        var common = GreatestCommonDivisor(numerator, denominator);
        return this with
        {
            Period = period,
            Rolls = Rolls && step.TellsPlacesApart is null && rules.All(rule => rule.RollStep is not null),
            Moves = Moves && step.TellsPlacesApart is null && !rules.Any(rule => rule.IsWhole),
            Stride = (numerator / common, denominator / common),
            First = first,
            End = end,
        };
    }

    private static long GreatestCommonDivisor(long one, long other) => other == 0 ? one : GreatestCommonDivisor(other, one % other);

    private static long LeastCommonMultiple(long one, long other) => one / GreatestCommonDivisor(one, other) * other;

    private static long FloorOf(long number, long divisor) => (number / divisor) - (number % divisor < 0 ? 1 : 0);

    private static long CeilingOf(long number, long divisor) => -FloorOf(-number, divisor);
}
