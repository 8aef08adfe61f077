using System.Globalization;
using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>What calling a global of the allow-list makes, and what a persistent identity names.</summary>
/// <param name="budget">What new values are taken from.</param>
internal sealed class PickleCalls(AllocationBudget budget)
{
    private const int LargestRank = 64;

    /// <exception cref="PickleMistake">The global is not called with such arguments.</exception>
    public object? Call(PickleGlobal global, object?[] arguments) => (global.Meaning, arguments) switch
    {
        (PickleMeaning.OrderedDictionary, []) => Empty(),
        (PickleMeaning.OrderedDictionary, [PickleList pairs]) => Dictionary(global, pairs),
        (PickleMeaning.Set, []) => new PickleList([]),
        (PickleMeaning.Set, [PickleList items]) => items,
        (PickleMeaning.Size, [PickleTuple sizes]) => sizes,
        (PickleMeaning.Device, [string kind]) => new PickleNote(kind),
        (PickleMeaning.Device, [string kind, long index]) => new PickleNote($"{kind}:{index}"),
        (PickleMeaning.Encode, [string text, string]) => Encode(text),
        (PickleMeaning.RebuildTensor, [PickleStorage storage, long offset, PickleTuple sizes, PickleTuple strides]) =>
            Tensor(storage, storage.Type, offset, sizes, strides, []),
        (PickleMeaning.RebuildTensorV2, [PickleStorage storage, long offset, PickleTuple sizes, PickleTuple strides, bool, _, .. var more]) =>
            Tensor(storage, storage.Type, offset, sizes, strides, more),
        (PickleMeaning.RebuildTensorV3,
            [
                PickleStorage storage, long offset, PickleTuple sizes, PickleTuple strides, bool, _,
                PickleGlobal { Meaning: PickleMeaning.ElementType } element, .. var more
            ]) =>
            Tensor(storage, element.Type, offset, sizes, strides, more),
        (PickleMeaning.RebuildParameter, [PickleTensor tensor, bool, _]) => tensor,
        (PickleMeaning.RebuildParameterWithState, [PickleTensor tensor, bool, _, _]) => tensor,
        _ => throw new PickleMistake(
            $"{global.Name} is called with ({string.Join(", ", arguments.Take(8).Select(Kind))}), which no state dict does"),
    };

    /// <summary>The storage that a persistent identity names.</summary>
    /// <exception cref="PickleMistake">The identity is not one that torch.save writes.</exception>
    public PickleStorage Storage(object? identity)
    {
        // Before PyTorch 1.6, a sixth part tells where in another storage this one is; only old sparse tensors had that.
        var parts = identity is PickleTuple { Items: [.. var five, null] and { Length: 6 } } ? five : (identity as PickleTuple)?.Items;
        if (parts is not ["storage", PickleGlobal global, string key, string, long elements]
            || global.Meaning is not (PickleMeaning.Storage or PickleMeaning.UntypedStorage))
        {
            throw new PickleMistake(
                $"a persistent identity is {Described(identity)}; it must be ('storage', a storage's type, a key, a place, a length)");
        }
        if (elements < 0)
            throw new PickleMistake($"storage '{SafetensorsHeader.Shortened(key)}' has {elements} elements");
        budget.Take(64);
        return new PickleStorage(key, global.Type, elements);
    }

    /// <summary>What a value is, in a word.</summary>
    public static string Kind(object? value) => value switch
    {
        null => "None",
        bool => "bool",
        long or System.Numerics.BigInteger => "int",
        double => "float",
        string => "str",
        byte[] => "bytes",
        PickleTuple => "tuple",
        PickleList => "list",
        PickleDictionary => "dict",
        PickleGlobal global => global.Name,
        PickleStorage => "storage",
        PickleTensor => "tensor",
        _ => "device",
    };

    private static string Marks(object? item) => item is PickleDictionary marks
        ? string.Join(", ", marks.Pairs.Take(8).Select(pair => $"'{SafetensorsHeader.Shortened(pair.Key as string ?? Kind(pair.Key))}'"))
        : $"a {Kind(item)}";

    private static string Described(object? value) => value is PickleTuple tuple
        ? $"({string.Join(", ", tuple.Items.Take(8).Select(Kind))})"
        : Kind(value);

    private PickleDictionary Empty()
    {
        budget.Take(80);
        return new PickleDictionary([]);
    }

    private PickleDictionary Dictionary(PickleGlobal global, PickleList pairs)
    {
        budget.Take(80 + (48L * pairs.Items.Count));
        var dictionary = new List<KeyValuePair<object?, object?>>(pairs.Items.Count);
        foreach (var item in pairs.Items)
        {
            dictionary.Add(item switch
            {
                PickleTuple { Items: [var key, var value] } => new(key, value),
                PickleList { Items: [var key, var value] } => new(key, value),
                _ => throw new PickleMistake($"{global.Name} is called with a list that holds {Described(item)} instead of a pair"),
            });
        }
        return new PickleDictionary(dictionary);
    }

    /// <summary>Bytes, which protocol 2 has as a text in Latin-1.</summary>
    private byte[] Encode(string text)
    {
        budget.Take(text.Length + 32L);
        var bytes = new byte[text.Length];
        for (var index = 0; index < bytes.Length; index++)
        {
            bytes[index] = text[index] <= 0xFF
                ? (byte)text[index]
                : throw new PickleMistake("bytes are written as a text in Latin-1, and one of its characters is none");
        }
        return bytes;
    }

    /// <param name="storage">The storage.</param>
    /// <param name="type">The type of the elements.</param>
    /// <param name="offset">The first element.</param>
    /// <param name="sizes">The dimensions.</param>
    /// <param name="strides">The steps along each.</param>
    /// <param name="more">What newer versions say besides: marks of views whose numbers are not those of the storage.</param>
    private PickleTensor Tensor(
        PickleStorage storage, torch.ScalarType? type, long offset, PickleTuple sizes, PickleTuple strides, object?[] more)
    {
        foreach (var item in more)
        {
            if (item is not (null or PickleDictionary { Pairs.Count: 0 }))
            {
                throw new PickleMistake(
                    $"a tensor is marked with {Marks(item)}, and its numbers are not those of its storage; "
                        + "in Python, save tensor.resolve_conj().resolve_neg() instead");
            }
        }
        if (type is not { } element)
            throw new PickleMistake("a tensor of untyped storage has no type of elements");
        if (sizes.Items.Length > LargestRank || sizes.Items.Length != strides.Items.Length)
        {
            throw new PickleMistake(
                $"a tensor has {sizes.Items.Length} dimensions and {strides.Items.Length} strides; "
                    + $"there must be as many of both, {LargestRank} at most");
        }
        budget.Take(200 + (16L * sizes.Items.Length));
        var (shape, steps) = (Numbers(sizes, "size"), Numbers(strides, "stride"));
        // In bytes where the storage has no type, in its elements where it has one.
        var held = storage.Type is null ? storage.Elements / SafetensorsType.SizeOf(element) : storage.Elements;
        var count = UInt128.One;
        var last = UInt128.Zero;
        for (var axis = 0; axis < shape.Length; axis++)
        {
            count *= (UInt128)shape[axis];
            last += shape[axis] == 0 ? 0 : (UInt128)(shape[axis] - 1) * (UInt128)steps[axis];
            if (count > long.MaxValue || last > long.MaxValue)
                throw new PickleMistake($"a tensor of shape [{Listed(shape)}] with strides [{Listed(steps)}] is larger than any file");
        }
        if (offset < 0 || (count > 0 && (UInt128)offset + last >= (UInt128)held))
        {
            throw new PickleMistake(
                $"a tensor of shape [{Listed(shape)}] with strides [{Listed(steps)}] from element {offset} on "
                    + $"does not lie in its storage of {held}");
        }
        // An expanded tensor would take any amount of memory for a few bytes.
        if (count > (UInt128)held)
        {
            throw new PickleMistake(
                $"a tensor of shape [{Listed(shape)}] has its storage's {held} elements more than once; "
                    + "in Python, save tensor.clone() instead of an expanded one");
        }
        return new PickleTensor(storage, element, offset, shape, steps);
    }

    private static long[] Numbers(PickleTuple tuple, string what)
    {
        var numbers = new long[tuple.Items.Length];
        for (var index = 0; index < numbers.Length; index++)
        {
            numbers[index] = tuple.Items[index] is long number and >= 0
                ? number
                : throw new PickleMistake(
                    $"a tensor has a {what} of {(tuple.Items[index] is long or double ? tuple.Items[index] : Kind(tuple.Items[index]))}; "
                        + "it must be a whole number from 0 on");
        }
        return numbers;
    }

    private static string Listed(long[] numbers) =>
        string.Join(", ", numbers.Select(number => number.ToString(CultureInfo.InvariantCulture)));
}

/// <summary>What is wrong in a pickle; its reader adds where.</summary>
internal sealed class PickleMistake(string mistake) : Exception(mistake);
