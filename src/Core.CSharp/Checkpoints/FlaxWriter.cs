using System.Globalization;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Writes tensors as Flax does: maps in the order of their keys, arrays as extensions, large ones in pieces.</summary>
internal sealed class FlaxWriter(Stream stream, long largestChunk)
{
    /// <summary>The bytes above which Flax writes an array in pieces.</summary>
    public const long LargestChunk = 1L << 30;

    private readonly MessagePackWriter _writer = new(stream);

    /// <summary>A map, or a tensor at its end.</summary>
    internal sealed class Node
    {
        public SortedDictionary<string, Node> Children { get; } = new(StringComparer.Ordinal);

        public torch.Tensor? Tensor { get; set; }

        /// <summary>The bytes of all tensors in it.</summary>
        public long Bytes =>
            Tensor is null ? Children.Values.Sum(child => child.Bytes) : Tensor.NumberOfElements * Tensor.ElementSize;
    }

    /// <summary>The tree that names with '/' describe.</summary>
    /// <exception cref="ArgumentException">A name stands twice or is inside another, or Flax has no such type.</exception>
    public static Node Arrange(IEnumerable<(string Name, torch.Tensor Tensor)> tensors)
    {
        var root = new Node();
        foreach (var (name, tensor) in tensors)
        {
            if (NumpyType.NameOf(tensor.dtype) is null)
            {
                throw new ArgumentException(
                    $"tensor '{name}' has elements of type {tensor.dtype}; a Flax file takes {NumpyType.AllNames}", nameof(tensors));
            }
            var keys = name.Split('/');
            if (keys.Length > FlaxTree.DeepestNesting)
                throw new ArgumentException($"the name '{name}' has {keys.Length} parts; {FlaxTree.DeepestNesting} at most are read again", nameof(tensors));
            var node = root;
            foreach (var key in keys)
            {
                if (node.Tensor is not null)
                    throw new ArgumentException($"the name '{name}' is inside that of another tensor", nameof(tensors));
                if (!node.Children.TryGetValue(key, out var next))
                    node.Children.Add(key, next = new Node());
                node = next;
            }
            if (node.Tensor is not null || node.Children.Count > 0)
                throw new ArgumentException($"the name '{name}' is given twice, or others are inside it", nameof(tensors));
            node.Tensor = tensor;
        }
        return root;
    }

    public void Write(Node node)
    {
        if (node.Tensor is { } tensor)
        {
            using var scope = torch.NewDisposeScope();
            Array(tensor.detach().cpu().contiguous());
            return;
        }
        _writer.Map(node.Children.Count);
        foreach (var (key, child) in node.Children)
        {
            _writer.Text(key);
            Write(child);
        }
    }

    private void Array(torch.Tensor tensor)
    {
        if (tensor.NumberOfElements * tensor.ElementSize <= largestChunk)
        {
            Piece(tensor, tensor.shape);
            return;
        }
        var elements = Math.Max(1, largestChunk / tensor.ElementSize);
        var count = (tensor.NumberOfElements + elements - 1) / elements;
        _writer.Map(3);
        _writer.Text(FlaxTree.ChunkMark);
        _writer.Boolean(true);
        _writer.Text("shape");
        _writer.Map(tensor.shape.Length);
        for (var axis = 0; axis < tensor.shape.Length; axis++)
        {
            _writer.Text(axis.ToString(CultureInfo.InvariantCulture));
            _writer.Integer(tensor.shape[axis]);
        }
        _writer.Text("chunks");
        _writer.Map((int)count);
        using var flat = tensor.view(-1);
        for (var index = 0L; index < count; index++)
        {
            var length = Math.Min(elements, tensor.NumberOfElements - (index * elements));
            using var piece = flat.narrow(0, index * elements, length);
            _writer.Text(index.ToString(CultureInfo.InvariantCulture));
            Piece(piece, [length]);
        }
    }

    /// <summary>An array as an extension: what stands before the bytes is written apart first, for its length.</summary>
    private void Piece(torch.Tensor tensor, long[] shape)
    {
        var bytes = tensor.NumberOfElements * tensor.ElementSize;
        using var description = new MemoryStream();
        var inner = new MessagePackWriter(description);
        inner.Array(3);
        inner.Array(shape.Length);
        foreach (var dimension in shape)
            inner.Integer(dimension);
        inner.Text(NumpyType.NameOf(tensor.dtype)!);
        inner.Binary(bytes);
        _writer.Extension(FlaxTree.ArrayExtension, description.Length + bytes);
        description.WriteTo(stream);
        TensorMemory.ForEachSlice(tensor, (slice, _) => stream.Write(slice));
    }
}
