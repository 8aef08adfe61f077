using Google.Protobuf;

namespace LocalAttention.Core.Export;

/// <summary>
/// A protocol buffers message as a list of fields, which knows its size before it is written: large contents are produced only
/// when their turn to be written comes, and never stand in memory together.
/// </summary>
internal sealed class ProtobufMessage
{
    private readonly List<Field> _fields = [];
    private long? _size;

    /// <summary>Writes what is left of a field; the stream stands behind its length.</summary>
    public delegate void WriteContent(Stream stream);

    private delegate void WriteField(CodedOutputStream output, Stream stream);

    /// <summary>The bytes that this message takes, without a length before them.</summary>
    public long Size => _size ??= _fields.Sum(each => each.Size);

    /// <summary>A number: <c>int32</c>, <c>int64</c> or an enumeration's.</summary>
    public ProtobufMessage Add(int field, long value) => Add(
        TagSize(field) + CodedOutputStream.ComputeInt64Size(value),
        (output, _) =>
        {
            output.WriteTag(field, WireFormat.WireType.Varint);
            output.WriteInt64(value);
        });

    /// <summary>A number of 32 bits.</summary>
    public ProtobufMessage Add(int field, float value) => Add(
        TagSize(field) + sizeof(float),
        (output, _) =>
        {
            output.WriteTag(field, WireFormat.WireType.Fixed32);
            output.WriteFloat(value);
        });

    /// <summary>A text.</summary>
    public ProtobufMessage Add(int field, string value) => Add(
        TagSize(field) + CodedOutputStream.ComputeStringSize(value),
        (output, _) =>
        {
            output.WriteTag(field, WireFormat.WireType.LengthDelimited);
            output.WriteString(value);
        });

    /// <summary>A message in this one.</summary>
    public ProtobufMessage Add(int field, ProtobufMessage value) => Add(
        DelimitedSize(field, value.Size),
        (output, stream) =>
        {
            WriteLength(output, field, value.Size);
            value.WriteTo(output, stream);
        });

    /// <summary>Bytes of a known number that are written when it is their turn.</summary>
    public ProtobufMessage Add(int field, long size, WriteContent write) => Add(
        DelimitedSize(field, size),
        (output, stream) =>
        {
            WriteLength(output, field, size);
            output.Flush();
            var begin = stream.Position;
            write(stream);
            if (stream.Position - begin != size)
            {
                throw new InvalidOperationException($"{stream.Position - begin} bytes were written where {size} were announced");
            }
        });

    /// <summary>Each number as a field of its own, as readers of both syntaxes take it.</summary>
    public ProtobufMessage AddEach(int field, IEnumerable<long> values)
    {
        foreach (var value in values)
        {
            Add(field, value);
        }
        return this;
    }

    /// <summary>Writes the message to a stream whose position can be asked for.</summary>
    public void WriteTo(Stream stream)
    {
        using var output = new CodedOutputStream(stream, leaveOpen: true);
        WriteTo(output, stream);
    }

    private void WriteTo(CodedOutputStream output, Stream stream)
    {
        foreach (var field in _fields)
        {
            field.Write(output, stream);
        }
    }

    private ProtobufMessage Add(long size, WriteField write)
    {
        _fields.Add(new Field(size, write));
        _size = null;
        return this;
    }

    private static void WriteLength(CodedOutputStream output, int field, long size)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteLength(checked((int)size));
    }

    private static long DelimitedSize(int field, long size) =>
        TagSize(field) + CodedOutputStream.ComputeUInt64Size((ulong)size) + size;

    private static int TagSize(int field) => CodedOutputStream.ComputeTagSize(field);

    private readonly record struct Field(long Size, WriteField Write);
}
