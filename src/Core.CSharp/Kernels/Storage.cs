using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LocalAttention.Core.Kernels;

/// <summary>How a tensor's elements stand in memory, for a kernel that computes in <typeparamref name="T"/>.</summary>
internal unsafe interface IStorage<TStored, T>
    where TStored : unmanaged
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>Elements in memory to numbers.</summary>
    static abstract void Read(TStored* source, T* target, long count);

    /// <summary>Numbers to elements in memory, rounded to nearest, ties to even.</summary>
    static abstract void Write(T* source, TStored* target, long count);
}

/// <summary>Elements stored as they are computed.</summary>
internal readonly unsafe struct SameStorage<T> : IStorage<T, T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Read(T* source, T* target, long count) =>
        Buffer.MemoryCopy(source, target, count * sizeof(T), count * sizeof(T));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(T* source, T* target, long count) => Read(source, target, count);
}

/// <summary>bfloat16, the upper half of a float, computed in float32.</summary>
internal readonly unsafe struct BFloat16Storage : IStorage<ushort, float>
{
    public static void Read(ushort* source, float* target, long count)
    {
        var bits = (uint*)target;
        var index = 0L;
        for (; Vector256.IsHardwareAccelerated && index <= count - Vector256<ushort>.Count; index += Vector256<ushort>.Count)
        {
            var (lower, upper) = Vector256.Widen(Vector256.Load(source + index));
            Vector256.ShiftLeft(lower, 16).Store(bits + index);
            Vector256.ShiftLeft(upper, 16).Store(bits + index + Vector256<uint>.Count);
        }
        for (; index < count; index++)
        {
            bits[index] = (uint)source[index] << 16;
        }
    }

    public static void Write(float* source, ushort* target, long count)
    {
        var bits = (uint*)source;
        var index = 0L;
        for (; Vector256.IsHardwareAccelerated && index <= count - Vector256<ushort>.Count; index += Vector256<ushort>.Count)
        {
            var (lower, upper) = (Vector256.Load(bits + index), Vector256.Load(bits + index + Vector256<uint>.Count));
            Vector256.Narrow(Rounded(lower), Rounded(upper)).Store(target + index);
        }
        for (; index < count; index++)
        {
            var value = bits[index];
            var isNaN = (value & 0x7FFFFFFF) > 0x7F800000;
            // Half of the last kept bit, less one where that bit is even.
            var rounded = value + 0x7FFF + ((value >> 16) & 1);
            target[index] = (ushort)(isNaN ? (value >> 16) | 0x40 : rounded >> 16);
        }
    }

    /// <summary>The upper half of each, rounded as the loop above rounds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Rounded(Vector256<uint> value)
    {
        var half = Vector256.ShiftRightLogical(value, 16);
        var rounded = Vector256.ShiftRightLogical(value + Vector256.Create(0x7FFFu) + (half & Vector256<uint>.One), 16);
        var isNaN = Vector256.GreaterThan((value & Vector256.Create(0x7FFFFFFFu)).AsInt32(), Vector256.Create(0x7F800000));
        return Vector256.ConditionalSelect(isNaN.AsUInt32(), half | Vector256.Create(0x40u), rounded);
    }
}
