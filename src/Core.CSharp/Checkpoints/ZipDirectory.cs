using System.Buffers.Binary;
using System.Text;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The directory of a zip file whose entries are stored as they are, as <c>torch.save</c> writes it: where each entry's bytes
/// stand in the file. Compressed entries are refused, so that no entry is longer than the file.
/// </summary>
/// <remarks>PKWARE's APPNOTE 6.3, with the 64-bit records for large files.</remarks>
internal sealed class ZipDirectory
{
    private const uint EndSignature = 0x06054B50;
    private const uint End64Signature = 0x06064B50;
    private const uint Locator64Signature = 0x07064B50;
    private const uint EntrySignature = 0x02014B50;
    private const uint LocalSignature = 0x04034B50;
    private const int EndLength = 22;
    private const int End64Length = 56;
    private const int Locator64Length = 20;
    private const int LocalLength = 30;
    private const int LongestComment = ushort.MaxValue;

    private readonly FileBytes _file;
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private long _begin;

    private ZipDirectory(FileBytes file) => _file = file;

    /// <summary>An entry: its local header's place, and its length.</summary>
    private readonly record struct Entry(long Header, long Length);

    /// <summary>The names of the entries.</summary>
    public IEnumerable<string> Names => _entries.Keys;

    /// <exception cref="CheckpointException">The file is damaged, or its entries are not merely stored.</exception>
    public static ZipDirectory Read(FileBytes file, AllocationBudget budget)
    {
        var directory = new ZipDirectory(file);
        var (count, length, begin) = directory.FindEnd(budget);
        directory._begin = begin;
        var reader = new ByteReader(file, begin, begin + length, budget, "the zip directory, ");
        for (ulong index = 0; index < count; index++)
            directory.ReadEntry(reader, budget);
        return directory;
    }

    /// <summary>Where an entry's bytes begin and how many there are; none where there is no such entry.</summary>
    public (long Begin, long Length)? Find(string name)
    {
        if (!_entries.TryGetValue(name, out var entry))
            return null;
        Span<byte> header = stackalloc byte[LocalLength];
        if (entry.Header > _begin - LocalLength)
            throw Damaged(name, "begins outside the entries");
        _file.ReadExactly(header, entry.Header);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != LocalSignature)
            throw Damaged(name, $"has no header at byte {entry.Header}");
        // The name and the extra field here need not be as long as the directory's: torch aligns storages by the latter.
        var begin = entry.Header + LocalLength
            + BinaryPrimitives.ReadUInt16LittleEndian(header[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        if (begin > _begin || entry.Length > _begin - begin)
            throw Damaged(name, $"has {entry.Length:N0} bytes from byte {begin}, beyond the directory's begin at {_begin}");
        return (begin, entry.Length);
    }

    /// <summary>The end record stands last in the file, before a comment at most.</summary>
    private (ulong Count, long Length, long Begin) FindEnd(AllocationBudget budget)
    {
        var tail = (int)Math.Min(_file.Length, EndLength + LongestComment);
        budget.Take(tail);
        var bytes = new byte[tail];
        _file.ReadExactly(bytes, _file.Length - tail);
        for (var at = tail - EndLength; at >= 0; at--)
        {
            var record = bytes.AsSpan(at);
            if (BinaryPrimitives.ReadUInt32LittleEndian(record) != EndSignature
                || BinaryPrimitives.ReadUInt16LittleEndian(record[20..]) != tail - at - EndLength)
                continue;
            var place = _file.Length - tail + at;
            ulong count = BinaryPrimitives.ReadUInt16LittleEndian(record[10..]);
            ulong length = BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);
            ulong begin = BinaryPrimitives.ReadUInt32LittleEndian(record[16..]);
            if (count == ushort.MaxValue || length == uint.MaxValue || begin == uint.MaxValue)
                (count, length, begin, place) = ReadEnd64(place) ?? (count, length, begin, place);
            if (begin > (ulong)place || length > (ulong)place - begin)
            {
                throw new CheckpointException(
                    _file.Path,
                    $"the zip directory has {length:N0} bytes from byte {begin}, beyond its end at {place}; "
                        + "the file is truncated or damaged");
            }
            return (count, (long)length, (long)begin);
        }
        throw new CheckpointException(
            _file.Path, "the file begins as a zip file and has no zip directory at its end; it is truncated or damaged");
    }

    private (ulong Count, ulong Length, ulong Begin, long Place)? ReadEnd64(long end)
    {
        Span<byte> locator = stackalloc byte[Locator64Length];
        if (end < Locator64Length)
            return null;
        _file.ReadExactly(locator, end - Locator64Length);
        if (BinaryPrimitives.ReadUInt32LittleEndian(locator) != Locator64Signature)
            return null;
        var place = BinaryPrimitives.ReadUInt64LittleEndian(locator[8..]);
        Span<byte> record = stackalloc byte[End64Length];
        if (end < Locator64Length + End64Length || place > (ulong)(end - Locator64Length - End64Length))
            throw new CheckpointException(_file.Path, $"the zip file's 64-bit end record is said to be at byte {place}, where none is");
        _file.ReadExactly(record, (long)place);
        if (BinaryPrimitives.ReadUInt32LittleEndian(record) != End64Signature)
            throw new CheckpointException(_file.Path, $"the zip file's 64-bit end record is said to be at byte {place}, where none is");
        return (
            BinaryPrimitives.ReadUInt64LittleEndian(record[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(record[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(record[48..]),
            (long)place);
    }

    private void ReadEntry(ByteReader reader, AllocationBudget budget)
    {
        const string What = "an entry";
        var start = reader.Position;
        if (reader.ReadUInt32(What) != EntrySignature)
            throw reader.Mistake(start, "no entry begins here; the directory is damaged");
        reader.Skip(4, What);
        var flags = reader.ReadUInt16(What);
        var method = reader.ReadUInt16(What);
        reader.Skip(8, What);
        ulong packed = reader.ReadUInt32(What);
        ulong length = reader.ReadUInt32(What);
        var nameLength = reader.ReadUInt16(What);
        var extraLength = reader.ReadUInt16(What);
        var commentLength = reader.ReadUInt16(What);
        reader.Skip(8, What);
        ulong header = reader.ReadUInt32(What);
        var name = reader.ReadText(nameLength, "an entry's name");
        ReadExtra(reader, extraLength, ref length, ref packed, ref header);
        reader.Skip(commentLength, "an entry's comment");

        var shown = SafetensorsHeader.Shortened(name);
        if ((flags & 1) != 0)
            throw reader.Mistake(start, $"entry '{shown}' is encrypted; torch.save writes none such");
        if (method != 0)
        {
            throw reader.Mistake(
                start, $"entry '{shown}' is compressed (method {method}); torch.save stores entries as they are: unpack the file and save it anew");
        }
        if (packed != length || length > (ulong)_file.Length || header > (ulong)_file.Length)
        {
            throw reader.Mistake(
                start, $"entry '{shown}' has {length:N0} bytes, stored as {packed:N0} at byte {header}; the file has {_file.Length:N0}");
        }
        budget.Take(120);
        if (!_entries.TryAdd(name, new Entry((long)header, (long)length)))
            throw reader.Mistake(start, $"entry '{shown}' stands in the directory twice");
    }

    /// <summary>The 64-bit field holds those of three numbers that did not fit into 32 bits.</summary>
    private static void ReadExtra(ByteReader reader, int extraLength, ref ulong length, ref ulong packed, ref ulong header)
    {
        const string What = "an entry's extra field";
        var end = reader.Position + extraLength;
        while (end - reader.Position >= 4)
        {
            var kind = reader.ReadUInt16(What);
            var fieldLength = reader.ReadUInt16(What);
            if (fieldLength > end - reader.Position)
                throw reader.Mistake(reader.Position, $"a field of {fieldLength} bytes is longer than the entry's extra field");
            var fieldEnd = reader.Position + fieldLength;
            if (kind == 1)
            {
                if (length == uint.MaxValue && fieldEnd - reader.Position >= 8)
                    length = reader.ReadUInt64(What);
                if (packed == uint.MaxValue && fieldEnd - reader.Position >= 8)
                    packed = reader.ReadUInt64(What);
                if (header == uint.MaxValue && fieldEnd - reader.Position >= 8)
                    header = reader.ReadUInt64(What);
            }
            reader.Skip((ulong)(fieldEnd - reader.Position), What);
        }
        reader.Skip((ulong)(end - reader.Position), What);
    }

    private CheckpointException Damaged(string name, string mistake) =>
        new(_file.Path, $"zip entry '{SafetensorsHeader.Shortened(name)}' {mistake}; the file is truncated or damaged");
}
