using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>Vectors of 128 bits.</summary>
internal readonly unsafe struct Lanes128<T> : ILanes<Vector128<T>, T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public static int Count => Vector128<T>.Count;

    public static Vector128<T> Zero => Vector128<T>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Broadcast(T value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Load(T* source) => Vector128.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> LoadFirst(T* source, int count)
    {
        if (count == Vector128<T>.Count)
        {
            return Vector128.Load(source);
        }
        var value = Vector128<T>.Zero;
        Unsafe.CopyBlockUnaligned(&value, source, (uint)(count * sizeof(T)));
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> LoadRepeated(T* source, int period)
    {
        if (period >= Vector128<T>.Count)
        {
            return Vector128.Load(source);
        }
        return period == 1 ? Vector128.Create(*source) : Vector128.Create(Vector64.Load(source), Vector64.Load(source));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddRepeated(Vector128<T> value, T* target, int period)
    {
        if (period >= Vector128<T>.Count)
        {
            (Vector128.Load(target) + value).Store(target);
        }
        else if (period == 1)
        {
            *target += Sum(value);
        }
        else
        {
            (Vector64.Load(target) + (value.GetLower() + value.GetUpper())).Store(target);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<T> value, T* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(Vector128<T> value, T* target, int count)
    {
        if (count == Vector128<T>.Count)
        {
            value.Store(target);
        }
        else
        {
            Unsafe.CopyBlockUnaligned(target, &value, (uint)(count * sizeof(T)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Add(Vector128<T> left, Vector128<T> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Subtract(Vector128<T> left, Vector128<T> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Multiply(Vector128<T> left, Vector128<T> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Divide(Vector128<T> left, Vector128<T> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> SquareRoot(Vector128<T> value) => Vector128.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> MultiplyAdd(Vector128<T> left, Vector128<T> right, Vector128<T> addend) =>
        typeof(T) == typeof(float)
            ? Vector128.MultiplyAddEstimate(left.AsSingle(), right.AsSingle(), addend.AsSingle()).As<float, T>()
            : Vector128.MultiplyAddEstimate(left.AsDouble(), right.AsDouble(), addend.AsDouble()).As<double, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Max(Vector128<T> left, Vector128<T> right) => Vector128.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Min(Vector128<T> left, Vector128<T> right) => Vector128.MinNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Abs(Vector128<T> value) => Vector128.Abs(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> WhereLess(Vector128<T> left, Vector128<T> right, Vector128<T> whenLess, Vector128<T> otherwise) =>
        Vector128.ConditionalSelect(Vector128.LessThan(left, right), whenLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> PowerOfTwo(Vector128<T> shifted) =>
        typeof(T) == typeof(float)
            ? (Vector128.ShiftLeft(shifted.AsInt32(), 23) + Vector128<float>.One.AsInt32()).As<int, T>()
            : (Vector128.ShiftLeft(shifted.AsInt64(), 52) + Vector128<double>.One.AsInt64()).As<long, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Sum(Vector128<T> value) =>
        typeof(T) == typeof(float)
            ? value[0] + value[2] + (value[1] + value[3])
            : value[0] + value[1];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SumFour(Vector128<T> first, Vector128<T> second, Vector128<T> third, Vector128<T> fourth, T* target)
    {
        if (!Sse2.IsSupported)
        {
            target[0] = Sum(first);
            target[1] = Sum(second);
            target[2] = Sum(third);
            target[3] = Sum(fourth);
        }
        else if (typeof(T) == typeof(float))
        {
            // Adds while transposing: lanes 0 + 2 and 1 + 3 of each, then both halves.
            var (a, b, c, d) = (first.AsSingle(), second.AsSingle(), third.AsSingle(), fourth.AsSingle());
            var former = Sse.UnpackLow(a, b) + Sse.UnpackHigh(a, b);
            var latter = Sse.UnpackLow(c, d) + Sse.UnpackHigh(c, d);
            (Sse.MoveLowToHigh(former, latter) + Sse.MoveHighToLow(latter, former)).Store((float*)target);
        }
        else
        {
            var (a, b, c, d) = (first.AsDouble(), second.AsDouble(), third.AsDouble(), fourth.AsDouble());
            (Sse2.UnpackLow(a, b) + Sse2.UnpackHigh(a, b)).Store((double*)target);
            (Sse2.UnpackLow(c, d) + Sse2.UnpackHigh(c, d)).Store((double*)target + 2);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Largest(Vector128<T> value) =>
        typeof(T) == typeof(float)
            ? T.MaxNative(T.MaxNative(value[0], value[2]), T.MaxNative(value[1], value[3]))
            : T.MaxNative(value[0], value[1]);
}
