using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

// What a pickle of a state dict holds besides nothing, truth values, numbers (long, double, BigInteger), texts and bytes.

/// <summary>A tuple.</summary>
internal sealed record PickleTuple(object?[] Items);

/// <summary>A list, or a set in its order.</summary>
internal sealed record PickleList(List<object?> Items);

/// <summary>A dictionary, in its order; of equal keys the last counts.</summary>
internal sealed record PickleDictionary(List<KeyValuePair<object?, object?>> Pairs);

/// <summary>A value that says nothing of tensors: a device.</summary>
internal sealed record PickleNote(string Text);

/// <summary>What a global of the allow-list stands for.</summary>
internal enum PickleMeaning
{
    OrderedDictionary,
    Set,
    Size,
    Device,
    Encode,
    RebuildTensor,
    RebuildTensorV2,
    RebuildTensorV3,
    RebuildParameter,
    RebuildParameterWithState,
    Storage,
    UntypedStorage,
    ElementType,
}

/// <summary>A global of the allow-list.</summary>
/// <param name="Name">Its name in Python.</param>
/// <param name="Meaning">What it stands for.</param>
/// <param name="Type">The type of elements, of storages and element types.</param>
internal sealed record PickleGlobal(string Name, PickleMeaning Meaning, torch.ScalarType? Type = null);

/// <summary>A storage: elements in a row, in a place of the file that its key names.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Type">The type of its elements; none where it is bytes.</param>
/// <param name="Elements">How many there are, or how many bytes.</param>
internal sealed record PickleStorage(string Key, torch.ScalarType? Type, long Elements);

/// <summary>A tensor: a view of a storage.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Offset">The first element, in elements.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Strides">The steps from element to element along each, in elements.</param>
internal sealed record PickleTensor(PickleStorage Storage, torch.ScalarType Type, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>The number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>The storage's elements from the first to the last that the tensor has.</summary>
    public long Span => Count == 0 ? 0 : 1 + Shape.Zip(Strides, (size, stride) => (size - 1) * stride).Sum();

    /// <summary>Whether the elements stand one after the other.</summary>
    public bool IsContiguous
    {
        get
        {
            var expected = 1L;
            for (var axis = Shape.Length - 1; axis >= 0; axis--)
            {
                if (Shape[axis] != 1 && Strides[axis] != expected)
                    return false;
                expected *= Shape[axis];
            }
            return true;
        }
    }
}
