using System.Buffers.Binary;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A file of named tensors, open for reading, whatever its format: names, types and shapes are known at once, the tensors
/// themselves are read one at a time.
/// </summary>
/// <remarks>
/// The file need not be trusted: everything in it is checked before it is used, and nothing in it is executed. Besides the
/// tensors that are asked for, reading allocates at most <see cref="LargestFactor"/> bytes for each byte of the file and
/// <see cref="Allowance"/> more; the tensors together take at most <see cref="LargestFactor"/> times the file's size, for
/// some may share their storage.
/// </remarks>
public abstract class WeightsFile : IDisposable
{
    /// <summary>How many bytes reading may allocate for each byte of the file.</summary>
    public const int LargestFactor = 8;

    /// <summary>How many bytes reading may allocate besides: buffers, and what small files need.</summary>
    public const int Allowance = 1 << 20;

    private readonly FileBytes _file;
    private readonly Dictionary<string, WeightsEntry> _byName;

    private protected WeightsFile(
        FileBytes file,
        WeightsFormat format,
        IReadOnlyList<WeightsEntry> entries,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        _file = file;
        Format = format;
        Entries = entries;
        Metadata = metadata ?? new Dictionary<string, string>();
        _byName = new Dictionary<string, WeightsEntry>(entries.Count, StringComparer.Ordinal);
        foreach (var entry in entries)
            _byName.Add(entry.Name, entry);
    }

    /// <summary>The file's path, as it was given.</summary>
    public string Path => _file.Path;

    /// <summary>The file's format.</summary>
    public WeightsFormat Format { get; }

    /// <summary>The tensors, in the file's order.</summary>
    public IReadOnlyList<WeightsEntry> Entries { get; }

    /// <summary>The texts beside the tensors; only safetensors has some.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The file's bytes.</summary>
    private protected FileBytes Bytes => _file;

    /// <summary>Opens a file of any format; its first bytes tell which, whatever its name ends in.</summary>
    /// <param name="path">The file.</param>
    /// <param name="part">
    /// Where in the file the tensors are, of a file that holds several sets of them: names joined by '/', such as
    /// <c>model_ema</c> or <c>opt_state/0/mu</c>. Left out: the only set there is, or a Flax file's <c>params</c>.
    /// </param>
    /// <exception cref="CheckpointException">
    /// The file cannot be read, is damaged, of none of the formats, holds what is not a tensor's, or several sets of tensors.
    /// </exception>
    public static WeightsFile Open(string path, string? part = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        var file = FileBytes.Open(path);
        try
        {
            var format = Recognise(file);
            if (format == WeightsFormat.Safetensors && part is not null)
                throw new CheckpointException(path, $"a safetensors file has one set of tensors and no part '{part}'; leave it out");
            return format switch
            {
                WeightsFormat.PyTorch => PyTorchFile.Read(file, part),
                WeightsFormat.Flax => FlaxFile.Read(file, part),
                _ => SafetensorsFile.Read(file),
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The format in which a file of that name is written: that of its ending, safetensors where it says nothing.</summary>
    /// <exception cref="CheckpointException">The name is that of a PyTorch file; those are only read.</exception>
    public static WeightsFormat FormatForWriting(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return System.IO.Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".msgpack" => WeightsFormat.Flax,
            ".pth" or ".pt" => throw new CheckpointException(
                path, "PyTorch files are read and not written; write .safetensors, which PyTorch reads with the package of that name"),
            _ => WeightsFormat.Safetensors,
        };
    }

    /// <summary>Writes tensors to a file in the format of its name's ending; it appears whole or not at all.</summary>
    /// <param name="path">The file, .safetensors or .msgpack; an existing one is replaced.</param>
    /// <param name="tensors">Names and tensors, of any layout and on any device.</param>
    /// <param name="metadata">Texts beside them, for safetensors.</param>
    /// <exception cref="ArgumentException">Two names do not go together, or the format has no such type.</exception>
    /// <exception cref="CheckpointException">The file cannot be written, or its format has no place for the texts.</exception>
    public static void Write(
        string path,
        IEnumerable<(string Name, torch.Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        if (FormatForWriting(path) == WeightsFormat.Safetensors)
        {
            SafetensorsFile.Write(path, tensors, metadata);
            return;
        }
        if (metadata is { Count: > 0 })
        {
            throw new CheckpointException(
                path, $"a Flax file has no place for the text '{metadata.Keys.First()}'; write .safetensors, or leave texts out");
        }
        FlaxFile.Write(path, tensors);
    }

    /// <summary>Whether the file holds a tensor of that name.</summary>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <summary>The entry of a tensor.</summary>
    /// <exception cref="CheckpointException">The file holds no tensor of that name.</exception>
    public WeightsEntry Find(string name) =>
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
            Fill(tensor, entry);
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
            Fill(target, entry);
        }
        else
        {
            using var read = Read(name);
            using var noGradient = torch.no_grad();
            target.copy_(read);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _file.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Fills a tensor with an entry's content.</summary>
    /// <param name="target">A contiguous tensor in main memory, of the entry's type and shape.</param>
    /// <param name="entry">One of this file's own entries.</param>
    private protected abstract void Fill(torch.Tensor target, WeightsEntry entry);

    /// <summary>Fills a contiguous tensor in main memory with bytes that stand in the file one after the other.</summary>
    private protected void FillFrom(long position, torch.Tensor target) =>
        TensorMemory.ForEachSlice(target, (bytes, offset) => _file.ReadExactly(bytes, position + offset));

    /// <summary>
    /// The format that the first bytes have. What has none of them is read as safetensors, whose errors say what its first
    /// bytes mean there.
    /// </summary>
    private static WeightsFormat Recognise(FileBytes file)
    {
        Span<byte> start = stackalloc byte[8];
        if (file.Length < start.Length)
            return WeightsFormat.Safetensors;
        file.ReadExactly(start, 0);
        // Safetensors: a length that is never 4 GB. PyTorch: a zip file's or a pickle's own first bytes. Flax: a map.
        if (BinaryPrimitives.ReadUInt32LittleEndian(start[4..]) == 0)
            return WeightsFormat.Safetensors;
        return start switch
        {
            [(byte)'P', (byte)'K', 3, 4, ..] => WeightsFormat.PyTorch,
            [0x80, >= 2 and <= 5, ..] => WeightsFormat.PyTorch,
            [(>= 0x80 and <= 0x8F) or 0xDE or 0xDF, ..] => WeightsFormat.Flax,
            _ => WeightsFormat.Safetensors,
        };
    }
}
