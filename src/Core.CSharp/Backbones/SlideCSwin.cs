using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// CSWin with Slide Attention in place of stripes and enhanced values in its first two stages (arXiv 2304.04237).
/// </summary>
/// <remarks>
/// Guessed: no code of these models is published, and the numbers do not say which stages are meant. Stages 1 and 2 give
/// small and base the published parameters (34.7 million for 35, 77.4 for 78 as in CSWin-B itself) and merged FLOPs (6.8
/// for 6.9, 15.0); stage 1 alone would do as well. For tiny only a point of a plot is known, 4.14 GFLOPs, which these 4.35
/// do not reproduce.
/// </remarks>
public static class SlideCSwin
{
    /// <summary>22,334,722 parameters, of them 7,776 fixed shift weights; 4.3 GFLOPs at 224×224, merged.</summary>
    public static Architecture Tiny { get; } = Variants.Slide(CSwin.Tiny);

    /// <summary>34,671,644 parameters, of them 15,552 fixed; 6.8 GFLOPs, merged.</summary>
    public static Architecture Small { get; } = Variants.Slide(CSwin.Small);

    /// <summary>77,398,864 parameters, of them 11,664 fixed; 15.0 GFLOPs, merged.</summary>
    public static Architecture Base { get; } = Variants.Slide(CSwin.Base);
}
