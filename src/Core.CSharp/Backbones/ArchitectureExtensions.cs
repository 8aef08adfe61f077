using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>From the value to the model.</summary>
public static class ArchitectureExtensions
{
    /// <summary>The model of an architecture, with freshly initialised parameters.</summary>
    /// <param name="architecture">What to build.</param>
    /// <param name="dtype">Element type of the parameters; none: float32.</param>
    /// <param name="device">Where the parameters live; none: the CPU.</param>
    /// <param name="seed">
    /// Where the initialisation starts: the same seed gives the same parameters on every device, up to the rounding of the
    /// element type. It seeds the library's generator, as <c>torch.manual_seed</c> does. None: goes on from the
    /// generator's state.
    /// </param>
    /// <exception cref="SpecificationException">The architecture has mistakes; the message lists all of them.</exception>
    public static Backbone Build(this Architecture architecture, ScalarType? dtype = null, Device? device = null, long? seed = null)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        Validation.EnsureValid(architecture);
        if (seed is { } start)
        {
            manual_seed(start);
        }
        var backbone = new Backbone(architecture);
        // Initialised as float32 on the CPU whatever is asked for, so that a seed means the same everywhere.
        if (dtype is { } type && type != ScalarType.Float32)
        {
            backbone.to(type);
        }
        if (device is not null)
        {
            backbone.to(device);
        }
        foreach (var parameter in backbone.parameters())
        {
            parameter.DetachFromDisposeScope();
        }
        return backbone;
    }
}
