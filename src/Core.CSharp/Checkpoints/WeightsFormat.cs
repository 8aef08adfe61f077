namespace LocalAttention.Core.Checkpoints;

/// <summary>The formats of checkpoints that are read.</summary>
public enum WeightsFormat
{
    /// <summary>Safetensors: a JSON header, then bytes. Read and written; the one that also holds texts.</summary>
    Safetensors,

    /// <summary>What <c>torch.save</c> writes: a pickle and storages, in a zip file or, before PyTorch 1.6, in a row. Read.</summary>
    PyTorch,

    /// <summary>What <c>flax.serialization.msgpack_serialize</c> writes: nested maps in MessagePack. Read and written.</summary>
    Flax,
}
