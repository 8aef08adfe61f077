using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Training;

/// <summary>Which parameters decay: as the official code of each naming says.</summary>
public static class WeightDecay
{
    private static readonly string[] QnATables = ["attn_scale_weights", "rpe_bias", "absolute_pos_embedding"];
    private static readonly string[] PositionTables = ["relative_position_bias_table", "rpb", "cls_token"];

    /// <summary>Whether a parameter decays.</summary>
    /// <param name="architecture">The model; its conventions' naming decides.</param>
    /// <param name="name">The parameter's name in the model.</param>
    /// <param name="rank">The number of its dimensions.</param>
    /// <remarks>
    /// With Flax's naming everything does but QnA's scales and position tables, norms and biases included
    /// (<c>optim_wd_ignore</c>). With the others, all of PyTorch's, vectors, biases, class tokens and position tables do not
    /// (<c>set_weight_decay_and_lr</c>, <c>no_weight_decay</c>, and NAT's <c>no_weight_decay_keywords</c>, although the
    /// optimizer's factory that NAT was trained with does not ask for those); those codes know no QnA, whose tables are left
    /// out there too. Embeddings of places decay with PVT's naming alone: its list has the class token only.
    /// </remarks>
    public static bool AppliesTo(Architecture architecture, string name, int rank)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        ArgumentNullException.ThrowIfNull(name);
        if (architecture.Conventions.Naming == ParameterNaming.Flax)
        {
            var path = ParameterNames.TryInFile(architecture, name, ParameterNaming.Flax)?.Name ?? name;
            return !QnATables.Contains(LastOf(path));
        }
        var last = LastOf(name);
        return rank > 1
            && last != "bias"
            && !QnATables.Contains(last)
            && !PositionTables.Contains(last)
            && (last != "pos_embed" || architecture.Conventions.Naming == ParameterNaming.Pvt);
    }

    private static string LastOf(string name) => name[(name.LastIndexOfAny(['/', '.']) + 1)..];
}
