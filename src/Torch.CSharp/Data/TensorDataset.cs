using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Tensors of equal first dimension; an example is the slice of each of them at one position.</summary>
public class TensorDataset : utils.data.IterableDataset
{
    private readonly Tensor[] _tensors;

    internal TensorDataset(Tensor[] tensors)
    {
        if (tensors is null or [])
            throw new ArgumentNullException(nameof(tensors), "A TensorDataset needs at least one tensor.");
        if (Array.Exists(tensors, tensor => tensor.shape[0] != tensors[0].shape[0]))
            throw new ArgumentException(
                $"All tensors must have the same first dimension, not {string.Join(", ", tensors.Select(tensor => tensor.shape[0]))}.", nameof(tensors));
        // Handles of its own, so that the caller may dispose theirs.
        _tensors = Array.ConvertAll(tensors, tensor => tensor.alias().DetachFromDisposeScope());
    }

    public override long Count => _tensors[0].shape[0];

    /// <summary>The example at a position.</summary>
    public IList<Tensor> this[long index] => Array.ConvertAll(_tensors, tensor => tensor[index]).ToList();

    public override IList<Tensor> GetTensor(long index) => this[index];

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            foreach (var tensor in _tensors)
                tensor.Dispose();
        base.Dispose(disposing);
    }
}
