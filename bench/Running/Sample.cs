namespace LocalAttention.Bench.Running;

/// <summary>Repeated measurements of one time.</summary>
/// <param name="Milliseconds">Each of them, ascending.</param>
public sealed record Sample(IReadOnlyList<double> Milliseconds)
{
    /// <summary>From seconds in any order.</summary>
    public static Sample OfSeconds(IEnumerable<double> seconds) => new([.. seconds.Select(s => 1000 * s).Order()]);

    /// <summary>The middle.</summary>
    public double Median => Quantile(0.5);

    /// <summary>The interquartile range.</summary>
    public double Spread => Quantile(0.75) - Quantile(0.25);

    /// <summary>Between the two nearest measurements, linearly.</summary>
    private double Quantile(double share)
    {
        var place = share * (Milliseconds.Count - 1);
        var (below, above) = (Milliseconds[(int)Math.Floor(place)], Milliseconds[(int)Math.Ceiling(place)]);
        return below + ((place - Math.Floor(place)) * (above - below));
    }
}
