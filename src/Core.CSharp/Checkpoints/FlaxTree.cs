using System.Globalization;

namespace LocalAttention.Core.Checkpoints;

/// <summary>An array that a Flax file describes.</summary>
/// <param name="Name">The path of keys to it.</param>
/// <param name="Type">NumPy's name of the elements' type.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Pieces">Where its bytes stand, one piece after the other.</param>
internal sealed record FlaxArray(string Name, string Type, long[] Shape, IReadOnlyList<(long Begin, long Length)> Pieces);

/// <summary>Walks through the maps of a Flax file and finds the arrays; their data are passed over.</summary>
internal sealed class FlaxTree(ByteReader bytes, AllocationBudget budget)
{
    /// <summary>An array as an extension: its shape, its type's name, its bytes.</summary>
    public const sbyte ArrayExtension = 1;

    /// <summary>A complex number of Python.</summary>
    public const sbyte ComplexExtension = 2;

    /// <summary>A scalar of NumPy, described as an array without dimensions.</summary>
    public const sbyte ScalarExtension = 3;

    /// <summary>The key that makes a map an array in pieces.</summary>
    public const string ChunkMark = "__msgpack_chunked_array__";

    /// <summary>How deep maps and arrays may be in one another.</summary>
    public const int DeepestNesting = 64;

    private const int LargestRank = 64;
    private const int LongestTypeName = 64;

    private readonly MessagePackReader _reader = new(bytes);
    private readonly List<FlaxArray> _arrays = [];
    private readonly List<Step> _path = [];

    /// <summary>A key of the path: its text, once it was needed; until then only where it stands.</summary>
    private struct Step
    {
        public string? Text;
        public long Index;
    }

    /// <exception cref="CheckpointException">The file is damaged, too deep, or holds what no Flax file does.</exception>
    public List<FlaxArray> Read()
    {
        Value(_reader.Next(MessagePackKind.Map, "the file"));
        if (bytes.Remaining > 0)
            throw bytes.Mistake(bytes.Position, $"{bytes.Remaining:N0} bytes follow the file's map; it is damaged or no Flax file");
        return _arrays;
    }

    private void Value(MessagePackToken token)
    {
        switch (token.Kind)
        {
            case MessagePackKind.Map:
                Map(token);
                break;
            case MessagePackKind.Array:
                Array(token);
                break;
            case MessagePackKind.Extension:
                Extension(token);
                break;
            default:
                _reader.Skip(token, "a value");
                break;
        }
    }

    private void Map(MessagePackToken map)
    {
        EnsureShallow(map);
        for (var index = 0L; index < map.Number; index++)
        {
            var key = _reader.NextText("a key of a map");
            if (key == ChunkMark)
            {
                if (index != 0)
                    throw _reader.Mistake(map, $"'{ChunkMark}' is not the first key of its map");
                Chunked(map);
                return;
            }
            _path.Add(new Step { Text = key });
            Value(_reader.Next("a value of a map"));
            _path.RemoveAt(_path.Count - 1);
        }
    }

    private void Array(MessagePackToken array)
    {
        EnsureShallow(array);
        for (var index = 0L; index < array.Number; index++)
        {
            _path.Add(new Step { Index = index });
            Value(_reader.Next("a value of an array"));
            _path.RemoveAt(_path.Count - 1);
        }
    }

    private void EnsureShallow(MessagePackToken token)
    {
        if (_path.Count >= DeepestNesting)
            throw _reader.Mistake(token, $"maps and arrays are nested more than {DeepestNesting} deep; no model's parameters are");
    }

    private void Extension(MessagePackToken token)
    {
        switch (token.Extension)
        {
            case ArrayExtension or ScalarExtension:
                var (type, shape, piece) = Described(token);
                Add(type, shape, [piece]);
                break;
            case ComplexExtension:
                _reader.Skip(token, "a complex number");
                break;
            default:
                throw _reader.Mistake(
                    token, $"an extension has type {token.Extension}; Flax writes {ArrayExtension}, {ComplexExtension} and {ScalarExtension}");
        }
    }

    private void Add(string type, long[] shape, IReadOnlyList<(long, long)> pieces)
    {
        var length = _path.Sum(step => (step.Text?.Length ?? 20) + 1L);
        budget.Take(250 + (4 * length));
        var name = string.Join('/', _path.Select(step => step.Text ?? step.Index.ToString(CultureInfo.InvariantCulture)));
        _arrays.Add(new FlaxArray(name, type, shape, pieces));
    }

    /// <summary>The content of an array's extension: MessagePack again, an array of shape, type and bytes.</summary>
    private (string Type, long[] Shape, (long Begin, long Length) Piece) Described(MessagePackToken extension)
    {
        const string What = "an array's description";
        var end = bytes.Position + extension.Number;
        if (extension.Number > bytes.Remaining)
            throw _reader.Mistake(extension, $"an array takes {extension.Number:N0} bytes, and {bytes.Remaining:N0} follow; the file is truncated or damaged");
        if (_reader.Next(MessagePackKind.Array, What) is var parts && parts.Number != 3)
            throw _reader.Mistake(parts, $"{What} has {parts.Number} parts; there are a shape, a type and the bytes");
        var dimensions = _reader.Next(MessagePackKind.Array, "an array's shape");
        if (dimensions.Number > LargestRank)
            throw _reader.Mistake(dimensions, $"an array has {dimensions.Number} dimensions; there can be {LargestRank}");
        budget.Take(32 + (8 * dimensions.Number));
        var shape = new long[dimensions.Number];
        for (var axis = 0; axis < shape.Length; axis++)
            shape[axis] = Dimension();
        var name = _reader.Next(MessagePackKind.Text, "an array's type");
        if (name.Number > LongestTypeName)
            throw _reader.Mistake(name, $"the name of an array's type has {name.Number:N0} bytes; NumPy has none so long");
        var type = bytes.ReadText((ulong)name.Number, "an array's type");
        var data = _reader.Next(MessagePackKind.Binary, "an array's bytes");
        var piece = (bytes.Position, data.Number);
        _reader.Skip(data, "an array's bytes");
        return bytes.Position == end
            ? (type, shape, piece)
            : throw _reader.Mistake(extension, $"an array is said to take {extension.Number:N0} bytes, and ends {Math.Abs(bytes.Position - end):N0} {(bytes.Position < end ? "before" : "after")} them");
    }

    private long Dimension()
    {
        var number = _reader.Next(MessagePackKind.Integer, "a dimension");
        return number.Number >= 0
            ? number.Number
            : throw _reader.Mistake(number, $"a dimension is {number.Number}; it must be 0 or more");
    }

    /// <summary>
    /// An array too large for one value: a map of a mark, the shape and the pieces; both lists as maps from "0", "1", ….
    /// </summary>
    private void Chunked(MessagePackToken map)
    {
        _reader.Skip(_reader.Next(MessagePackKind.Boolean, $"the value of '{ChunkMark}'"), "a truth value");
        SortedDictionary<long, long>? shape = null;
        SortedDictionary<long, (string Type, (long, long) Piece)>? pieces = null;
        for (var index = 1L; index < map.Number; index++)
        {
            var key = _reader.NextText("a key of an array in pieces");
            if (key == "shape" && shape is null)
                shape = Numbered("the shape of an array in pieces", Dimension);
            else if (key == "chunks" && pieces is null)
                pieces = Numbered("the pieces of an array", Piece);
            else
                throw _reader.Mistake(map, $"an array in pieces has a key '{SafetensorsHeader.Shortened(key)}'; there are one shape and one chunks");
        }
        if (shape is null || pieces is null || pieces.Count == 0 || shape.Count > LargestRank)
            throw _reader.Mistake(map, $"an array in pieces has no shape of at most {LargestRank} dimensions, or no pieces");
        var type = pieces.First().Value.Type;
        if (pieces.Values.Any(piece => piece.Type != type))
            throw _reader.Mistake(map, "the pieces of an array differ in type");
        Add(type, [.. shape.Values], [.. pieces.Values.Select(piece => piece.Piece)]);
    }

    private (string Type, (long, long) Piece) Piece()
    {
        var token = _reader.Next(MessagePackKind.Extension, "a piece of an array");
        if (token.Extension != ArrayExtension)
            throw _reader.Mistake(token, $"a piece of an array is an extension of type {token.Extension}; it must be {ArrayExtension}");
        var (type, _, piece) = Described(token);
        return (type, piece);
    }

    /// <summary>A list that is written as a map from "0", "1", … in any order.</summary>
    private SortedDictionary<long, T> Numbered<T>(string what, Func<T> read)
    {
        var map = _reader.Next(MessagePackKind.Map, what);
        var values = new SortedDictionary<long, T>();
        for (var index = 0L; index < map.Number; index++)
        {
            budget.Take(200);
            var key = _reader.NextText($"a key of {what}");
            if (!long.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number >= map.Number)
                throw _reader.Mistake(map, $"{what} has a key '{SafetensorsHeader.Shortened(key)}'; keys count from 0 to {map.Number - 1}");
            if (!values.TryAdd(number, read()))
                throw _reader.Mistake(map, $"{what} has the key '{number}' twice");
        }
        return values;
    }
}
