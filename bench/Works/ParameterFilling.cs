using LocalAttention.Core.Backbones;
using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Bench.Works;

/// <summary>Fills layers and models with the numbers that the peers have too, each parameter by its official name.</summary>
public static class ParameterFilling
{
    /// <summary>Fills every parameter but the fixed shifts.</summary>
    public static void Fill(nn.Module<Tensor, Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(module);
        using var withoutGradient = no_grad();
        foreach (var (name, parameter) in module.named_parameters())
        {
            if (name.EndsWith("dep_conv.weight", StringComparison.Ordinal))
            {
                continue;
            }
            using var scope = NewDisposeScope();
            var (naming, stored) = InFile(module, name);
            var shape = stored.ShapeOf(parameter.shape);
            var values = Counter.Filled(stored.Name, shape, Rule(naming, stored.Name, shape));
            parameter.copy_(stored.Layout switch
            {
                ParameterLayout.InputFirst => values.permute(1, 0),
                ParameterLayout.ChannelsLast => values.permute(3, 2, 0, 1),
                _ => values,
            });
        }
    }

    private static (ParameterNaming Naming, StoredParameter Stored) InFile(nn.Module<Tensor, Tensor> module, string name)
    {
        if (module is Backbone { Architecture: var architecture })
        {
            var naming = architecture.Conventions.Naming;
            return (naming, ParameterNames.InFile(architecture, name, naming));
        }
        return module is QnALayer
            ? (ParameterNaming.Flax, name.EndsWith(".weight", StringComparison.Ordinal)
                ? new StoredParameter(name.Replace(".weight", "/kernel", StringComparison.Ordinal), ParameterLayout.InputFirst)
                : new StoredParameter(name, ParameterLayout.Same))
            : (ParameterNaming.PyTorch, new StoredParameter(name, ParameterLayout.Same));
    }

    /// <summary>Matrices by what enters a sum, norms near one, biases small, tables and queries large.</summary>
    private static Func<double, double> Rule(ParameterNaming naming, string name, long[] shape)
    {
        var field = name[(name.LastIndexOfAny(['.', '/']) + 1)..];
        return (naming, field) switch
        {
            (ParameterNaming.Flax, "kernel" or "Wk") => Scaled(Math.Sqrt(3.0 / Product(shape[..^1]))),
            (ParameterNaming.Flax, "scale") => u => 1 + (0.1 * u),
            (ParameterNaming.Flax, "bias") => Scaled(0.1),
            (ParameterNaming.Flax, "query") => Scaled(1),
            (ParameterNaming.Flax, _) => Scaled(0.5),
            (_, "weight") when shape.Length > 1 => Scaled(Math.Sqrt(3.0 / Product(shape[1..]))),
            (_, "weight" or "gamma1" or "gamma2" or "gamma_1" or "gamma_2") => u => 1 + (0.1 * u),
            (_, "relative_position_bias_table" or "rpb" or "cls_token") => Scaled(0.5),
            _ when field.StartsWith("pos_embed", StringComparison.Ordinal) => Scaled(0.5),
            _ => Scaled(0.1),
        };
    }

    private static Func<double, double> Scaled(double factor) => u => u * factor;

    private static double Product(long[] sides) => sides.Aggregate(1.0, (product, side) => product * side);
}
