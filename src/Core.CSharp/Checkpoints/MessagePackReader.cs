namespace LocalAttention.Core.Checkpoints;

/// <summary>The kinds of MessagePack's values.</summary>
internal enum MessagePackKind
{
    Nil,
    Boolean,
    Integer,
    Float,
    Text,
    Binary,
    Array,
    Map,
    Extension,
}

/// <summary>What stands before a value's content.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Position">Where it stands in the file.</param>
/// <param name="Number">
/// An integer; the bytes of a text, of binary data or of an extension, which follow; the values of an array, the pairs of a map.
/// </param>
/// <param name="Extension">The type of an extension.</param>
internal readonly record struct MessagePackToken(MessagePackKind Kind, long Position, long Number, sbyte Extension = 0);

/// <summary>
/// Reads MessagePack token by token. Ours because no library for it is among this project's packages, and because a library
/// that makes objects of a file would allocate what the file promises.
/// </summary>
/// <remarks>The specification of MessagePack, 2013's, with texts, binary data and extensions apart.</remarks>
internal sealed class MessagePackReader(ByteReader bytes)
{
    /// <summary>The bytes themselves, for what follows a token.</summary>
    public ByteReader Bytes => bytes;

    /// <summary>The next value's token; the position is behind it then, at its content.</summary>
    /// <param name="what">What is expected, for errors.</param>
    public MessagePackToken Next(string what)
    {
        var position = bytes.Position;
        var first = bytes.ReadByte(what);
        var (kind, number) = first switch
        {
            <= 0x7F => (MessagePackKind.Integer, first),
            <= 0x8F => (MessagePackKind.Map, first & 0x0F),
            <= 0x9F => (MessagePackKind.Array, first & 0x0F),
            <= 0xBF => (MessagePackKind.Text, first & 0x1F),
            0xC0 => (MessagePackKind.Nil, 0),
            0xC2 or 0xC3 => (MessagePackKind.Boolean, first & 1),
            0xC4 or 0xC5 or 0xC6 => (MessagePackKind.Binary, Length(first - 0xC4, what)),
            0xC7 or 0xC8 or 0xC9 => (MessagePackKind.Extension, Length(first - 0xC7, what)),
            0xCA or 0xCB => (MessagePackKind.Float, Passed(first == 0xCA ? 4UL : 8UL, what)),
            0xCC => (MessagePackKind.Integer, bytes.ReadByte(what)),
            0xCD => (MessagePackKind.Integer, bytes.ReadUInt16(what, bigEndian: true)),
            0xCE => (MessagePackKind.Integer, bytes.ReadUInt32(what, bigEndian: true)),
            0xCF => (MessagePackKind.Integer, Large(bytes.ReadUInt64(what, bigEndian: true))),
            0xD0 => (MessagePackKind.Integer, (sbyte)bytes.ReadByte(what)),
            0xD1 => (MessagePackKind.Integer, (short)bytes.ReadUInt16(what, bigEndian: true)),
            0xD2 => (MessagePackKind.Integer, (int)bytes.ReadUInt32(what, bigEndian: true)),
            0xD3 => (MessagePackKind.Integer, (long)bytes.ReadUInt64(what, bigEndian: true)),
            >= 0xD4 and <= 0xD8 => (MessagePackKind.Extension, 1L << (first - 0xD4)),
            0xD9 or 0xDA or 0xDB => (MessagePackKind.Text, Length(first - 0xD9, what)),
            0xDC or 0xDD => (MessagePackKind.Array, Length(first - 0xDB, what)),
            0xDE or 0xDF => (MessagePackKind.Map, Length(first - 0xDD, what)),
            >= 0xE0 => (MessagePackKind.Integer, (sbyte)first),
            _ => throw bytes.Mistake(position, $"the byte 0x{first:X2} begins no value of MessagePack"),
        };
        var extension = kind == MessagePackKind.Extension ? (sbyte)bytes.ReadByte(what) : (sbyte)0;
        return new MessagePackToken(kind, position, number, extension);
    }

    /// <summary>A token of one kind.</summary>
    /// <exception cref="CheckpointException">The next value is of another.</exception>
    public MessagePackToken Next(MessagePackKind kind, string what)
    {
        var token = Next(what);
        return token.Kind == kind ? token : throw Mistake(token, $"{what} is of kind {token.Kind}; it must be {kind}");
    }

    /// <summary>A text, whole.</summary>
    public string NextText(string what) => bytes.ReadText((ulong)Next(MessagePackKind.Text, what).Number, what);

    /// <summary>Passes over the content of a value that holds no others.</summary>
    public void Skip(MessagePackToken token, string what)
    {
        if (token.Kind is MessagePackKind.Text or MessagePackKind.Binary or MessagePackKind.Extension)
            bytes.Skip((ulong)token.Number, what);
    }

    /// <summary>An error at a value.</summary>
    public CheckpointException Mistake(MessagePackToken token, string mistake) => bytes.Mistake(token.Position, mistake);

    /// <summary>A length of one, two or four bytes.</summary>
    private long Length(int width, string what) => width switch
    {
        0 => bytes.ReadByte(what),
        1 => bytes.ReadUInt16(what, bigEndian: true),
        _ => bytes.ReadUInt32(what, bigEndian: true),
    };

    /// <summary>Numbers with a point are none that a tensor's description has; they are passed over.</summary>
    private long Passed(ulong length, string what)
    {
        bytes.Skip(length, what);
        return 0;
    }

    /// <summary>What a signed number cannot hold is no size of anything in a file.</summary>
    private static long Large(ulong number) => number > long.MaxValue ? long.MaxValue : (long)number;
}
