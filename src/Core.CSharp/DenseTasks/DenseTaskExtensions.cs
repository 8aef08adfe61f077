using LocalAttention.Core.Backbones;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.DenseTasks;

/// <summary>From the values of dense tasks to their models.</summary>
public static class DenseTaskExtensions
{
    /// <summary>The model of a feature pyramid, with freshly initialised parameters.</summary>
    /// <param name="pyramid">What to build.</param>
    /// <param name="dtype">Element type of the parameters; none: float32.</param>
    /// <param name="device">Where the parameters live; none: the CPU.</param>
    /// <param name="seed">Where the initialisation starts; none: the generator's state.</param>
    /// <exception cref="SpecificationException">The backbone has mistakes.</exception>
    public static FeaturePyramidModel Build(
        this FeaturePyramid pyramid, ScalarType? dtype = null, Device? device = null, long? seed = null)
    {
        ArgumentNullException.ThrowIfNull(pyramid);
        pyramid.RequireValid();
        return Convert(new FeaturePyramidModel(pyramid, DenseBackbone.Of(pyramid.Backbone).Build(seed: seed)), dtype, device);
    }

    /// <summary>The model of semantic FPN, with freshly initialised parameters.</summary>
    /// <param name="semantic">What to build.</param>
    /// <param name="dtype">Element type of the parameters; none: float32.</param>
    /// <param name="device">Where the parameters live; none: the CPU.</param>
    /// <param name="seed">Where the initialisation starts; none: the generator's state.</param>
    /// <exception cref="SpecificationException">The backbone or the head has mistakes.</exception>
    public static SemanticFpnModel Build(
        this SemanticFpn semantic, ScalarType? dtype = null, Device? device = null, long? seed = null)
    {
        ArgumentNullException.ThrowIfNull(semantic);
        _ = semantic.Parts();
        return Convert(new SemanticFpnModel(semantic, DenseBackbone.Of(semantic.Backbone).Build(seed: seed)), dtype, device);
    }

    /// <summary>Initialised as float32 on the CPU whatever is asked for, so that a seed means the same everywhere.</summary>
    private static TModel Convert<TModel>(TModel model, ScalarType? dtype, Device? device)
        where TModel : nn.Module
    {
        if (dtype is { } type && type != ScalarType.Float32)
        {
            model.to(type);
        }
        if (device is not null)
        {
            model.to(device);
        }
        foreach (var parameter in model.parameters())
        {
            parameter.DetachFromDisposeScope();
        }
        foreach (var buffer in model.buffers())
        {
            buffer.DetachFromDisposeScope();
        }
        return model;
    }
}
