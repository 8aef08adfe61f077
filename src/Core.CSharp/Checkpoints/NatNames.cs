using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// NAT's and DiNAT's names: <c>patch_embed.proj.0.weight</c>, <c>levels.1.blocks.0.attn.rpb</c>,
/// <c>levels.1.blocks.0.gamma1</c>, <c>levels.1.downsample.reduction.weight</c>.
/// </summary>
internal static class NatNames
{
    /// <summary>Whether a name is one of these, and no other naming's: every file has a stage.</summary>
    public static bool Recognise(string name) => name.StartsWith("levels.", StringComparison.Ordinal);

    /// <summary>The name of a parameter.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    public static string Of(Architecture architecture, string name) => name.Split('.') switch
    {
        ["patch_embed", "convs", var index, var field] => $"patch_embed.proj.{index}.{field}",
        ["patch_embed", "norms", "0", var field] when architecture.Stem is ConvolutionStem { ActivatedBetween: false } =>
            $"patch_embed.norm.{field}",
        ["layers", var stage, "blocks", var block, ("gamma_1" or "gamma_2") and var scale] =>
            $"levels.{stage}.blocks.{block}.{scale.Replace("_", "", StringComparison.Ordinal)}",
        ["layers", .. var rest] => $"levels.{string.Join('.', rest)}",
        _ => name,
    };
}
