using System.Buffers.Binary;
using System.Text;

namespace LocalAttention.Core.Data;

/// <summary>
/// The chunks of a PNG file: length, name, data, check value (PNG specification, third edition, section 5.3). Walks all of
/// them once; keeps where those lie that the pixels need.
/// </summary>
internal sealed class PngChunks
{
    private static readonly uint[] Table = MakeTable();

    private readonly List<Range> _data = [];

    private PngChunks(Range header) => Header = header;

    /// <summary>The eight bytes that every PNG file begins with.</summary>
    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary><c>IHDR</c>: size and type.</summary>
    public Range Header { get; }

    /// <summary><c>PLTE</c>: the palette.</summary>
    public Range? Palette { get; private set; }

    /// <summary><c>tRNS</c>: what is transparent.</summary>
    public Range? Transparency { get; private set; }

    /// <summary>Bytes of all <c>IDAT</c>.</summary>
    public long DataLength { get; private set; }

    /// <exception cref="DataFileException">A chunk is truncated, damaged, unknown, missing or out of place.</exception>
    public static PngChunks Read(string path, byte[] content)
    {
        PngChunks? chunks = null;
        var position = Signature.Length;
        var previous = "";
        while (true)
        {
            var (name, data) = Next(path, content, ref position);
            if ((chunks is null) != (name == "IHDR"))
                throw new DataFileException(path, $"the chunk {name} stands where IHDR must be the first and only one of its name");
            if (name == "IEND")
                break;
            chunks ??= new PngChunks(data);
            chunks.Take(path, name, data, previous);
            previous = name;
        }
        if (chunks!._data.Count == 0)
            throw new DataFileException(path, "there is no chunk IDAT; an image without pixels is none");
        return chunks;
    }

    /// <summary>All data of the pixels, one behind the other.</summary>
    public byte[] JoinData(byte[] content)
    {
        var joined = new byte[DataLength];
        var end = 0;
        foreach (var range in _data)
        {
            var (offset, length) = range.GetOffsetAndLength(content.Length);
            content.AsSpan(offset, length).CopyTo(joined.AsSpan(end));
            end += length;
        }
        return joined;
    }

    /// <summary>One chunk with its length and check value.</summary>
    public static void Write(Stream stream, string name, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        stream.Write(number);
        Span<byte> letters = stackalloc byte[4];
        Encoding.ASCII.GetBytes(name, letters);
        stream.Write(letters);
        stream.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, ~Continue(Continue(uint.MaxValue, letters), data));
        stream.Write(number);
    }

    private void Take(string path, string name, Range data, string previous)
    {
        switch (name)
        {
            case "IHDR":
                break;
            case "PLTE" or "tRNS" when _data.Count > 0:
                throw new DataFileException(path, $"the chunk {name} follows the pixels; it must stand before IDAT");
            case "PLTE" when Palette is not null:
            case "tRNS" when Transparency is not null:
                throw new DataFileException(path, $"there are two chunks {name}; there must be one at most");
            case "PLTE":
                Palette = data;
                break;
            case "tRNS":
                Transparency = data;
                break;
            case "IDAT" when _data.Count > 0 && previous != "IDAT":
                throw new DataFileException(path, $"the chunk {previous} stands between chunks IDAT; these must follow each other");
            case "IDAT":
                _data.Add(data);
                DataLength += data.End.Value - data.Start.Value;
                break;
            // The case of the first letter says whether an image can be shown without knowing the chunk.
            case var _ when char.IsAsciiLetterUpper(name[0]):
                throw new DataFileException(path, $"the chunk {name} is needed to show the image, and not known");
        }
    }

    private static (string Name, Range Data) Next(string path, byte[] content, ref int position)
    {
        const int around = 12;
        var left = content.Length - position;
        if (left < around)
            throw new DataFileException(path, $"the file ends at byte {content.Length:N0} without a chunk IEND; it is truncated");
        var length = BinaryPrimitives.ReadUInt32BigEndian(content.AsSpan(position));
        var letters = content.AsSpan(position + 4, 4);
        foreach (var letter in letters)
        {
            if (!char.IsAsciiLetter((char)letter))
            {
                throw new DataFileException(
                    path, $"at byte {position + 4:N0} stands 0x{Convert.ToHexString(letters)}; a chunk's name is four letters");
            }
        }
        var name = Encoding.ASCII.GetString(letters);
        if (length > left - around)
        {
            throw new DataFileException(
                path, $"the chunk {name} promises {length:N0} bytes; {left - around:N0} are left; the file is truncated");
        }
        var start = position + 8;
        var data = start..(start + (int)length);
        var check = BinaryPrimitives.ReadUInt32BigEndian(content.AsSpan(data.End.Value));
        var computed = ~Continue(uint.MaxValue, content.AsSpan(position + 4, 4 + (int)length));
        if (check != computed)
        {
            throw new DataFileException(
                path, $"the chunk {name} at byte {position:N0} is damaged: its check value is 0x{check:x8}, "
                    + $"that of its data 0x{computed:x8}");
        }
        position = data.End.Value + 4;
        return (name, data);
    }

    // CRC-32 of ISO 3309, a byte at a time: it is not in the runtime's library, and reading is bound by inflating.
    private static uint Continue(uint state, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
            state = Table[(byte)(state ^ value)] ^ (state >> 8);
        return state;
    }

    private static uint[] MakeTable()
    {
        var table = new uint[256];
        for (uint value = 0; value < table.Length; value++)
        {
            var state = value;
            for (var bit = 0; bit < 8; bit++)
                state = (state & 1) == 1 ? 0xEDB88320 ^ (state >> 1) : state >> 1;
            table[value] = state;
        }
        return table;
    }
}
