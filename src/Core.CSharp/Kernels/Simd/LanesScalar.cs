using System.Numerics;
using System.Runtime.CompilerServices;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>A "vector" of one lane, for machines without vectors and to test that a kernel needs none.</summary>
internal readonly unsafe struct LanesScalar<T> : ILanes<T, T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public static int Count => 1;

    public static T Zero => T.Zero;

    public static T Broadcast(T value) => value;

    public static T Load(T* source) => *source;

    public static T LoadFirst(T* source, int count) => *source;

    public static T LoadRepeated(T* source, int period) => *source;

    public static void AddRepeated(T value, T* target, int period) => *target += value;

    public static void Store(T value, T* target) => *target = value;

    public static void StoreFirst(T value, T* target, int count) => *target = value;

    public static T Add(T left, T right) => left + right;

    public static T Subtract(T left, T right) => left - right;

    public static T Multiply(T left, T right) => left * right;

    public static T Divide(T left, T right) => left / right;

    public static T SquareRoot(T value) => T.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T MultiplyAdd(T left, T right, T addend) => T.MultiplyAddEstimate(left, right, addend);

    public static T Max(T left, T right) => T.MaxNative(left, right);

    public static T Min(T left, T right) => T.MinNative(left, right);

    public static T Abs(T value) => T.Abs(value);

    public static T WhereLess(T left, T right, T whenLess, T otherwise) => left < right ? whenLess : otherwise;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T PowerOfTwo(T shifted)
    {
        if (typeof(T) == typeof(float))
        {
            var power = BitConverter.Int32BitsToSingle(
                (BitConverter.SingleToInt32Bits(Unsafe.BitCast<T, float>(shifted)) << 23) + BitConverter.SingleToInt32Bits(1));
            return Unsafe.BitCast<float, T>(power);
        }
        else
        {
            var power = BitConverter.Int64BitsToDouble(
                (BitConverter.DoubleToInt64Bits(Unsafe.BitCast<T, double>(shifted)) << 52) + BitConverter.DoubleToInt64Bits(1));
            return Unsafe.BitCast<double, T>(power);
        }
    }

    public static T Sum(T value) => value;

    public static void SumFour(T first, T second, T third, T fourth, T* target)
    {
        target[0] = first;
        target[1] = second;
        target[2] = third;
        target[3] = fourth;
    }

    public static T Largest(T value) => value;
}
