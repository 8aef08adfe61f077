using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>The element types of torch by their names in NumPy, which Flax writes; JAX adds <c>bfloat16</c>.</summary>
internal static class NumpyType
{
    private static readonly (string Name, torch.ScalarType Type)[] Known =
    [
        ("float64", torch.ScalarType.Float64),
        ("float32", torch.ScalarType.Float32),
        ("float16", torch.ScalarType.Float16),
        ("bfloat16", torch.ScalarType.BFloat16),
        ("int64", torch.ScalarType.Int64),
        ("int32", torch.ScalarType.Int32),
        ("int16", torch.ScalarType.Int16),
        ("int8", torch.ScalarType.Int8),
        ("uint8", torch.ScalarType.Byte),
        ("bool", torch.ScalarType.Bool),
    ];

    public static string AllNames => string.Join(", ", Known.Select(known => known.Name));

    public static torch.ScalarType? Find(string name) =>
        Known.Where(known => known.Name == name).Select(known => (torch.ScalarType?)known.Type).FirstOrDefault();

    public static string? NameOf(torch.ScalarType type) =>
        Known.Where(known => known.Type == type).Select(known => known.Name).FirstOrDefault();
}
