using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The allow-list: the only globals that a pickle may name. None of them is looked up anywhere; each is a word for a value
/// that <see cref="PickleCalls"/> makes.
/// </summary>
internal static class PickleGlobals
{
    private static readonly (string Storage, string Element, torch.ScalarType Type)[] Types =
    [
        ("DoubleStorage", "float64", torch.ScalarType.Float64),
        ("FloatStorage", "float32", torch.ScalarType.Float32),
        ("HalfStorage", "float16", torch.ScalarType.Float16),
        ("BFloat16Storage", "bfloat16", torch.ScalarType.BFloat16),
        ("LongStorage", "int64", torch.ScalarType.Int64),
        ("IntStorage", "int32", torch.ScalarType.Int32),
        ("ShortStorage", "int16", torch.ScalarType.Int16),
        ("CharStorage", "int8", torch.ScalarType.Int8),
        ("ByteStorage", "uint8", torch.ScalarType.Byte),
        ("BoolStorage", "bool", torch.ScalarType.Bool),
    ];

    private static readonly Dictionary<string, PickleGlobal> Known = All().ToDictionary(known => known.Name, StringComparer.Ordinal);

    /// <summary>The global of that name; none where the allow-list has none.</summary>
    public static PickleGlobal? Find(string module, string name) => Known.GetValueOrDefault($"{module}.{name}");

    private static IEnumerable<PickleGlobal> All()
    {
        yield return new("collections.OrderedDict", PickleMeaning.OrderedDictionary);
        // Python 2's name, which protocol 2 writes in Python 3 too, and Python 3's.
        yield return new("__builtin__.set", PickleMeaning.Set);
        yield return new("builtins.set", PickleMeaning.Set);
        yield return new("_codecs.encode", PickleMeaning.Encode);
        yield return new("torch.Size", PickleMeaning.Size);
        yield return new("torch.device", PickleMeaning.Device);
        yield return new("torch._utils._rebuild_tensor", PickleMeaning.RebuildTensor);
        yield return new("torch._utils._rebuild_tensor_v2", PickleMeaning.RebuildTensorV2);
        yield return new("torch._utils._rebuild_tensor_v3", PickleMeaning.RebuildTensorV3);
        yield return new("torch._utils._rebuild_parameter", PickleMeaning.RebuildParameter);
        yield return new("torch._utils._rebuild_parameter_with_state", PickleMeaning.RebuildParameterWithState);
        yield return new("torch.storage.UntypedStorage", PickleMeaning.UntypedStorage);
        foreach (var (storage, element, type) in Types)
        {
            yield return new($"torch.{storage}", PickleMeaning.Storage, type);
            yield return new($"torch.cuda.{storage}", PickleMeaning.Storage, type);
            yield return new($"torch.{element}", PickleMeaning.ElementType, type);
        }
    }
}
