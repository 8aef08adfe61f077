using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>Vectors of 256 bits.</summary>
internal readonly unsafe struct Lanes256<T> : ILanes<Vector256<T>, T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public static int Count => Vector256<T>.Count;

    public static Vector256<T> Zero => Vector256<T>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Broadcast(T value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Load(T* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> LoadFirst(T* source, int count)
    {
        if (count == Vector256<T>.Count)
        {
            return Vector256.Load(source);
        }
        var value = Vector256<T>.Zero;
        Unsafe.CopyBlockUnaligned(&value, source, (uint)(count * sizeof(T)));
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> LoadRepeated(T* source, int period)
    {
        if (period >= Vector256<T>.Count)
        {
            return Vector256.Load(source);
        }
        var half = Lanes128<T>.LoadRepeated(source, period);
        return Vector256.Create(half, half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddRepeated(Vector256<T> value, T* target, int period)
    {
        if (period >= Vector256<T>.Count)
        {
            (Vector256.Load(target) + value).Store(target);
        }
        else
        {
            Lanes128<T>.AddRepeated(value.GetLower() + value.GetUpper(), target, period);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<T> value, T* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(Vector256<T> value, T* target, int count)
    {
        if (count == Vector256<T>.Count)
        {
            value.Store(target);
        }
        else
        {
            Unsafe.CopyBlockUnaligned(target, &value, (uint)(count * sizeof(T)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Add(Vector256<T> left, Vector256<T> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Subtract(Vector256<T> left, Vector256<T> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Multiply(Vector256<T> left, Vector256<T> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Divide(Vector256<T> left, Vector256<T> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> SquareRoot(Vector256<T> value) => Vector256.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> MultiplyAdd(Vector256<T> left, Vector256<T> right, Vector256<T> addend) =>
        typeof(T) == typeof(float)
            ? Vector256.MultiplyAddEstimate(left.AsSingle(), right.AsSingle(), addend.AsSingle()).As<float, T>()
            : Vector256.MultiplyAddEstimate(left.AsDouble(), right.AsDouble(), addend.AsDouble()).As<double, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Max(Vector256<T> left, Vector256<T> right) => Vector256.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Min(Vector256<T> left, Vector256<T> right) => Vector256.MinNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Abs(Vector256<T> value) => Vector256.Abs(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> WhereLess(Vector256<T> left, Vector256<T> right, Vector256<T> whenLess, Vector256<T> otherwise) =>
        Vector256.ConditionalSelect(Vector256.LessThan(left, right), whenLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> PowerOfTwo(Vector256<T> shifted) =>
        typeof(T) == typeof(float)
            ? (Vector256.ShiftLeft(shifted.AsInt32(), 23) + Vector256<float>.One.AsInt32()).As<int, T>()
            : (Vector256.ShiftLeft(shifted.AsInt64(), 52) + Vector256<double>.One.AsInt64()).As<long, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Sum(Vector256<T> value) => Lanes128<T>.Sum(value.GetLower() + value.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SumFour(Vector256<T> first, Vector256<T> second, Vector256<T> third, Vector256<T> fourth, T* target)
    {
        if (Avx.IsSupported && typeof(T) == typeof(float))
        {
            // Adds while transposing inside each 128 bits, then all of these.
            var (a, b, c, d) = (first.AsSingle(), second.AsSingle(), third.AsSingle(), fourth.AsSingle());
            var former = (Avx.UnpackLow(a, b) + Avx.UnpackHigh(a, b)).AsDouble();
            var latter = (Avx.UnpackLow(c, d) + Avx.UnpackHigh(c, d)).AsDouble();
            var sums = Avx.UnpackLow(former, latter).AsSingle() + Avx.UnpackHigh(former, latter).AsSingle();
            (sums.GetLower() + sums.GetUpper()).Store((float*)target);
        }
        else
        {
            Lanes128<T>.SumFour(
                first.GetLower() + first.GetUpper(), second.GetLower() + second.GetUpper(),
                third.GetLower() + third.GetUpper(), fourth.GetLower() + fourth.GetUpper(), target);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Largest(Vector256<T> value) => Lanes128<T>.Largest(Vector128.MaxNative(value.GetLower(), value.GetUpper()));
}
