using TorchSharp;

namespace LocalAttention.Core.Checkpoints;

/// <summary>The element types of safetensors that have a counterpart in torch.</summary>
internal static class SafetensorsType
{
    private static readonly (string Name, torch.ScalarType Type, int Size)[] Known =
    [
        ("F64", torch.ScalarType.Float64, 8),
        ("I64", torch.ScalarType.Int64, 8),
        ("F32", torch.ScalarType.Float32, 4),
        ("I32", torch.ScalarType.Int32, 4),
        ("F16", torch.ScalarType.Float16, 2),
        ("BF16", torch.ScalarType.BFloat16, 2),
        ("I16", torch.ScalarType.Int16, 2),
        ("I8", torch.ScalarType.Int8, 1),
        ("U8", torch.ScalarType.Byte, 1),
        ("BOOL", torch.ScalarType.Bool, 1),
    ];

    /// <summary>The names that a header may hold.</summary>
    public static string[] Names { get; } = [.. Known.Select(known => known.Name)];

    public static string AllNames => string.Join(", ", Names);

    // A loop where a query would do: these are asked for every tensor of a file that may have millions of empty ones, and a
    // query's own objects would be most of what reading it allocates.
    public static torch.ScalarType? Find(string name)
    {
        foreach (var known in Known)
        {
            if (known.Name == name)
                return known.Type;
        }
        return null;
    }

    public static string? NameOf(torch.ScalarType type) =>
        Known.Where(known => known.Type == type).Select(known => known.Name).FirstOrDefault();

    public static int SizeOf(torch.ScalarType type)
    {
        foreach (var known in Known)
        {
            if (known.Type == type)
                return known.Size;
        }
        throw new ArgumentOutOfRangeException(nameof(type), type, $"files hold {AllNames}");
    }
}
