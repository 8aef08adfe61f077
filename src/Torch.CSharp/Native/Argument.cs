using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>What a boxed <see cref="Argument"/> holds; the numbers are those of <c>tn_kind</c> in Torch.Native.</summary>
internal enum ArgumentKind
{
    None = 0,
    Tensor = 1,
    Int = 2,
    Double = 3,
    Bool = 4,
    IntList = 5,
    DoubleList = 6,
    BoolList = 7,
    TensorList = 8,
    String = 9,
    Device = 10,
    Generator = 11,
    Complex = 12,
}

/// <summary>
/// One boxed argument of an operator. It is made by implicit conversion from whatever the caller holds (tensors,
/// numbers, flags, lists, text, scalars, element types, devices, generators, and the nullable forms of all of them);
/// Torch.Native then converts it to what the operator's schema asks for, so that an <c>int</c> does for a
/// <c>Scalar</c>, a <c>float</c>, an <c>int[2]</c> or an optional of any of them.
/// </summary>
internal readonly struct Argument
{
    internal readonly ArgumentKind Kind;
    internal readonly long Bits;
    internal readonly object? Reference;

    private Argument(ArgumentKind kind, long bits, object? reference = null)
    {
        Kind = kind;
        Bits = bits;
        Reference = reference;
    }

    /// <summary>No value: an absent optional, an undefined tensor.</summary>
    internal static Argument None => default;

    private static Argument Of(ArgumentKind kind, object? reference) =>
        reference is null ? default : new Argument(kind, 0, reference);

    public static implicit operator Argument(Tensor? value) => Of(ArgumentKind.Tensor, value);
    public static implicit operator Argument(Tensor?[]? value) => Of(ArgumentKind.TensorList, value);
    public static implicit operator Argument(List<Tensor>? value) => Of(ArgumentKind.TensorList, value?.ToArray());
    public static implicit operator Argument(int value) => new(ArgumentKind.Int, value);
    public static implicit operator Argument(long value) => new(ArgumentKind.Int, value);
    public static implicit operator Argument(double value) => new(ArgumentKind.Double, BitConverter.DoubleToInt64Bits(value));
    public static implicit operator Argument(bool value) => new(ArgumentKind.Bool, value ? 1 : 0);
    public static implicit operator Argument(int? value) => value is { } v ? v : default(Argument);
    public static implicit operator Argument(long? value) => value is { } v ? v : default(Argument);
    public static implicit operator Argument(double? value) => value is { } v ? v : default(Argument);
    public static implicit operator Argument(bool? value) => value is { } v ? v : default(Argument);
    public static implicit operator Argument(long[]? value) => Of(ArgumentKind.IntList, value);
    public static implicit operator Argument(ReadOnlySpan<long> value) => Of(ArgumentKind.IntList, value.ToArray());
    public static implicit operator Argument((long, long) value) => new long[] { value.Item1, value.Item2 };
    public static implicit operator Argument((long, long, long) value) => new long[] { value.Item1, value.Item2, value.Item3 };
    public static implicit operator Argument(double[]? value) => Of(ArgumentKind.DoubleList, value);
    public static implicit operator Argument(bool[]? value) => Of(ArgumentKind.BoolList, value);
    public static implicit operator Argument(string? value) => Of(ArgumentKind.String, value);
    public static implicit operator Argument(ScalarType value) => new(ArgumentKind.Int, (int)value);
    public static implicit operator Argument(ScalarType? value) => value is { } v ? v : default(Argument);
    public static implicit operator Argument(Device? value) =>
        value is null ? default : new(ArgumentKind.Device, Pack(value));
    public static implicit operator Argument(Generator? value) => Of(ArgumentKind.Generator, value);

    public static implicit operator Argument(Scalar? value) => value?.Boxed ?? default;

    /// <summary>A complex number, kept as its two halves.</summary>
    internal static Argument Complex(System.Numerics.Complex value) => new(ArgumentKind.Complex, 0, value);

    /// <summary>The type in the low half, the index (-1: the current one) in the high half.</summary>
    private static long Pack(Device device) => (uint)device.type | ((long)device.index << 32);

    internal double AsDouble
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => BitConverter.Int64BitsToDouble(Bits);
    }
}
