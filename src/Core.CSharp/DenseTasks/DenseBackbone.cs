using LocalAttention.Core.Backbones;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>A backbone as dense tasks use it: without classifier and class token.</summary>
internal static class DenseBackbone
{
    /// <summary>
    /// The architecture that is built. Its last norm stays, so that parameters keep their names; the pyramid does not use it.
    /// </summary>
    public static Architecture Of(Architecture architecture) => architecture with { Head = new AveragePoolHead(0) };

    /// <summary>
    /// Copies the parameters of a classifier of the same architecture. Its classifier and class token are left out, and the
    /// place embedding of that token with them.
    /// </summary>
    /// <exception cref="ArgumentException">The classifier's architecture is another one.</exception>
    public static void Copy(Backbone from, Backbone to)
    {
        ArgumentNullException.ThrowIfNull(from);
        if (Of(from.Architecture) != to.Architecture)
        {
            throw new ArgumentException(
                $"the parameters of '{from.Architecture.Name}' do not fit '{to.Architecture.Name}': the architectures differ; "
                + "use a model of the same architecture, of any number of classes", nameof(from));
        }
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var sources = from.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter);
        foreach (var (name, target) in to.named_parameters())
        {
            var source = sources[name];
            // The first row is the class token's.
            var rows = source.ndim == 3 ? source.size(1) - target.size(1) : 0;
            target.copy_(rows > 0 ? source.narrow(1, rows, target.size(1)) : source);
        }
    }
}
