namespace LocalAttention.Bench.Works;

/// <summary>
/// What a work computed, in a few numbers: two implementations that compute the same thing have the same digest, up to
/// rounding.
/// </summary>
/// <param name="Entries">Each number, with the size that its rounding errors are relative to.</param>
public sealed record Digest(IReadOnlyList<(double Value, double Size)> Entries)
{
    /// <summary>
    /// Relative to the size: products with fixed random directions gather a share of the error of each element. float32
    /// rounds to 6e-8, and the longest chain, a training step of 12 blocks, has some hundred roundings of sums each way:
    /// below 2e-5. A wrong offset, head or channel changes the number by its whole size.
    /// </summary>
    private const double Tolerance = 2e-5;

    /// <summary>The largest difference over the size.</summary>
    public double DifferenceFrom(Digest other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Entries.Count != other.Entries.Count
            ? double.PositiveInfinity
            : Entries.Zip(other.Entries, (a, b) => Math.Abs(a.Value - b.Value) / Math.Max(1e-30, b.Size)).Max();
    }

    /// <summary>Whether both computed the same.</summary>
    public bool AgreesWith(Digest other) => DifferenceFrom(other) <= Tolerance;
}
