using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>Vectors of 512 bits.</summary>
internal readonly unsafe struct Lanes512<T> : ILanes<Vector512<T>, T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public static int Count => Vector512<T>.Count;

    public static Vector512<T> Zero => Vector512<T>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Broadcast(T value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Load(T* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> LoadFirst(T* source, int count)
    {
        if (count == Vector512<T>.Count)
        {
            return Vector512.Load(source);
        }
        var value = Vector512<T>.Zero;
        Unsafe.CopyBlockUnaligned(&value, source, (uint)(count * sizeof(T)));
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> LoadRepeated(T* source, int period)
    {
        if (period >= Vector512<T>.Count)
        {
            return Vector512.Load(source);
        }
        var half = Lanes256<T>.LoadRepeated(source, period);
        return Vector512.Create(half, half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddRepeated(Vector512<T> value, T* target, int period)
    {
        if (period >= Vector512<T>.Count)
        {
            (Vector512.Load(target) + value).Store(target);
        }
        else
        {
            Lanes256<T>.AddRepeated(value.GetLower() + value.GetUpper(), target, period);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<T> value, T* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(Vector512<T> value, T* target, int count)
    {
        if (count == Vector512<T>.Count)
        {
            value.Store(target);
        }
        else
        {
            Unsafe.CopyBlockUnaligned(target, &value, (uint)(count * sizeof(T)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Add(Vector512<T> left, Vector512<T> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Subtract(Vector512<T> left, Vector512<T> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Multiply(Vector512<T> left, Vector512<T> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Divide(Vector512<T> left, Vector512<T> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> SquareRoot(Vector512<T> value) => Vector512.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> MultiplyAdd(Vector512<T> left, Vector512<T> right, Vector512<T> addend) =>
        typeof(T) == typeof(float)
            ? Vector512.MultiplyAddEstimate(left.AsSingle(), right.AsSingle(), addend.AsSingle()).As<float, T>()
            : Vector512.MultiplyAddEstimate(left.AsDouble(), right.AsDouble(), addend.AsDouble()).As<double, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Max(Vector512<T> left, Vector512<T> right) => Vector512.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Min(Vector512<T> left, Vector512<T> right) => Vector512.MinNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Abs(Vector512<T> value) => Vector512.Abs(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> WhereLess(Vector512<T> left, Vector512<T> right, Vector512<T> whenLess, Vector512<T> otherwise) =>
        Vector512.ConditionalSelect(Vector512.LessThan(left, right), whenLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> PowerOfTwo(Vector512<T> shifted) =>
        typeof(T) == typeof(float)
            ? (Vector512.ShiftLeft(shifted.AsInt32(), 23) + Vector512<float>.One.AsInt32()).As<int, T>()
            : (Vector512.ShiftLeft(shifted.AsInt64(), 52) + Vector512<double>.One.AsInt64()).As<long, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Sum(Vector512<T> value) => Lanes256<T>.Sum(value.GetLower() + value.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SumFour(Vector512<T> first, Vector512<T> second, Vector512<T> third, Vector512<T> fourth, T* target)
    {
        if (Avx512F.IsSupported && typeof(T) == typeof(float))
        {
            // Adds while transposing inside each 128 bits, then all of these.
            var (a, b, c, d) = (first.AsSingle(), second.AsSingle(), third.AsSingle(), fourth.AsSingle());
            var former = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsDouble();
            var latter = (Avx512F.UnpackLow(c, d) + Avx512F.UnpackHigh(c, d)).AsDouble();
            var sums = Avx512F.UnpackLow(former, latter).AsSingle() + Avx512F.UnpackHigh(former, latter).AsSingle();
            var half = sums.GetLower() + sums.GetUpper();
            (half.GetLower() + half.GetUpper()).Store((float*)target);
        }
        else
        {
            Lanes256<T>.SumFour(
                first.GetLower() + first.GetUpper(), second.GetLower() + second.GetUpper(),
                third.GetLower() + third.GetUpper(), fourth.GetLower() + fourth.GetUpper(), target);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Largest(Vector512<T> value) => Lanes256<T>.Largest(Vector256.MaxNative(value.GetLower(), value.GetUpper()));
}
