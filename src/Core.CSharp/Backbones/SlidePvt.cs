using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// PVT with Slide Attention in all blocks of its first two stages (arXiv 2304.04237).
/// </summary>
/// <remarks>
/// <para>
/// Inferred: no code of these models is published, only their parameters, FLOPs and accuracy. Stages 1 and 2 with windows of
/// 3×3, the reduction of their keys dropped, give the published numbers to the last digit: parameters of tiny and small
/// (12.2, 22.7 million), FLOPs with both convolutions merged of tiny, small and medium (2.0, 4.0, 6.8), and what the
/// detection and segmentation tables take off the backbone's FLOPs. Stage 1 alone, or stages 1 to 3, give others. Large
/// follows the same rule without a published number.
/// </para>
/// <para>Not known: the heads of these stages, kept as they are here. Twice as many would change less than 0.05 million
/// parameters and no FLOPs.</para>
/// </remarks>
public static class SlidePvt
{
    /// <summary>12,225,694 parameters, of them 20,736 fixed shift weights; 2.0 GFLOPs at 224×224, merged.</summary>
    public static Architecture Tiny { get; } = Variants.Slide(Pvt.Tiny);

    /// <summary>22,729,483 parameters, of them 36,288 fixed; 4.0 GFLOPs, merged.</summary>
    public static Architecture Small { get; } = Variants.Slide(Pvt.Small);

    /// <summary>42,451,723 parameters, of them 36,288 fixed; 6.8 GFLOPs, merged.</summary>
    public static Architecture Medium { get; } = Variants.Slide(Pvt.Medium);

    /// <summary>58,608,979 parameters, of them 57,024 fixed; 10.1 GFLOPs, merged. Nothing is published of it.</summary>
    public static Architecture Large { get; } = Variants.Slide(Pvt.Large);
}
