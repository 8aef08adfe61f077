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

    // More than any tensor has, and enough for a message to quote.
    private const int MostNumbersKept = 128;

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
            var budget = new AllocationBudget(path, json.Length + dataLength);
            budget.Take(json.Length);
            var parser = new Parser(path, json, budget);
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

    /// <summary>A place in the header as errors name it. Put together only when it is said: there is one for each token.</summary>
    private readonly record struct Place(string Before, string? Name = null, string After = "")
    {
        public override string ToString() => Name is null ? Before : $"{Before}{Shortened(Name)}{After}";
    }

    /// <summary>Reads the header token by token, so that duplicates and strays are seen.</summary>
    private ref struct Parser(string path, ReadOnlySpan<byte> json, AllocationBudget budget)
    {
        private readonly List<long> _numbers = [];
        private Utf8JsonReader _reader = new(json, new JsonReaderOptions { MaxDepth = 4 });

        public SafetensorsHeader Parse()
        {
            var entries = new List<SafetensorsEntry>();
            var names = new HashSet<string>(StringComparer.Ordinal);
            IReadOnlyDictionary<string, string> metadata = new Dictionary<string, string>();
            Next(JsonTokenType.StartObject, new("the header"));
            while (NextName(new("the header")) is { } name)
            {
                budget.Take(100 + (2 * name.Length));
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
            Next(JsonTokenType.StartObject, new(MetadataName));
            while (NextName(new(MetadataName)) is { } key)
            {
                Next(JsonTokenType.String, new("the value of '", key, $"' in {MetadataName}"));
                var text = _reader.GetString()!;
                budget.Take(150 + (2L * (key.Length + text.Length)));
                if (!metadata.TryAdd(key, text))
                    throw Mistake($"'{Shortened(key)}' stands in {MetadataName} twice");
            }
            return metadata;
        }

        private SafetensorsEntry ParseEntry(string name)
        {
            var place = new Place("tensor '", name, "'");
            string? dtype = null;
            long[]? shape = null;
            long[]? offsets = null;
            var dimensions = 0L;
            Next(JsonTokenType.StartObject, place);
            while (NextIsName(place))
            {
                if (_reader.ValueTextEquals("dtype"u8) && dtype is null)
                {
                    Next(JsonTokenType.String, new("the dtype of tensor '", name, "'"));
                    dtype = TypeName();
                }
                else if (_reader.ValueTextEquals("shape"u8) && shape is null)
                {
                    (shape, dimensions) = ParseNumbers(new("the shape of tensor '", name, "'"));
                }
                else if (_reader.ValueTextEquals("data_offsets"u8) && offsets is null)
                {
                    (offsets, _) = ParseNumbers(new("the data_offsets of tensor '", name, "'"));
                }
                else
                {
                    throw Unexpected(place);
                }
            }
            return Check(name, dtype, shape, dimensions, offsets);
        }

        /// <summary>A type's name; that of a known one is not made again.</summary>
        private readonly string TypeName()
        {
            foreach (var known in SafetensorsType.Names)
            {
                if (_reader.ValueTextEquals(known))
                    return known;
            }
            return _reader.GetString()!;
        }

        private readonly CheckpointException Unexpected(Place place)
        {
            var field = _reader.GetString()!;
            return Mistake(
                field is "dtype" or "shape" or "data_offsets"
                    ? $"{place} has two fields '{field}'"
                    : $"{place} has a field '{Shortened(field)}'; there are dtype, shape and data_offsets");
        }

        private readonly SafetensorsEntry Check(
            string name, string? dtype, long[]? shape, long dimensions, long[]? offsets)
        {
            var place = new Place("tensor '", name, "'");
            if (dtype is null || shape is null || offsets is null)
            {
                var missing = dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets";
                throw Mistake($"{place} has no field '{missing}'");
            }
            if (SafetensorsType.Find(dtype) is not { } type)
                throw Mistake($"{place} has dtype '{Shortened(dtype)}', which is not supported; supported are {SafetensorsType.AllNames}");
            if (dimensions > LargestRank)
                throw Mistake($"{place} has {dimensions} dimensions; there can be {LargestRank}");
            if (offsets.Length != 2 || offsets[0] > offsets[1])
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
            budget.Take(170 + (8 * shape.Length));
            return new SafetensorsEntry(name, type, shape, offsets[0], offsets[1]);
        }

        /// <summary>The first of some numbers, and how many there are.</summary>
        private (long[] Numbers, long Count) ParseNumbers(Place place)
        {
            _numbers.Clear();
            var count = 0L;
            Next(JsonTokenType.StartArray, place);
            while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
            {
                if (_reader.TokenType != JsonTokenType.Number || !_reader.TryGetInt64(out var number) || number < 0)
                {
                    var written = Encoding.UTF8.GetString(_reader.ValueSpan[..Math.Min(40, _reader.ValueSpan.Length)]);
                    throw Mistake($"{place} holds {written}; only whole numbers from 0 to {long.MaxValue} may stand there");
                }
                count++;
                if (count <= MostNumbersKept)
                    _numbers.Add(number);
            }
            return ([.. _numbers], count);
        }

        /// <summary>The next property's name; none at the end of the object.</summary>
        private string? NextName(Place place) => NextIsName(place) ? _reader.GetString() : null;

        /// <summary>Whether a property follows, and not the end of the object.</summary>
        private bool NextIsName(Place place)
        {
            if (!_reader.Read())
                throw Mistake($"{place} does not end");
            return _reader.TokenType != JsonTokenType.EndObject;
        }

        private void Next(JsonTokenType expected, Place place)
        {
            if (!_reader.Read() || _reader.TokenType != expected)
                throw Mistake($"{place} is a JSON {_reader.TokenType}; it must be a {expected}");
        }

        private readonly CheckpointException Mistake(string mistake) => new(path, mistake);
    }
}
