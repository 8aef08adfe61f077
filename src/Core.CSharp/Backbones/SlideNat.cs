using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>NAT with Slide Attention in its first stage, or in its first two (arXiv 2304.04237).</summary>
/// <remarks>
/// Ambiguous: no code of these models is published. Parameters round to the published ones either way. Merged FLOPs speak
/// for stage 1 alone (2.7, 4.3 and 7.8; with stage 2 they would round to 2.8, 4.4 and 7.9), but the published numbers are
/// also those of NAT itself, and every other backbone has stages 1 and 2. So both are here. Of base nothing is published.
/// </remarks>
public static class SlideNat
{
    private static readonly int[] First = [1];

    /// <summary>Slide Attention in stage 1: 20,000,494 parameters, of them 7,776 fixed shift weights; 2.7 GFLOPs, merged.</summary>
    public static Architecture MiniStage1 { get; } = Variants.Slide(Nat.Mini, "slide-nat-mini-s1", First);

    /// <summary>In stages 1 and 2: 20,020,974 parameters, of them 18,144 fixed; 2.8 GFLOPs, merged.</summary>
    public static Architecture MiniStages12 { get; } = Variants.Slide(Nat.Mini, "slide-nat-mini-s12");

    /// <summary>In stage 1: 27,917,902 parameters, of them 7,776 fixed; 4.3 GFLOPs, merged.</summary>
    public static Architecture TinyStage1 { get; } = Variants.Slide(Nat.Tiny, "slide-nat-tiny-s1", First);

    /// <summary>In stages 1 and 2: 27,938,382 parameters, of them 18,144 fixed; 4.4 GFLOPs, merged.</summary>
    public static Architecture TinyStages12 { get; } = Variants.Slide(Nat.Tiny, "slide-nat-tiny-s12");

    /// <summary>In stage 1: 50,759,137 parameters, of them 7,776 fixed; 7.8 GFLOPs, merged.</summary>
    public static Architecture SmallStage1 { get; } = Variants.Slide(Nat.Small, "slide-nat-small-s1", First);

    /// <summary>In stages 1 and 2: 50,778,337 parameters, of them 18,144 fixed; 7.9 GFLOPs, merged.</summary>
    public static Architecture SmallStages12 { get; } = Variants.Slide(Nat.Small, "slide-nat-small-s12");

    /// <summary>In stage 1: 89,785,012 parameters, of them 7,776 fixed; 13.8 GFLOPs, merged. Unpublished.</summary>
    public static Architecture BaseStage1 { get; } = Variants.Slide(Nat.Base, "slide-nat-base-s1", First);

    /// <summary>In stages 1 and 2: 89,802,932 parameters, of them 18,144 fixed; 13.8 GFLOPs, merged. Unpublished.</summary>
    public static Architecture BaseStages12 { get; } = Variants.Slide(Nat.Base, "slide-nat-base-s12");
}
