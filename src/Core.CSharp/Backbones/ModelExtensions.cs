using LocalAttention.Core.Kernels.Cuda.Driver;
using static TorchSharp.torch;

namespace LocalAttention.Core.Backbones;

/// <summary>What can be done with a built model.</summary>
public static class ModelExtensions
{
    /// <summary>
    /// The model with its inference recorded as CUDA graphs: for small models and batches, whose kernels take less time than
    /// their launches.
    /// </summary>
    /// <param name="model">The model; it stays what it is, and keeps its parameters.</param>
    /// <returns>A module to call in its place; its dispose frees the graphs and not the model.</returns>
    public static CompiledModel compile(this nn.Module<Tensor, Tensor> model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new CompiledModel(model, EngineGraphs.Current, onAnyDevice: false);
    }
}
