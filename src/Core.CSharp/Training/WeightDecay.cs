using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Training;

/// <summary>Which parameters decay: as the official code of each naming says.</summary>
public static class WeightDecay
{
    private static readonly string[] QnATables = ["attn_scale_weights", "rpe_bias", "absolute_pos_embedding"];

    /// <summary>Whether a parameter decays.</summary>
    /// <param name="architecture">The model; its conventions' naming decides.</param>
    /// <param name="name">The parameter's name in the model.</param>
    /// <param name="rank">The number of its dimensions.</param>
    /// <remarks>
    /// With Flax's naming everything does but QnA's scales and position tables, norms and biases included
    /// (<c>optim_wd_ignore</c>). With PyTorch's, vectors, biases and position tables do not
    /// (<c>set_weight_decay_and_lr</c>); that code knows no QnA, whose tables are left out there too.
    /// </remarks>
    public static bool AppliesTo(Architecture architecture, string name, int rank)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        ArgumentNullException.ThrowIfNull(name);
        if (architecture.Conventions.Naming == ParameterNaming.Flax)
        {
            var path = ParameterNames.ToFlax(architecture, name)?.Name ?? name;
            return !QnATables.Contains(path[(path.LastIndexOfAny(['/', '.']) + 1)..]);
        }
        return rank > 1
            && !name.EndsWith(".bias", StringComparison.Ordinal)
            && !name.EndsWith("relative_position_bias_table", StringComparison.Ordinal)
            && !QnATables.Any(table => name.EndsWith($".{table}", StringComparison.Ordinal));
    }
}
