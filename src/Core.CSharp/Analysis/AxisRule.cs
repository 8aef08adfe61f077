using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>
/// Along one axis, which of a map's tokens a token of the next map reads, and what shifts that survives. Layers read rows and
/// columns independently of each other, so two rules tell all of a layer, or two pairs where it has two paths.
/// </summary>
/// <param name="Inputs">Tokens that enter along the axis.</param>
/// <param name="Outputs">Tokens that leave.</param>
internal abstract record AxisRule(int Inputs, int Outputs)
{
    /// <summary>Whether every output reads every input, so that what enters at one border is seen at the other.</summary>
    public virtual bool IsWhole => false;

    /// <summary>Input tokens that a shift must be a multiple of; the same number of pixels later.</summary>
    public abstract int Step { get; }

    /// <summary>Input tokens that a roll of the map, taken as a torus, must be a multiple of; none: no roll survives.</summary>
    public abstract int? RollStep { get; }

    /// <summary>The inputs that an output reads, all of them on the map; some may come twice.</summary>
    public abstract IEnumerable<int> Reads(int output);

    /// <summary>
    /// The outputs that read only inputs from <paramref name="first"/> to below <paramref name="end"/>, and none beyond them; the
    /// end may come before the first where there are none.
    /// </summary>
    public abstract (long First, long End) Inside(long first, long end);

    /// <summary>
    /// What the outputs from <paramref name="first"/> to <paramref name="last"/> read on a map without borders, whose token 0 is
    /// this map's; none: everything.
    /// </summary>
    public abstract (long First, long Last)? WithoutBorders(long first, long last);

    /// <summary>The reads of each output as bits.</summary>
    public ulong[][] Masks()
    {
        var masks = new ulong[Outputs][];
        for (var output = 0; output < Outputs; output++)
        {
            masks[output] = new ulong[PixelSet.WordsFor(Inputs)];
            foreach (var input in Reads(output))
            {
                PixelSet.Set(masks[output], input);
            }
        }
        return masks;
    }

    /// <summary>The quotient, rounded to the lower number also below 0.</summary>
    protected static long Floor(long number, long divisor) =>
        (number / divisor) - (number % divisor < 0 ? 1 : 0);
}

/// <summary>What a kernel finds beyond the border.</summary>
internal enum BorderRule
{
    /// <summary>Nothing that depends on the map: zeros, or a mask; or the edge token, which it reads anyway.</summary>
    Ends,

    /// <summary>The opposite edge.</summary>
    Circular,

    /// <summary>The map mirrored at the edge token.</summary>
    Reflects,

    /// <summary>It is moved inwards by whole steps, as in neighbourhood attention.</summary>
    MovesInwards,
}

/// <summary>
/// Output <c>o</c> reads <c>⌊o/u⌋·stride − before + t·dilation</c> for <c>t</c> from 0 below <paramref name="Side"/>: convolutions,
/// patches, and all windows that move with their token.
/// </summary>
internal sealed record KernelRule(int Inputs, int Outputs, int Side, int Stride, int Before) : AxisRule(Inputs, Outputs)
{
    public int Dilation { get; init; } = 1;

    public int Upsampling { get; init; } = 1;

    public BorderRule Border { get; init; }

    public override int Step => Stride;

    public override int? RollStep =>
        (long)Outputs * Stride == (long)Inputs * Upsampling
        && (Border == BorderRule.Circular || Inside(0, Inputs) == (0, Outputs))
            ? Stride
            : null;

    /// <summary>A window of odd side around each token of a map.</summary>
    public static KernelRule Around(int length, int side, BorderRule border = BorderRule.Ends) =>
        new(length, length, side, 1, side / 2) { Border = border };

    public override IEnumerable<int> Reads(int output)
    {
        if (Border == BorderRule.MovesInwards)
        {
            return Neighbourhood(output);
        }
        return Enumerable.Range(0, Side)
            .Select(sample => Resolve(Start(output) + ((long)sample * Dilation)))
            .Where(input => input >= 0 && input < Inputs);
    }

    public override (long First, long End) Inside(long first, long end)
    {
        var places = Floor(end - 1 + Before - ((long)(Side - 1) * Dilation), Stride) + 1;
        return (-Floor(-(first + Before), Stride) * Upsampling, Math.Min(Outputs, places * Upsampling));
    }

    public override (long First, long Last)? WithoutBorders(long first, long last) =>
        ((Floor(first, Upsampling) * Stride) - Before,
            (Floor(last, Upsampling) * Stride) - Before + ((long)(Side - 1) * Dilation));

    private long Start(int output) => ((long)(output / Upsampling) * Stride) - Before;

    private int Resolve(long position) => Border switch
    {
        BorderRule.Circular => (int)((position + Inputs) % Inputs),
        BorderRule.Reflects when position < 0 => (int)-position,
        BorderRule.Reflects when position >= Inputs => (int)((2L * (Inputs - 1)) - position),
        _ when position < 0 || position >= Inputs => -1,
        _ => (int)position,
    };

    /// <summary>
    /// Tokens of one residue form a sequence, in which the window is moved so far that it lies inside. A map that is too small
    /// has been padded to <c>side·dilation</c>; the padding is read, but it is no token of the map.
    /// </summary>
    private IEnumerable<int> Neighbourhood(int output)
    {
        var padded = Math.Max(Inputs, Side * Dilation);
        var (place, residue) = (output / Dilation, output % Dilation);
        var length = (padded - residue + Dilation - 1) / Dilation;
        var first = Math.Clamp(place - (Side / 2), 0, length - Side);
        return Enumerable.Range(first, Side).Select(index => residue + (index * Dilation)).Where(input => input < Inputs);
    }
}

/// <summary>
/// Tokens read those of their own window: windows of <paramref name="Side"/> that lie side by side, their borders moved by
/// <paramref name="Shift"/>, cut where the map ends.
/// </summary>
internal sealed record PartitionRule(int Length, int Side, int Shift) : AxisRule(Length, Length)
{
    public override int Step => Side;

    public override int? RollStep => Shift == 0 && Length % Side == 0 ? Side : null;

    public override IEnumerable<int> Reads(int output)
    {
        var (first, last) = Window(output);
        first = Math.Max(0, first);
        return Enumerable.Range((int)first, (int)(Math.Min(Length - 1, last) - first) + 1);
    }

    public override (long First, long End) Inside(long first, long end) =>
        ((-Floor(-(first - Shift), Side) * Side) + Shift, (Floor(end - Shift, Side) * Side) + Shift);

    public override (long First, long Last)? WithoutBorders(long first, long last) => (Window(first).First, Window(last).Last);

    private (long First, long Last) Window(long token)
    {
        var first = (Floor(token - Shift, Side) * Side) + Shift;
        return (first, first + Side - 1);
    }
}

/// <summary>Every output reads every input.</summary>
internal sealed record WholeRule : AxisRule
{
    private WholeRule(int length, int? rollStep, string? tellsPlacesApart)
        : base(length, length) => (RollStep, TellsPlacesApart) = (rollStep, tellsPlacesApart);

    /// <summary>Why no roll survives; none where some do.</summary>
    public string? TellsPlacesApart { get; }

    public override bool IsWhole => true;

    public override int Step => RollStep ?? 1;

    public override int? RollStep { get; }

    /// <summary>Inputs that are read alike after a roll by multiples of some tokens.</summary>
    public static WholeRule Rolling(int length, int step) => new(length, step, null);

    /// <summary>Inputs that are read by their places.</summary>
    public static WholeRule Fixed(int length, string tellsPlacesApart) => new(length, null, tellsPlacesApart);

    public override IEnumerable<int> Reads(int output) => Enumerable.Range(0, Inputs);

    public override (long First, long End) Inside(long first, long end) => (Inputs, 0);

    public override (long First, long Last)? WithoutBorders(long first, long last) => null;
}
