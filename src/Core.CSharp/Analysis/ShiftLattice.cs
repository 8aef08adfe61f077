namespace LocalAttention.Core.Analysis;

/// <summary>
/// Shifts of an image: down by multiples of one number of pixels, to the right by multiples of another, upwards and to the left
/// alike.
/// </summary>
/// <param name="Down">Pixels that a shift down is a multiple of; none: there is no shift down.</param>
/// <param name="Right">Pixels that a shift to the right is a multiple of; none: there is no shift to the right.</param>
public readonly record struct ShiftLattice(long? Down, long? Right)
{
    /// <summary>No shift at all.</summary>
    public static ShiftLattice None => default;

    /// <summary>Whether only the image as it stands is in the lattice.</summary>
    public bool IsNone => Down is null && Right is null;

    /// <summary>Whether a shift is in the lattice; no shift always is.</summary>
    public bool Contains(long down, long right) => IsMultiple(down, Down) && IsMultiple(right, Right);

    /// <summary><c>every 4 pixels</c>; <c>every 4 pixels down, none right</c>; <c>none</c>.</summary>
    public override string ToString() => (Down, Right) switch
    {
        (null, null) => "none",
        var (down, right) when down == right => Every(down),
        var (down, right) => $"{Every(down)} down, {Every(right)} right",
    };

    private static bool IsMultiple(long shift, long? step) => shift == 0 || (step is { } pixels && shift % pixels == 0);

    private static string Every(long? step) => step switch
    {
        null => "none",
        1 => "every pixel",
        { } pixels => $"every {pixels} pixels",
    };
}

/// <summary>Pixels along each border of an image.</summary>
/// <param name="Top">Rows from the top.</param>
/// <param name="Bottom">Rows from the bottom.</param>
/// <param name="Left">Columns from the left.</param>
/// <param name="Right">Columns from the right.</param>
public readonly record struct BorderBand(long Top, long Bottom, long Left, long Right)
{
    /// <summary>The widest of the four.</summary>
    public long Widest => Math.Max(Math.Max(Top, Bottom), Math.Max(Left, Right));

    /// <summary><c>12 pixels</c>, or each border's.</summary>
    public override string ToString() => Top == Bottom && Top == Left && Top == Right
        ? $"{Top} pixels"
        : $"{Top} at the top, {Bottom} at the bottom, {Left} left, {Right} right";
}
