using System.Buffers.Binary;
using LocalAttention.Core.Specification;
using Microsoft.Win32.SafeHandles;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A safetensors file, open for reading: eight bytes of header length, a JSON header of names, types, shapes and offsets,
/// then the tensors' bytes. Tensors are read one at a time, straight into their memory.
/// </summary>
/// <remarks>
/// The file need not be trusted: everything in it is checked before it is used, nothing is executed, and nothing larger
/// than the file is allocated.
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    private const int PrefixLength = sizeof(ulong);

    private readonly SafeFileHandle _handle;
    private readonly long _dataStart;
    private readonly Dictionary<string, SafetensorsEntry> _byName;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header, long dataStart)
    {
        Path = path;
        Entries = header.Entries;
        Metadata = header.Metadata;
        _handle = handle;
        _dataStart = dataStart;
        _byName = header.Entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
    }

    /// <summary>The file's path, as it was given.</summary>
    public string Path { get; }

    /// <summary>The tensors, in the header's order.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>The texts under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, or is not a well-formed safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (!File.Exists(path))
        {
            var what = Directory.Exists(path) ? "this is a directory; name a file in it" : "there is no such file";
            throw new CheckpointException(path, what);
        }
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, options: FileOptions.RandomAccess);
            var (header, dataStart) = ReadHeader(path, handle);
            return new SafetensorsFile(path, handle, header, dataStart);
        }
        catch (Exception error)
        {
            handle?.Dispose();
            if (error is IOException or UnauthorizedAccessException or NotSupportedException)
                throw new CheckpointException(path, $"the file cannot be read: {error.Message}", error);
            throw;
        }
    }

    /// <summary>Whether the file holds a tensor of that name.</summary>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <summary>The entry of a tensor.</summary>
    /// <exception cref="CheckpointException">The file holds no tensor of that name.</exception>
    public SafetensorsEntry Find(string name) =>
        _byName.TryGetValue(name, out var entry)
            ? entry
            : throw new CheckpointException(Path, $"there is no tensor '{name}'{NearestNames.Hint(name, _byName.Keys)}");

    /// <summary>A new tensor in main memory with the content of the file's.</summary>
    /// <exception cref="CheckpointException">The file holds no tensor of that name, or cannot be read.</exception>
    public torch.Tensor Read(string name)
    {
        var entry = Find(name);
        var tensor = torch.empty(entry.Dimensions, dtype: entry.Type);
        try
        {
            ReadBytes(entry, tensor);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Fills a tensor from the file's; another type of elements is converted, another device is copied to.</summary>
    /// <exception cref="CheckpointException">No tensor of that name, another shape, or the file cannot be read.</exception>
    public void ReadInto(string name, torch.Tensor target)
    {
        ArgumentNullException.ThrowIfNull(target);
        var entry = Find(name);
        if (!target.shape.AsSpan().SequenceEqual(entry.Dimensions))
        {
            throw new CheckpointException(
                Path,
                $"tensor '{name}' has shape [{string.Join(", ", entry.Shape)}]; "
                    + $"[{string.Join(", ", target.shape)}] is wanted");
        }
        if (target.dtype == entry.Type && target.device_type == DeviceType.CPU && target.is_contiguous())
        {
            ReadBytes(entry, target);
        }
        else
        {
            using var read = Read(name);
            using var noGradient = torch.no_grad();
            target.copy_(read);
        }
    }

    /// <summary>Writes tensors to a file, which appears whole or not at all.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="tensors">Names and tensors, of any layout and on any device.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>.</param>
    /// <exception cref="ArgumentException">A name stands twice or is reserved, or safetensors has no such type.</exception>
    /// <exception cref="CheckpointException">The file cannot be written, because the disk is full for example.</exception>
    public static void Write(
        string path,
        IEnumerable<(string Name, torch.Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(tensors);
        var (header, ordered) = Arrange(tensors, metadata ?? new Dictionary<string, string>());
        var json = header.ToBytes();
        if (json.Length > SafetensorsHeader.LargestLength)
        {
            throw new CheckpointException(
                path,
                $"the header would take {json.Length:N0} bytes; {SafetensorsHeader.LargestLength:N0} are allowed");
        }
        var length = PrefixLength + json.Length + (header.Entries.Count == 0 ? 0 : header.Entries[^1].End);
        AtomicFile.Write(path, length, stream =>
        {
            Span<byte> prefix = stackalloc byte[PrefixLength];
            BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)json.Length);
            stream.Write(prefix);
            stream.Write(json);
            foreach (var tensor in ordered)
            {
                using var scope = torch.NewDisposeScope();
                TensorMemory.ForEachSlice(tensor.detach().cpu().contiguous(), (bytes, _) => stream.Write(bytes));
            }
        });
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>Lays tensors out by falling element size, so that each is aligned, and then by name.</summary>
    private static (SafetensorsHeader Header, IReadOnlyList<torch.Tensor> Tensors) Arrange(
        IEnumerable<(string Name, torch.Tensor Tensor)> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var ordered = tensors
            .OrderByDescending(named => named.Tensor.ElementSize)
            .ThenBy(named => named.Name, StringComparer.Ordinal)
            .ToList();
        var entries = new List<SafetensorsEntry>(ordered.Count);
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataName };
        long position = 0;
        foreach (var (name, tensor) in ordered)
        {
            if (!names.Add(name))
                throw new ArgumentException($"the name '{name}' is given twice or reserved; names must differ", nameof(tensors));
            if (SafetensorsType.NameOf(tensor.dtype) is null)
            {
                throw new ArgumentException(
                    $"tensor '{name}' has elements of type {tensor.dtype}; "
                        + $"safetensors takes {SafetensorsType.AllNames}", nameof(tensors));
            }
            var end = position + (tensor.NumberOfElements * SafetensorsType.SizeOf(tensor.dtype));
            entries.Add(new SafetensorsEntry(name, tensor.dtype, tensor.shape, position, end));
            position = end;
        }
        return (new SafetensorsHeader(entries, metadata), ordered.ConvertAll(named => named.Tensor));
    }

    private static (SafetensorsHeader Header, long DataStart) ReadHeader(string path, SafeFileHandle handle)
    {
        var fileLength = RandomAccess.GetLength(handle);
        if (fileLength < PrefixLength)
        {
            throw new CheckpointException(
                path,
                $"the file has {fileLength} bytes; a safetensors file begins with {PrefixLength} that hold "
                + "its header's length");
        }
        Span<byte> prefix = stackalloc byte[PrefixLength];
        ReadExactly(path, handle, prefix, 0);
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > SafetensorsHeader.LargestLength)
        {
            throw new CheckpointException(
                path,
                $"the header's length is given as {headerLength:N0} bytes; "
                    + $"at most {SafetensorsHeader.LargestLength:N0} are allowed; "
                    + "this is probably not a safetensors file");
        }
        var dataStart = PrefixLength + (long)headerLength;
        if (dataStart > fileLength)
        {
            throw new CheckpointException(
                path,
                $"the header's length is given as {headerLength:N0} bytes, "
                    + $"but only {fileLength - PrefixLength:N0} follow; the file is truncated or not a safetensors file");
        }
        var json = new byte[(int)headerLength];
        ReadExactly(path, handle, json, PrefixLength);
        return (SafetensorsHeader.Parse(path, json, fileLength - dataStart), dataStart);
    }

    private void ReadBytes(SafetensorsEntry entry, torch.Tensor target) =>
        TensorMemory.ForEachSlice(target, (bytes, offset) =>
        {
            try
            {
                ReadExactly(Path, _handle, bytes, _dataStart + entry.Begin + offset);
            }
            catch (IOException error)
            {
                throw new CheckpointException(Path, $"tensor '{entry.Name}' cannot be read: {error.Message}", error);
            }
        });

    private static void ReadExactly(string path, SafeFileHandle handle, Span<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            var count = RandomAccess.Read(handle, bytes, offset);
            if (count == 0)
            {
                throw new CheckpointException(
                    path,
                    $"the file ended at byte {offset}, {bytes.Length} bytes too early; "
                    + "it was cut while it was read");
            }
            bytes = bytes[count..];
            offset += count;
        }
    }
}
