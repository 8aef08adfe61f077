using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Making one tensor of many examples.</summary>
internal static class Batching
{
    /// <summary>The tensors along a new first dimension, on the device.</summary>
    internal static Tensor Stack(IEnumerable<Tensor> examples, Device device)
    {
        using var scope = NewDisposeScope();
        var stacked = stack(examples.ToArray(), 0);
        if (stacked.device_type != device.type || stacked.device_index != device.index)
            stacked = stacked.to(device);
        return stacked.MoveToOuterDisposeScope();
    }
}
