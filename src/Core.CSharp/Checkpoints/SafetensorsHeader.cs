using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The JSON header of a safetensors file. The file may come from anywhere: whatever the format does not allow is refused
/// with the tensor, the value and what would be right, before any tensor is allocated.
/// </summary>
internal sealed record SafetensorsHeader(
    IReadOnlyList<SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata)
{
    public const string MetadataName = "__metadata__";

    /// <summary>The limit that the format's own library sets.</summary>
    public const long LargestLength = 100_000_000;

    private const int LargestRank = 64;

    private const int LongestQuote = 200;

    /// <param name="path">The file, for messages.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataLength">The bytes of the file after the header.</param>
    public static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataLength)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
            throw new CheckpointException(path, "the header does not begin with '{'; this is not a safetensors file");
        try
        {
            var parser = new Parser(path, json);
            var header = parser.Parse();
            CheckLayout(path, header.Entries, dataLength);
            return header;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // Besides malformed JSON: a text that is no valid UTF-8 shows only when it is read.
            throw new CheckpointException(path, $"the header is not valid JSON: {Shortened(error.Message)}", error);
        }
    }

    /// <summary>Text of the file as messages quote it: it may be as long as the file.</summary>
    public static string Shortened(string text) => text.Length <= LongestQuote ? text : $"{text.AsSpan(0, LongestQuote)}…";

    /// <summary>The header's bytes, filled with spaces to a multiple of 8 so that the data after it is aligned.</summary>
    public byte[] ToBytes()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            writer.WriteStartObject();
            if (Metadata.Count > 0)
            {
                writer.WriteStartObject(MetadataName);
                foreach (var (key, value) in Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    writer.WriteString(key, value);
                writer.WriteEndObject();
            }
            foreach (var entry in Entries)
            {
                writer.WriteStartObject(entry.Name);
                writer.WriteString("dtype", SafetensorsType.NameOf(entry.Type));
                writer.WriteStartArray("shape");
                foreach (var dimension in entry.Shape)
                    writer.WriteNumberValue(dimension);
                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(entry.Begin);
                writer.WriteNumberValue(entry.End);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }
            writer.WriteEndObject();
        }
        var bytes = new byte[(buffer.WrittenCount + 7) / 8 * 8];
        buffer.WrittenSpan.CopyTo(bytes);
        bytes.AsSpan(buffer.WrittenCount).Fill((byte)' ');
        return bytes;
    }

    /// <summary>The tensors must fill the data without gap or overlap, first byte to last.</summary>
    private static void CheckLayout(string path, IReadOnlyList<SafetensorsEntry> entries, long dataLength)
    {
        long position = 0;
        SafetensorsEntry? previous = null;
        foreach (var entry in entries.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End))
        {
            if (entry.End > dataLength)
            {
                throw new CheckpointException(
                    path,
                    $"tensor '{Shortened(entry.Name)}' ends at byte {entry.End} of the data, which has {dataLength}; "
                        + "the file is truncated or its header wrong");
            }
            if (entry.Begin < position)
            {
                throw new CheckpointException(
                    path,
                    $"tensor '{Shortened(entry.Name)}' begins at byte {entry.Begin} inside tensor '{Shortened(previous!.Name)}', "
                        + $"which ends at {position}; tensors may not overlap");
            }
            if (entry.Begin > position)
            {
                throw new CheckpointException(
                    path,
                    $"bytes {position} to {entry.Begin} of the data, before tensor '{Shortened(entry.Name)}', "
                        + "belong to no tensor; data may have no gaps");
            }
            position = entry.End;
            previous = entry;
        }
        if (position != dataLength)
        {
            throw new CheckpointException(
                path,
                $"the data has {dataLength} bytes, of which the last tensor leaves {dataLength - position} "
                    + "over; it must end with its last tensor");
        }
    }

    /// <summary>Reads the header token by token, so that duplicates and strays are seen.</summary>
    private ref struct Parser(string path, ReadOnlySpan<byte> json)
    {
        private Utf8JsonReader _reader = new(json, new JsonReaderOptions { MaxDepth = 4 });

        public SafetensorsHeader Parse()
        {
            var entries = new List<SafetensorsEntry>();
            var names = new HashSet<string>(StringComparer.Ordinal);
            IReadOnlyDictionary<string, string> metadata = new Dictionary<string, string>();
            Next(JsonTokenType.StartObject, "the header");
            while (NextName("the header") is { } name)
            {
                if (!names.Add(name))
                    throw Mistake($"'{Shortened(name)}' stands in the header twice");
                if (name == MetadataName)
                    metadata = ParseMetadata();
                else
                    entries.Add(ParseEntry(name));
            }
            while (_reader.Read())
            {
                // Anything but white space after the object is malformed, and the reader says so.
            }
            return new SafetensorsHeader(entries, metadata);
        }

        private Dictionary<string, string> ParseMetadata()
        {
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            Next(JsonTokenType.StartObject, MetadataName);
            while (NextName(MetadataName) is { } key)
            {
                Next(JsonTokenType.String, $"the value of '{Shortened(key)}' in {MetadataName}");
                if (!metadata.TryAdd(key, _reader.GetString()!))
                    throw Mistake($"'{Shortened(key)}' stands in {MetadataName} twice");
            }
            return metadata;
        }

        private SafetensorsEntry ParseEntry(string name)
        {
            var place = $"tensor '{Shortened(name)}'";
            string? dtype = null;
            List<long>? shape = null;
            List<long>? offsets = null;
            Next(JsonTokenType.StartObject, place);
            while (NextName(place) is { } field)
            {
                if ((field == "dtype" && dtype is not null)
                    || (field == "shape" && shape is not null)
                    || (field == "data_offsets" && offsets is not null))
                    throw Mistake($"{place} has two fields '{field}'");
                switch (field)
                {
                    case "dtype":
                        Next(JsonTokenType.String, $"the dtype of {place}");
                        dtype = _reader.GetString();
                        break;
                    case "shape":
                        shape = ParseNumbers($"the shape of {place}");
                        break;
                    case "data_offsets":
                        offsets = ParseNumbers($"the data_offsets of {place}");
                        break;
                    default:
                        throw Mistake($"{place} has a field '{Shortened(field)}'; there are dtype, shape and data_offsets");
                }
            }
            return Check(name, dtype, shape, offsets);
        }

        private readonly SafetensorsEntry Check(string name, string? dtype, List<long>? shape, List<long>? offsets)
        {
            var place = $"tensor '{Shortened(name)}'";
            if (dtype is null || shape is null || offsets is null)
            {
                var missing = dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets";
                throw Mistake($"{place} has no field '{missing}'");
            }
            if (SafetensorsType.Find(dtype) is not { } type)
                throw Mistake($"{place} has dtype '{Shortened(dtype)}', which is not supported; supported are {SafetensorsType.AllNames}");
            if (shape.Count > LargestRank)
                throw Mistake($"{place} has {shape.Count} dimensions; there can be {LargestRank}");
            if (offsets.Count != 2 || offsets[0] > offsets[1])
                throw Mistake(
                    $"the data_offsets of {place} are [{Shortened(string.Join(", ", offsets))}]; they must be [begin, "
                    + "end] with begin ≤ end");
            var bytes = (UInt128)SafetensorsType.SizeOf(type);
            foreach (var dimension in shape)
            {
                bytes *= (UInt128)dimension;
                if (bytes > long.MaxValue)
                    throw Mistake($"{place} of shape [{string.Join(", ", shape)}] is larger than any file");
            }
            var length = offsets[1] - offsets[0];
            if ((UInt128)length != bytes)
            {
                throw Mistake(
                    $"{place} has {length} bytes of data, but {dtype} of shape [{string.Join(", ", shape)}] takes {bytes}");
            }
            return new SafetensorsEntry(name, type, shape, offsets[0], offsets[1]);
        }

        private List<long> ParseNumbers(string place)
        {
            var numbers = new List<long>();
            Next(JsonTokenType.StartArray, place);
            while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
            {
                if (_reader.TokenType != JsonTokenType.Number || !_reader.TryGetInt64(out var number) || number < 0)
                {
                    var written = Encoding.UTF8.GetString(_reader.ValueSpan[..Math.Min(40, _reader.ValueSpan.Length)]);
                    throw Mistake($"{place} holds {written}; only whole numbers from 0 to {long.MaxValue} may stand there");
                }
                numbers.Add(number);
            }
            return numbers;
        }

        /// <summary>The next property's name; none at the end of the object.</summary>
        private string? NextName(string place)
        {
            if (!_reader.Read())
                throw Mistake($"{place} does not end");
            return _reader.TokenType == JsonTokenType.EndObject ? null : _reader.GetString();
        }

        private void Next(JsonTokenType expected, string place)
        {
            if (!_reader.Read() || _reader.TokenType != expected)
                throw Mistake($"{place} is a JSON {_reader.TokenType}; it must be a {expected}");
        }

        private readonly CheckpointException Mistake(string mistake) => new(path, mistake);
    }
}
