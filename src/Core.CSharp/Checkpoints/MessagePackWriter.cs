using System.Buffers.Binary;
using System.Text;

namespace LocalAttention.Core.Checkpoints;

/// <summary>Writes MessagePack, each value in the fewest bytes, as Python's own package does.</summary>
internal sealed class MessagePackWriter(Stream stream)
{
    public void Map(int pairs) => Header(pairs, 0x80, 15, null, 0xDE);

    public void Array(int values) => Header(values, 0x90, 15, null, 0xDC);

    public void Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Header(bytes.Length, 0xA0, 31, 0xD9, 0xDA);
        stream.Write(bytes);
    }

    /// <summary>What stands before that many bytes of binary data, which follow.</summary>
    public void Binary(long length) => Header(length, 0, -1, 0xC4, 0xC5);

    /// <summary>What stands before that many bytes of an extension, which follow.</summary>
    public void Extension(sbyte type, long length)
    {
        if (length is 1 or 2 or 4 or 8 or 16)
            stream.WriteByte((byte)(0xD4 + long.Log2(length)));
        else
            Header(length, 0, -1, 0xC7, 0xC8);
        stream.WriteByte((byte)type);
    }

    public void Boolean(bool value) => stream.WriteByte(value ? (byte)0xC3 : (byte)0xC2);

    /// <summary>A whole number from 0 on.</summary>
    public void Integer(long number)
    {
        if (number <= uint.MaxValue)
        {
            Header(number, 0, 127, 0xCC, 0xCD);
            return;
        }
        Span<byte> bytes = stackalloc byte[9];
        bytes[0] = 0xCF;
        BinaryPrimitives.WriteInt64BigEndian(bytes[1..], number);
        stream.Write(bytes);
    }

    /// <summary>A number in the first byte itself, or in one, two or four bytes behind it.</summary>
    private void Header(long number, byte inFirst, int largestInFirst, byte? oneByte, byte twoBytes)
    {
        Span<byte> bytes = stackalloc byte[5];
        if (number <= largestInFirst)
        {
            stream.WriteByte((byte)(inFirst | number));
        }
        else if (oneByte is { } first && number <= byte.MaxValue)
        {
            (bytes[0], bytes[1]) = (first, (byte)number);
            stream.Write(bytes[..2]);
        }
        else if (number <= ushort.MaxValue)
        {
            bytes[0] = twoBytes;
            BinaryPrimitives.WriteUInt16BigEndian(bytes[1..], (ushort)number);
            stream.Write(bytes[..3]);
        }
        else
        {
            // The four-byte form is next to the two-byte one, always.
            bytes[0] = (byte)(twoBytes + 1);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[1..], checked((uint)number));
            stream.Write(bytes);
        }
    }
}
