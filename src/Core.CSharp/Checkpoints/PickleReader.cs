using System.Numerics;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// Reads a pickle of a state dict, protocols 2 to 5: the machine's stack and memo, and those of its operations that make
/// plain values, tensors' views and storages. Globals outside the allow-list and operations that make objects of Python's
/// classes are refused by name; nothing is executed.
/// </summary>
/// <remarks>
/// The operations are those of Python's documentation of <c>pickletools</c>. Each takes a byte of the file or more and works
/// on what it takes from the stack, so that reading ends in time proportional to the file's size.
/// </remarks>
internal sealed class PickleReader(ByteReader bytes, AllocationBudget budget)
{
    private const int LongestName = 200;
    private const int LongestInteger = 256;
    private const int HighestProtocol = 5;

    private readonly PickleCalls _calls = new(budget);
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private int _highestStack;
    private int _highestMarks;

    /// <summary>The value of the pickle that begins at the reader's position; the position is behind it then.</summary>
    /// <exception cref="CheckpointException">The pickle is damaged, or holds what no state dict does.</exception>
    public object? Read()
    {
        var start = bytes.Position;
        if (bytes.ReadByte("a pickle") != 0x80)
            throw bytes.Mistake(start, "no pickle of protocol 2 to 5 begins here; in Python, save the file again with torch.save");
        var protocol = bytes.ReadByte("a pickle");
        if (protocol is < 2 or > HighestProtocol)
            throw bytes.Mistake(start, $"the pickle has protocol {protocol}; 2 to {HighestProtocol} are read");
        while (true)
        {
            var position = bytes.Position;
            var operation = bytes.ReadByte("an operation of the pickle");
            try
            {
                if (operation == (byte)'.')
                    return Pop();
                Do(operation);
            }
            catch (PickleMistake mistake)
            {
                throw bytes.Mistake(position, mistake.Message);
            }
        }
    }

    private void Do(byte operation)
    {
        switch (operation)
        {
            case (byte)'N':
                Push(null);
                break;
            case 0x88 or 0x89:
                budget.Take(24);
                Push(operation == 0x88);
                break;
            case (byte)'K':
                PushNumber(bytes.ReadByte("a number"));
                break;
            case (byte)'M':
                PushNumber(bytes.ReadUInt16("a number"));
                break;
            case (byte)'J':
                PushNumber((int)bytes.ReadUInt32("a number"));
                break;
            case 0x8A:
                PushInteger(bytes.ReadByte("a number's length"));
                break;
            case 0x8B:
                PushInteger(bytes.ReadUInt32("a number's length"));
                break;
            case (byte)'G':
                budget.Take(24);
                Push(BitConverter.UInt64BitsToDouble(bytes.ReadUInt64("a number", bigEndian: true)));
                break;
            case (byte)'U' or 0x8C:
                Push(bytes.ReadText(bytes.ReadByte("a text's length"), "a text"));
                break;
            case (byte)'T' or (byte)'X':
                Push(bytes.ReadText(bytes.ReadUInt32("a text's length"), "a text"));
                break;
            case 0x8D:
                Push(bytes.ReadText(bytes.ReadUInt64("a text's length"), "a text"));
                break;
            case (byte)'C':
                Push(bytes.ReadBytes(bytes.ReadByte("the bytes' length"), "bytes"));
                break;
            case (byte)'B':
                Push(bytes.ReadBytes(bytes.ReadUInt32("the bytes' length"), "bytes"));
                break;
            case 0x8E or 0x96:
                Push(bytes.ReadBytes(bytes.ReadUInt64("the bytes' length"), "bytes"));
                break;
            case (byte)'c':
                PushGlobal(
                    bytes.ReadLine(LongestName, "the name of a global's module"), bytes.ReadLine(LongestName, "a global's name"));
                break;
            case 0x93:
                var (name, module) = (Pop(), Pop());
                PushGlobal(
                    module as string ?? throw new PickleMistake($"a global's module is a {PickleCalls.Kind(module)}; it must be a text"),
                    name as string ?? throw new PickleMistake($"a global's name is a {PickleCalls.Kind(name)}; it must be a text"));
                break;
            case 0x95:
                // A frame: how much to read at once, which changes nothing.
                bytes.Skip(sizeof(ulong), "a frame's length");
                break;
            default:
                DoOnStack(operation);
                break;
        }
    }

    private void DoOnStack(byte operation)
    {
        switch (operation)
        {
            case (byte)'(':
                if (_marks.Count == _highestMarks)
                {
                    budget.Take(16);
                    _highestMarks++;
                }
                _marks.Add(_stack.Count);
                break;
            case (byte)')':
                PushTuple([]);
                break;
            case >= 0x85 and <= 0x87:
                PushTuple(PopLast(operation - 0x84));
                break;
            case (byte)'t':
                PushTuple(PopToMark());
                break;
            case (byte)']' or 0x8F:
                PushList([]);
                break;
            case 0x91:
                var items = PopToMark();
                budget.Take(8L * items.Length);
                PushList([.. items]);
                break;
            case (byte)'}':
                budget.Take(80);
                Push(new PickleDictionary([]));
                break;
            case (byte)'a':
                Append(PopLast(1));
                break;
            case (byte)'e' or 0x90:
                Append(PopToMark());
                break;
            case (byte)'s':
                SetItems(PopLast(2));
                break;
            case (byte)'u':
                SetItems(PopToMark());
                break;
            case (byte)'0':
                Pop();
                break;
            case (byte)'1':
                PopToMark();
                break;
            case (byte)'2':
                Push(Top());
                break;
            case (byte)'q':
                Remember(bytes.ReadByte("a place in the memo"));
                break;
            case (byte)'r':
                Remember(bytes.ReadUInt32("a place in the memo"));
                break;
            case 0x94:
                Remember(_memo.Count);
                break;
            case (byte)'h':
                Recall(bytes.ReadByte("a place in the memo"));
                break;
            case (byte)'j':
                Recall(bytes.ReadUInt32("a place in the memo"));
                break;
            case (byte)'Q':
                Push(_calls.Storage(Pop()));
                break;
            case (byte)'R':
                Call();
                break;
            case (byte)'b':
                Build();
                break;
            default:
                throw new PickleMistake($"operation 0x{operation:X2}{NameOf(operation)} is none that a state dict needs");
        }
    }

    /// <summary>The name of an operation that is known and refused.</summary>
    private static string NameOf(byte operation) => operation switch
    {
        0x80 => " (PROTO, a second time)",
        0x81 => " (NEWOBJ, an object of a class)",
        0x92 => " (NEWOBJ_EX, an object of a class)",
        (byte)'i' => " (INST, an object of a class)",
        (byte)'o' => " (OBJ, an object of a class)",
        0x82 or 0x83 or 0x84 => " (EXT, a registered global)",
        (byte)'P' => " (PERSID, of protocol 0)",
        0x97 or 0x98 => " (a buffer outside the pickle)",
        (byte)'I' or (byte)'L' or (byte)'F' or (byte)'S' or (byte)'V' or (byte)'g' or (byte)'p' or (byte)'d' or (byte)'l' =>
            " (of protocol 0 or 1)",
        _ => "",
    };

    private void PushNumber(long number)
    {
        budget.Take(24);
        Push(number);
    }

    /// <summary>A whole number of any length, little-endian in two's complement.</summary>
    private void PushInteger(uint length)
    {
        if (length > LongestInteger)
            throw new PickleMistake($"a whole number takes {length} bytes; {LongestInteger} at most are read");
        var number = new BigInteger(bytes.ReadBytes(length, "a number"));
        budget.Take(64 + length);
        if (number >= long.MinValue && number <= long.MaxValue)
            Push((long)number);
        else
            Push(number);
    }

    private void PushGlobal(string module, string name)
    {
        budget.Take(32 + (2L * (module.Length + name.Length)));
        Push(PickleGlobals.Find(module, name) ?? throw new PickleMistake(
            $"the global '{SafetensorsHeader.Shortened($"{module}.{name}")}' is none that a state dict needs, and is not looked up; "
                + "where you trust the file, load it in Python and save the state dict alone: torch.save(model.state_dict(), …)"));
    }

    private void PushTuple(object?[] items)
    {
        budget.Take(24);
        Push(new PickleTuple(items));
    }

    private void PushList(List<object?> items)
    {
        budget.Take(80);
        Push(new PickleList(items));
    }

    private void Push(object? value)
    {
        if (_stack.Count == _highestStack)
        {
            // A list grows by doubling: eight bytes for the place, eight for what is unused, eight for what was copied from.
            budget.Take(32);
            _highestStack++;
        }
        _stack.Add(value);
    }

    private object? Top()
    {
        if (_stack.Count == LastMark())
            throw new PickleMistake("a value is taken from the stack where none is");
        return _stack[^1];
    }

    private object? Pop()
    {
        var value = Top();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopLast(int count)
    {
        if (_stack.Count - LastMark() < count)
            throw new PickleMistake($"{count} values are taken from the stack where there are {_stack.Count - LastMark()}");
        return Take(count);
    }

    private object?[] PopToMark()
    {
        if (_marks.Count == 0)
            throw new PickleMistake("values are taken up to a mark where there is none");
        var count = _stack.Count - LastMark();
        _marks.RemoveAt(_marks.Count - 1);
        return Take(count);
    }

    private object?[] Take(int count)
    {
        budget.Take(64 + (8L * count));
        var items = new object?[count];
        _stack.CopyTo(_stack.Count - count, items, 0, count);
        _stack.RemoveRange(_stack.Count - count, count);
        return items;
    }

    private int LastMark() => _marks.Count == 0 ? 0 : _marks[^1];

    private void Append(object?[] items)
    {
        if (Top() is not PickleList list)
            throw new PickleMistake($"items are added to a {PickleCalls.Kind(Top())}; it must be a list");
        budget.Take(32L * items.Length);
        list.Items.AddRange(items);
    }

    private void SetItems(object?[] items)
    {
        if (Top() is not PickleDictionary dictionary)
            throw new PickleMistake($"items are set in a {PickleCalls.Kind(Top())}; it must be a dict");
        if (items.Length % 2 != 0)
            throw new PickleMistake($"{items.Length} keys and values are set; there must be a value for each key");
        budget.Take(24L * items.Length);
        for (var index = 0; index < items.Length; index += 2)
            dictionary.Pairs.Add(new(items[index], items[index + 1]));
    }

    private void Remember(long place)
    {
        if (!_memo.ContainsKey(place))
            budget.Take(96);
        _memo[place] = Top();
    }

    private void Recall(long place)
    {
        if (!_memo.TryGetValue(place, out var value))
            throw new PickleMistake($"place {place} of the memo is empty");
        Push(value);
    }

    private void Call()
    {
        var arguments = PopLast(2);
        if (arguments is not [PickleGlobal global, PickleTuple tuple])
        {
            throw new PickleMistake(
                $"a {PickleCalls.Kind(arguments[0])} is called with a {PickleCalls.Kind(arguments[1])}; only globals are, with a tuple");
        }
        Push(_calls.Call(global, tuple.Items));
    }

    /// <summary>Attributes of an object: state dicts have their modules' versions there, which say nothing of tensors.</summary>
    private void Build()
    {
        Pop();
        if (Top() is not PickleDictionary)
            throw new PickleMistake($"attributes are set on a {PickleCalls.Kind(Top())}, which no state dict does");
    }
}
