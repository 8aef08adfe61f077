using System.Buffers.Binary;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A safetensors file, open for reading: eight bytes of header length, a JSON header of names, types, shapes and offsets,
/// then the tensors' bytes. Tensors are read one at a time, straight into their memory.
/// </summary>
/// <remarks>
/// The file need not be trusted: everything in it is checked before it is used, and nothing is executed.
/// </remarks>
public sealed class SafetensorsFile : WeightsFile
{
    private const int PrefixLength = sizeof(ulong);

    private readonly long _dataStart;

    private SafetensorsFile(FileBytes file, SafetensorsHeader header, long dataStart)
        : base(file, WeightsFormat.Safetensors, header.Entries, header.Metadata)
    {
        Entries = header.Entries;
        _dataStart = dataStart;
    }

    /// <summary>The tensors, in the header's order.</summary>
    public new IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, or is not a well-formed safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = FileBytes.Open(path);
        try
        {
            return Read(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes tensors to a file, which appears whole or not at all.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="tensors">Names and tensors, of any layout and on any device.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>.</param>
    /// <exception cref="ArgumentException">A name stands twice or is reserved, or safetensors has no such type.</exception>
    /// <exception cref="CheckpointException">The file cannot be written, because the disk is full for example.</exception>
    public static new void Write(
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

    /// <summary>The file that some bytes are; it owns them.</summary>
    internal static SafetensorsFile Read(FileBytes file)
    {
        var (header, dataStart) = ReadHeader(file);
        return new SafetensorsFile(file, header, dataStart);
    }

    private protected override void Fill(torch.Tensor target, WeightsEntry entry) =>
        FillFrom(_dataStart + ((SafetensorsEntry)entry).Begin, target);

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

    private static (SafetensorsHeader Header, long DataStart) ReadHeader(FileBytes file)
    {
        var (path, fileLength) = (file.Path, file.Length);
        if (fileLength < PrefixLength)
        {
            throw new CheckpointException(
                path,
                $"the file has {fileLength} bytes; a safetensors file begins with {PrefixLength} that hold "
                + "its header's length");
        }
        Span<byte> prefix = stackalloc byte[PrefixLength];
        file.ReadExactly(prefix, 0);
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
        file.ReadExactly(json, PrefixLength);
        return (SafetensorsHeader.Parse(path, json, fileLength - dataStart), dataStart);
    }
}
