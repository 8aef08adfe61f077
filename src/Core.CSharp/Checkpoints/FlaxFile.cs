using System.Globalization;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A file that <c>flax.serialization.msgpack_serialize</c> wrote: maps in maps, whose leaves are arrays. A tensor's name is
/// the path of keys to it, joined by '/'.
/// </summary>
internal sealed class FlaxFile : WeightsFile
{
    // Where whole training states and variables keep the parameters.
    private static readonly string[] Containers = ["params", "target", "optimizer/target"];

    private FlaxFile(FileBytes file, IReadOnlyList<FlaxEntry> entries)
        : base(file, WeightsFormat.Flax, entries)
    {
    }

    /// <summary>The file that some bytes are; it owns them.</summary>
    /// <param name="file">The bytes.</param>
    /// <param name="part">The path of the map whose tensors are meant; left out: the parameters.</param>
    /// <exception cref="CheckpointException">The file is damaged, or holds what is refused.</exception>
    public static FlaxFile Read(FileBytes file, string? part)
    {
        var budget = new AllocationBudget(file.Path, file.Length);
        var arrays = new FlaxTree(new ByteReader(file, 0, file.Length, budget), budget).Read();
        var entries = new List<FlaxEntry>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var array in Part(file.Path, arrays, part))
        {
            budget.Take(200 + (2L * array.Name.Length));
            var shown = SafetensorsHeader.Shortened(array.Name);
            if (NumpyType.Find(array.Type) is not { } type)
            {
                throw new CheckpointException(
                    file.Path,
                    $"tensor '{shown}' has elements of type '{SafetensorsHeader.Shortened(array.Type)}', which is not supported; "
                        + $"supported are {NumpyType.AllNames}");
            }
            if (!names.Add(array.Name))
                throw new CheckpointException(file.Path, $"'{shown}' stands in the file twice");
            entries.Add(Checked(file.Path, shown, array, type));
        }
        return new FlaxFile(file, entries);
    }

    /// <summary>Writes tensors as nested maps, which appear whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Tensors, by paths of keys joined by '/'.</param>
    /// <param name="largestChunk">The bytes above which an array is written in pieces; Flax's own number.</param>
    /// <exception cref="ArgumentException">A name stands twice or is inside another, or Flax has no such type.</exception>
    public static void Write(
        string path, IEnumerable<(string Name, torch.Tensor Tensor)> tensors, long largestChunk = FlaxWriter.LargestChunk)
    {
        var root = FlaxWriter.Arrange(tensors);
        AtomicFile.Write(path, root.Bytes, stream => new FlaxWriter(stream, largestChunk).Write(root));
    }

    private protected override void Fill(torch.Tensor target, WeightsEntry entry)
    {
        var pieces = ((FlaxEntry)entry).Pieces;
        TensorMemory.ForEachSlice(target, (bytes, offset) =>
        {
            var start = 0L;
            foreach (var (begin, length) in pieces)
            {
                // The part of this piece that lies in this slice.
                var from = Math.Max(start, offset);
                var to = Math.Min(start + length, offset + bytes.Length);
                if (from < to)
                    Bytes.ReadExactly(bytes[(int)(from - offset)..(int)(to - offset)], begin + (from - start));
                start += length;
            }
        });
    }

    /// <summary>
    /// The arrays of a part. Whole training states have the parameters in a map of that name, in one of a model's variables
    /// perhaps; the oldest ones have them in their optimizer's target.
    /// </summary>
    private static List<FlaxArray> Part(string path, List<FlaxArray> arrays, string? part)
    {
        if (part is not null)
        {
            var inside = Inside(arrays, part);
            return inside.Count > 0
                ? inside
                : throw new CheckpointException(
                    path, $"there is no tensor in '{part}'; at the top are {Tops(arrays)}");
        }
        if (arrays.Count == 0)
            throw new CheckpointException(path, "the file holds no tensor; a Flax file holds maps whose leaves are arrays");
        while (true)
        {
            var inside = Containers
                .Select(name => Inside(arrays, name))
                .FirstOrDefault(found => found.Count > 0);
            if (inside is null)
                return arrays;
            arrays = inside;
        }
    }

    private static List<FlaxArray> Inside(List<FlaxArray> arrays, string part)
    {
        var prefix = $"{part}/";
        return
        [
            .. arrays
                .Where(array => array.Name.StartsWith(prefix, StringComparison.Ordinal))
                .Select(array => array with { Name = array.Name[prefix.Length..] }),
        ];
    }

    private static string Tops(List<FlaxArray> arrays) =>
        string.Join(", ", arrays.Select(array => $"'{SafetensorsHeader.Shortened(array.Name.Split('/')[0])}'").Distinct().Take(8));

    /// <summary>The bytes must be as many as the shape takes.</summary>
    private static FlaxEntry Checked(string path, string shown, FlaxArray array, torch.ScalarType type)
    {
        var wanted = (UInt128)SafetensorsType.SizeOf(type);
        foreach (var dimension in array.Shape)
            wanted = wanted > long.MaxValue ? wanted : wanted * (UInt128)dimension;
        var held = array.Pieces.Sum(piece => piece.Length);
        if (wanted != (UInt128)held)
        {
            throw new CheckpointException(
                path,
                $"tensor '{shown}' has {held.ToString(CultureInfo.InvariantCulture)} bytes of data, but {array.Type} of shape "
                    + $"[{string.Join(", ", array.Shape)}] takes {(wanted > long.MaxValue ? "more than any file" : wanted)}");
        }
        return new FlaxEntry(array.Name, type, array.Shape, array.Pieces);
    }
}

/// <summary>A tensor, and where its pieces stand in the file.</summary>
internal sealed record FlaxEntry(
    string Name, torch.ScalarType Type, IReadOnlyList<long> Shape, IReadOnlyList<(long Begin, long Length)> Pieces)
    : WeightsEntry(Name, Type, Shape);
