using System.Numerics;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A file that <c>torch.save</c> wrote: a pickle that describes tensors as views of storages, and the storages. Since
/// PyTorch 1.6 all are entries of a zip file; before, the pickles and the storages follow one another.
/// </summary>
internal sealed class PyTorchFile : WeightsFile
{
    private static readonly BigInteger OldMagic = BigInteger.Parse("119547037146038801333356", provider: null);

    private const long OldProtocol = 1001;

    private PyTorchFile(FileBytes file, IReadOnlyList<Entry> entries)
        : base(file, WeightsFormat.PyTorch, entries)
    {
    }

    /// <summary>A tensor, and where its storage begins in the file.</summary>
    private sealed record Entry(string Name, PickleTensor Tensor, long StorageBegin) : WeightsEntry(Name, Tensor.Type, Tensor.Shape)
    {
        public (PickleTensor Tensor, long StorageBegin) Place => (Tensor, StorageBegin);
    }

    /// <summary>The file that some bytes are; it owns them.</summary>
    /// <param name="file">The bytes.</param>
    /// <param name="part">The state dict's place among several.</param>
    /// <exception cref="CheckpointException">The file is damaged, or holds what is refused.</exception>
    public static PyTorchFile Read(FileBytes file, string? part)
    {
        var budget = new AllocationBudget(file.Path, file.Length);
        Span<byte> first = stackalloc byte[1];
        file.ReadExactly(first, 0);
        var (root, find) = first[0] == (byte)'P' ? ReadZip(file, budget) : ReadOld(file, budget);
        var entries = new List<Entry>();
        var begins = new Dictionary<PickleStorage, long>();
        foreach (var (name, tensor) in StateDicts.Choose(file.Path, root, part, budget))
        {
            budget.Take(200);
            if (!begins.TryGetValue(tensor.Storage, out var begin))
                begins.Add(tensor.Storage, begin = find(tensor.Storage));
            entries.Add(new Entry(name, tensor, begin));
        }
        CheckTotal(file, entries);
        return new PyTorchFile(file, entries);
    }

    private protected override void Fill(torch.Tensor target, WeightsEntry entry)
    {
        var (tensor, storage) = ((Entry)entry).Place;
        var position = storage + (tensor.Offset * SafetensorsType.SizeOf(tensor.Type));
        if (tensor.IsContiguous)
        {
            FillFrom(position, target);
            return;
        }
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        var row = torch.empty([tensor.Span], dtype: tensor.Type);
        FillFrom(position, row);
        target.copy_(row.as_strided(tensor.Shape, tensor.Strides));
    }

    private static (object? Root, Func<PickleStorage, long> Find) ReadZip(FileBytes file, AllocationBudget budget)
    {
        const string Pickle = "/data.pkl";
        var zip = ZipDirectory.Read(file, budget);
        var pickles = zip.Names.Where(name => name.EndsWith(Pickle, StringComparison.Ordinal)).Take(2).ToList();
        if (pickles.Count != 1)
        {
            throw new CheckpointException(
                file.Path,
                $"the zip file has {(pickles.Count == 0 ? "no" : "more than one")} entry that ends in {Pickle}; torch.save writes one");
        }
        var folder = pickles[0][..^Pickle.Length];
        if (zip.Find($"{folder}/byteorder") is { } order)
        {
            var said = new ByteReader(file, order.Begin, order.Begin + order.Length, budget)
                .ReadText((ulong)Math.Min(order.Length, 16), "the byte order");
            if (said != "little")
                throw new CheckpointException(file.Path, $"the byte order is '{said}'; only 'little' is read: save the file anew on such a machine");
        }
        var (begin, length) = zip.Find(pickles[0])!.Value;
        var root = new PickleReader(new ByteReader(file, begin, begin + length, budget, "data.pkl, "), budget).Read();
        return (root, storage => Begin(file.Path, storage, zip.Find($"{folder}/data/{storage.Key}")));
    }

    /// <summary>A magic number, a protocol, the machine, the object, the storages' keys; then each length and storage.</summary>
    private static (object? Root, Func<PickleStorage, long> Find) ReadOld(FileBytes file, AllocationBudget budget)
    {
        var bytes = new ByteReader(file, 0, file.Length, budget);
        object? Next() => new PickleReader(bytes, budget).Read();
        if (Next() is not BigInteger magic || magic != OldMagic)
            throw new CheckpointException(file.Path, "the file is a pickle, and none of torch.save; save the state dict with torch.save");
        if (Next() is not OldProtocol)
            throw new CheckpointException(file.Path, $"the file's protocol is not {OldProtocol}; in Python, load it and save it anew with torch.save");
        if (Next() is PickleDictionary machine
            && machine.Pairs.Any(pair => pair is { Key: "little_endian", Value: false }))
            throw new CheckpointException(file.Path, "the file comes from a big-endian machine; save it anew on a little-endian one");
        var root = Next();
        if (Next() is not PickleList keys)
            throw new CheckpointException(file.Path, "no list of the storages' keys follows the pickle; the file is damaged");

        // A storage's bytes follow from its type, which only the tensors tell; here each one's place is all that is known.
        var types = Storages(root, budget);
        var places = new Dictionary<string, (long Begin, long Length)>(StringComparer.Ordinal);
        foreach (var item in keys.Items)
        {
            if (item is not string key || !types.TryGetValue(key, out var size))
                throw new CheckpointException(file.Path, "the list of the storages' keys names one that no tensor has; the file is damaged");
            budget.Take(100);
            var elements = bytes.ReadUInt64($"the length of storage '{SafetensorsHeader.Shortened(key)}'");
            var begin = bytes.Position;
            if (elements > (ulong)bytes.Remaining / (ulong)size)
            {
                throw bytes.Mistake(
                    begin, $"storage '{SafetensorsHeader.Shortened(key)}' has {elements:N0} elements of {size} bytes, "
                        + $"and {bytes.Remaining:N0} bytes follow; the file is truncated or damaged");
            }
            bytes.Skip(elements * (ulong)size, "a storage");
            if (!places.TryAdd(key, (begin, (long)elements * size)))
                throw bytes.Mistake(begin, $"storage '{SafetensorsHeader.Shortened(key)}' stands in the file twice");
        }
        return (
            root,
            storage => Begin(file.Path, storage, places.TryGetValue(storage.Key, out var place) ? place : null));
    }

    /// <summary>The size of the elements of every storage that a tensor or list reaches.</summary>
    private static Dictionary<string, int> Storages(object? root, AllocationBudget budget)
    {
        var sizes = new Dictionary<string, int>(StringComparer.Ordinal);
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var waiting = new Stack<object?>([root]);
        while (waiting.TryPop(out var value))
        {
            if (value is null or string or bool or long or double || !seen.Add(value))
                continue;
            budget.Take(100);
            switch (value)
            {
                case PickleTensor { Storage: { Type: { } type } storage }:
                    sizes[storage.Key] = SafetensorsType.SizeOf(type);
                    break;
                case PickleStorage { Type: { } type } storage:
                    sizes[storage.Key] = SafetensorsType.SizeOf(type);
                    break;
                case PickleTuple tuple:
                    Wait(tuple.Items);
                    break;
                case PickleList list:
                    Wait(list.Items);
                    break;
                case PickleDictionary dictionary:
                    Wait(dictionary.Pairs.Select(pair => pair.Value));
                    break;
            }
        }
        return sizes;

        void Wait(IEnumerable<object?> values)
        {
            foreach (var value in values)
            {
                budget.Take(24);
                waiting.Push(value);
            }
        }
    }

    private static long Begin(string path, PickleStorage storage, (long Begin, long Length)? place)
    {
        var key = SafetensorsHeader.Shortened(storage.Key);
        var size = storage.Type is { } type ? SafetensorsType.SizeOf(type) : 1;
        if (place is not { } found)
            throw new CheckpointException(path, $"a tensor's storage '{key}' is not in the file; it is truncated or damaged");
        if (found.Length != (Int128)storage.Elements * size)
        {
            throw new CheckpointException(
                path, $"storage '{key}' has {found.Length:N0} bytes; its {storage.Elements:N0} elements of {size} take another number");
        }
        return found.Begin;
    }

    /// <summary>Tensors may share a storage, and a small file could have thousands that share a large one.</summary>
    private static void CheckTotal(FileBytes file, List<Entry> entries)
    {
        var total = Int128.Zero;
        foreach (var entry in entries)
            total += (Int128)entry.Tensor.Count * SafetensorsType.SizeOf(entry.Type);
        if (total > (Int128)file.Length * LargestFactor)
        {
            throw new CheckpointException(
                file.Path,
                $"the tensors share storages, and take {total:N0} bytes together; "
                    + $"{LargestFactor} times the file's {file.Length:N0} at most are read");
        }
    }
}
