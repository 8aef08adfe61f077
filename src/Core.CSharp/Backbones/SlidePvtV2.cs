using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>PVTv2 with Slide Attention in all blocks of its first two stages (arXiv 2304.04237).</summary>
/// <remarks>
/// Inferred as <see cref="SlidePvt"/> is, and as surely: parameters of B1 and merged FLOPs of B1 to B4 are the published ones,
/// and so are B1's and B2's detection figures. One number differs: 22.8 million parameters are published for B2, and it has
/// 23.6, which the detection table agrees with. B0 and B5 follow the same rule without a published number. There is no
/// variant of B2-Linear.
/// </remarks>
public static class SlidePvtV2
{
    /// <summary>3,427,134 parameters, of them 10,368 fixed shift weights; 0.6 GFLOPs at 224×224, merged. Unpublished.</summary>
    public static Architecture B0 { get; } = Variants.Slide(PvtV2.B0);

    /// <summary>13,005,406 parameters, of them 20,736 fixed; 2.2 GFLOPs, merged.</summary>
    public static Architecture B1 { get; } = Variants.Slide(PvtV2.B1);

    /// <summary>23,606,475 parameters, of them 36,288 fixed; 4.2 GFLOPs, merged.</summary>
    public static Architecture B2 { get; } = Variants.Slide(PvtV2.B2);

    /// <summary>43,482,315 parameters, of them 36,288 fixed; 7.1 GFLOPs, merged.</summary>
    public static Architecture B3 { get; } = Variants.Slide(PvtV2.B3);

    /// <summary>59,795,731 parameters, of them 57,024 fixed; 10.3 GFLOPs, merged.</summary>
    public static Architecture B4 { get; } = Variants.Slide(PvtV2.B4);

    /// <summary>79,697,647 parameters, of them 46,656 fixed; 11.9 GFLOPs, merged. Unpublished.</summary>
    public static Architecture B5 { get; } = Variants.Slide(PvtV2.B5);
}
