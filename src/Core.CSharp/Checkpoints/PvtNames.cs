using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// PVT's and PVTv2's names, which count stages from 1 and put each stage's patches before it:
/// <c>patch_embed2.proj.weight</c>, <c>pos_embed2</c>, <c>block2.0.attn.kv.weight</c>, <c>norm2.weight</c>.
/// </summary>
internal static class PvtNames
{
    /// <summary>Whether a name is one of these, and no other naming's: every file has the first patches.</summary>
    public static bool Recognise(string name) => name.StartsWith("patch_embed1.", StringComparison.Ordinal);

    /// <summary>The name of a parameter.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    public static string Of(Architecture architecture, string name) => name.Split('.') switch
    {
        ["patch_embed", .. var rest] =>
            Joined("patch_embed1", Patches(rest, architecture.Stem is ConvolutionStem { Convolutions.Count: 1 })),
        ["layers", var s, .. var rest] when int.TryParse(s, out var stage) => InStage(architecture, stage, rest),
        ["norm", var field] when NumbersLastNorm(architecture) => $"norm{architecture.Stages.Count}.{field}",
        _ => name,
    };

    private static string InStage(Architecture architecture, int stage, string[] rest) => rest switch
    {
        ["blocks", var block, "mlp", "dwconv", var field] => $"block{stage + 1}.{block}.mlp.dwconv.dwconv.{field}",
        ["blocks", .. var inner] => Joined($"block{stage + 1}", inner),
        ["downsample", "reduction", var field] when architecture.Stages[stage].Transition is StridedConvolution =>
            $"patch_embed{stage + 2}.proj.{field}",
        ["downsample", .. var inner] => Joined($"patch_embed{stage + 2}", inner),
        ["pos_embed"] => $"pos_embed{stage + 1}",
        ["norm", var field] => $"norm{stage + 1}.{field}",
        _ => Joined($"layers.{stage}", rest),
    };

    /// <summary>A stem of one convolution has PVTv2's names; those of patches are the model's own.</summary>
    private static string[] Patches(string[] rest, bool oneConvolution) => rest switch
    {
        ["convs", "0", var field] when oneConvolution => ["proj", field],
        ["norms", "0", var field] when oneConvolution => ["norm", field],
        _ => rest,
    };

    /// <summary>Where stages have norms, the head's is that of the last stage, as in PVTv2.</summary>
    private static bool NumbersLastNorm(Architecture architecture) =>
        architecture.Stages.Any(stage => stage.Norm) && !architecture.Stages[^1].Norm;

    private static string Joined(string first, string[] rest) => $"{first}.{string.Join('.', rest)}";
}
