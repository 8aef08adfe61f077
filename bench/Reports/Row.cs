using LocalAttention.Bench.Running;
using LocalAttention.Bench.Works;

namespace LocalAttention.Bench.Reports;

/// <summary>What was found about a work and one of its rivals. Serialised, its first nine members are <c>--json</c>'s.</summary>
public sealed record Row
{
    /// <summary>The work.</summary>
    public required string Work { get; init; }

    /// <summary>The rival.</summary>
    public required string Peer { get; init; }

    /// <summary>Whether the rival had the settings that help it.</summary>
    public required bool Tuned { get; init; }

    /// <summary>The median of our times.</summary>
    public required double OursMs { get; init; }

    /// <summary>The median of the rival's.</summary>
    public required double PeerMs { get; init; }

    /// <summary>
    /// How many times faster ours is: their time over ours. Where the rival is another work of ours, our time over its: how
    /// many times longer.
    /// </summary>
    public required double Ratio { get; init; }

    /// <summary>By how many bytes our resident memory grew at most; none: not measured.</summary>
    public required long? OursPeakBytes { get; init; }

    /// <summary>The rival's.</summary>
    public required long? PeerPeakBytes { get; init; }

    /// <summary>The shortest time that the machine's peaks allow, over ours.</summary>
    public required double RooflineFraction { get; init; }

    /// <summary>Interquartile range of our times, in milliseconds.</summary>
    public required double OursSpreadMs { get; init; }

    /// <summary>Interquartile range of the rival's.</summary>
    public required double PeerSpreadMs { get; init; }

    /// <summary>How many times of ours and of the rival's were measured.</summary>
    public required int[] Measurements { get; init; }

    /// <summary>By how much what both computed differs, relative to its size; none where they compute different things.</summary>
    public required double? Difference { get; init; }

    /// <summary>Whether that is rounding.</summary>
    public required bool Agrees { get; init; }

    /// <summary>The target of the ratio, as printed; none: reported alone.</summary>
    public required string? Target { get; init; }

    /// <summary>Whether the ratio meets it.</summary>
    public required bool? Met { get; init; }

    /// <summary>How many times less memory ours has to take.</summary>
    public required double? MemoryTarget { get; init; }

    /// <summary>Whether it does.</summary>
    public bool? MemoryMet => MemoryTarget is { } target && MemoryRatio is { } ratio ? ratio >= target : null;

    /// <summary>How many times less memory ours took.</summary>
    public double? MemoryRatio => OursPeakBytes is { } ours && PeerPeakBytes is { } peer ? (double)peer / Math.Max(1, ours) : null;

    /// <summary>From measurements.</summary>
    /// <param name="work">The work.</param>
    /// <param name="ours">Our times.</param>
    /// <param name="result">The rival's.</param>
    /// <param name="oursPeakBytes">Our memory.</param>
    /// <param name="peerPeakBytes">The rival's memory.</param>
    /// <param name="floorMilliseconds">The shortest time that the machine allows.</param>
    public static Row Of(
        Work work, Sample ours, RivalResult result, long? oursPeakBytes, long? peerPeakBytes, double floorMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentNullException.ThrowIfNull(ours);
        ArgumentNullException.ThrowIfNull(result);
        var rival = result.Rival;
        var ratio = rival.Where == Place.Here ? ours.Median / result.Times.Median : result.Times.Median / ours.Median;
        return new Row
        {
            Work = work.Name,
            Peer = rival.Name,
            Tuned = rival.IsTuned,
            OursMs = ours.Median,
            PeerMs = result.Times.Median,
            Ratio = ratio,
            OursPeakBytes = oursPeakBytes,
            PeerPeakBytes = peerPeakBytes,
            RooflineFraction = floorMilliseconds / ours.Median,
            OursSpreadMs = ours.Spread,
            PeerSpreadMs = result.Times.Spread,
            Measurements = [ours.Milliseconds.Count, result.Times.Milliseconds.Count],
            Difference = result.Difference,
            Agrees = result.Agrees,
            Target = rival.Target?.ToString(),
            Met = rival.Target?.IsMetBy(ratio),
            MemoryTarget = rival.MemoryTarget,
        };
    }
}

/// <summary>The members of a row that <c>--json</c> prints.</summary>
public sealed record BriefRow(
    string Work, string Peer, bool Tuned, double OursMs, double PeerMs, double Ratio,
    long? OursPeakBytes, long? PeerPeakBytes, double RooflineFraction)
{
    /// <summary>Of a row.</summary>
    public static BriefRow Of(Row row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return new(
            row.Work, row.Peer, row.Tuned, row.OursMs, row.PeerMs, row.Ratio, row.OursPeakBytes, row.PeerPeakBytes,
            row.RooflineFraction);
    }
}
