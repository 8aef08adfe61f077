using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// CSWin's names, which count stages from 1 and have each block's projections beside its norms:
/// <c>stage2.0.qkv.weight</c>, <c>stage2.0.attns.1.get_v.weight</c>, <c>merge2.conv.weight</c>.
/// </summary>
internal static class CSwinNames
{
    private const string Stem = "stage1_conv_embed";

    /// <summary>Whether a name is one of these, and no other naming's: every file has the stem.</summary>
    public static bool Recognise(string name) => name.StartsWith($"{Stem}.", StringComparison.Ordinal);

    /// <summary>The name of a parameter.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    public static string Of(Architecture architecture, string name)
    {
        var oneConvolution = architecture.Stem is ConvolutionStem { Convolutions.Count: 1 };
        return name.Split('.') switch
        {
            // A convolution, a change of axes, a norm: the official stem is a sequence.
            ["patch_embed", "convs", "0", var field] when oneConvolution => $"{Stem}.0.{field}",
            ["patch_embed", "norms", "0", var field] when oneConvolution => $"{Stem}.2.{field}",
            ["patch_embed", .. var rest] => Joined(Stem, rest),
            ["layers", var s, .. var rest] when ParameterNames.At(architecture.Stages, s) is { } stage =>
                InStage(stage, int.Parse(s) + 1, rest),
            _ => name,
        };
    }

    private static string InStage(Stage stage, int number, string[] rest) => rest switch
    {
        ["blocks", var b, "attn", .. var inner] when ParameterNames.At(stage.Blocks, b) is { } block =>
            Joined($"stage{number}.{b}", InAttention(block.Attention, inner)),
        ["blocks", .. var inner] => Joined($"stage{number}", inner),
        ["downsample", "reduction", var field] when stage.Transition is StridedConvolution => $"merge{number}.conv.{field}",
        ["downsample", .. var inner] => Joined($"merge{number}", inner),
        _ => Joined($"stage{number}", rest),
    };

    private static string[] InAttention(Attention attention, string[] rest) => (attention, rest) switch
    {
        (CrossShapedAttention or GlobalAttention, ["qkv" or "proj", _]) => rest,
        (CrossShapedAttention, ["get_v_vertical", var field]) => ["attns", "0", "get_v", field],
        (CrossShapedAttention, ["get_v_horizontal", var field]) => ["attns", "1", "get_v", field],
        (GlobalAttention, ["get_v", var field]) => ["attns", "0", "get_v", field],
        _ => ["attn", .. rest],
    };

    private static string Joined(string first, string[] rest) => $"{first}.{string.Join('.', rest)}";
}
