using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Walks over a tensor's own memory, so that files and tensors exchange bytes without a buffer between them.</summary>
internal static class TensorMemory
{
    // A span counts its bytes in an int, so that larger tensors are seen in slices.
    private const long SliceElements = 1L << 27;

    public delegate void Visit(Span<byte> bytes, long offset);

    /// <param name="tensor">A contiguous tensor in main memory.</param>
    /// <param name="visit">Sees each slice and its offset in bytes from the tensor's start.</param>
    public static void ForEachSlice(torch.Tensor tensor, Visit visit)
    {
        var elements = tensor.NumberOfElements;
        if (elements == 0)
            return;
        if (elements <= SliceElements)
        {
            visit(tensor.bytes, 0);
        }
        else
        {
            using var flat = tensor.view(-1);
            for (long start = 0; start < elements; start += SliceElements)
            {
                using var slice = flat.narrow(0, start, Math.Min(SliceElements, elements - start));
                visit(slice.bytes, start * tensor.ElementSize);
            }
        }
        // The spans point into memory that the tensor owns.
        GC.KeepAlive(tensor);
    }
}
