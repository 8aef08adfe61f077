using System.Buffers.Binary;
using System.Text;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Reads a stretch of a file from its first byte to its last, through a buffer.</summary>
/// <param name="file">The file.</param>
/// <param name="begin">Where the stretch begins.</param>
/// <param name="end">Where it ends.</param>
/// <param name="budget">What strings and arrays are taken from.</param>
/// <param name="stretch">The stretch's name in messages, with a comma; empty where it is the whole file.</param>
internal sealed class ByteReader(FileBytes file, long begin, long end, AllocationBudget budget, string stretch = "")
{
    private const int BufferLength = 1 << 15;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly long _begin = begin;
    private readonly byte[] _buffer = new byte[Math.Min(BufferLength, end - begin)];
    private long _bufferBegin = begin;
    private int _bufferCount;

    /// <summary>The next byte's place in the file.</summary>
    public long Position { get; private set; } = begin;

    /// <summary>The bytes that are left.</summary>
    public long Remaining => end - Position;

    public byte ReadByte(string what)
    {
        Ensure(1, what);
        Fill();
        return _buffer[(int)(Position++ - _bufferBegin)];
    }

    public ushort ReadUInt16(string what, bool bigEndian = false)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        Read(bytes, what);
        return bigEndian ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    public uint ReadUInt32(string what, bool bigEndian = false)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Read(bytes, what);
        return bigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public ulong ReadUInt64(string what, bool bigEndian = false)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        Read(bytes, what);
        return bigEndian ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    /// <summary>Bytes in a new array.</summary>
    public byte[] ReadBytes(ulong length, string what)
    {
        Ensure(length, what);
        if (length > (ulong)Array.MaxLength)
            throw Mistake(Position, $"{what} of {length:N0} bytes is too long");
        budget.Take((long)length + 32);
        var bytes = new byte[length];
        Read(bytes, what);
        return bytes;
    }

    /// <summary>A text in UTF-8.</summary>
    public string ReadText(ulong length, string what)
    {
        var start = Position;
        Ensure(length, what);
        // A character takes a byte or more here, two in memory, and is decoded from a copy.
        budget.Take((3 * (long)length) + 32);
        if (length > (ulong)Array.MaxLength)
            throw Mistake(start, $"{what} of {length:N0} bytes is too long");
        Span<byte> bytes = length <= 256 ? stackalloc byte[(int)length] : new byte[length];
        Read(bytes, what);
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw new CheckpointException(file.Path, At(start, $"{what} is not valid UTF-8"), error);
        }
    }

    /// <summary>A line of ASCII up to its line feed, which is passed over.</summary>
    public string ReadLine(int longest, string what)
    {
        var start = Position;
        Span<char> line = stackalloc char[longest];
        for (var length = 0; length <= longest; length++)
        {
            var character = ReadByte(what);
            if (character == '\n')
            {
                budget.Take((2 * length) + 32);
                return line[..length].ToString();
            }
            if (character is < 0x20 or > 0x7E || length == longest)
                break;
            line[length] = (char)character;
        }
        throw Mistake(start, $"{what} is no line of at most {longest} printable characters");
    }

    public void Skip(ulong length, string what)
    {
        Ensure(length, what);
        Position += (long)length;
    }

    public void Read(Span<byte> bytes, string what)
    {
        Ensure((ulong)bytes.Length, what);
        while (!bytes.IsEmpty)
        {
            Fill();
            var available = _buffer.AsSpan((int)(Position - _bufferBegin), (int)(_bufferBegin + _bufferCount - Position));
            var count = Math.Min(available.Length, bytes.Length);
            available[..count].CopyTo(bytes);
            bytes = bytes[count..];
            Position += count;
        }
    }

    /// <summary>An error at a place in the file.</summary>
    public CheckpointException Mistake(long position, string mistake) => new(file.Path, At(position, mistake));

    private string At(long position, string mistake) => $"{stretch}byte {position - (stretch.Length == 0 ? 0 : _begin)}: {mistake}";

    private void Ensure(ulong length, string what)
    {
        if (length > (ulong)Remaining)
        {
            throw Mistake(
                Position, $"{what} takes {length:N0} bytes, of which {Remaining:N0} are there; the file is truncated or damaged");
        }
    }

    /// <summary>Sees to it that the next byte is in the buffer.</summary>
    private void Fill()
    {
        if (Position >= _bufferBegin && Position < _bufferBegin + _bufferCount)
            return;
        _bufferBegin = Position;
        _bufferCount = (int)Math.Min(_buffer.Length, end - Position);
        file.ReadExactly(_buffer.AsSpan(0, _bufferCount), Position);
    }
}
