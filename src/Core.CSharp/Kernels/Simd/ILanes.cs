using System.Numerics;

namespace LocalAttention.Core.Kernels.Simd;

/// <summary>
/// What a kernel may do with one machine vector: the operations of <typeparamref name="TVector"/> seen as lanes of
/// <typeparamref name="T"/>. A kernel is written once over this, and the runtime compiles it for each width.
/// </summary>
/// <typeparam name="TVector">The vector type itself, so that values stay in registers.</typeparam>
/// <typeparam name="T"><see cref="float"/> or <see cref="double"/>.</typeparam>
internal unsafe interface ILanes<TVector, T>
    where TVector : struct
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>Lanes of a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Zero { get; }

    static abstract TVector Broadcast(T value);

    static abstract TVector Load(T* source);

    /// <summary>The first <paramref name="count"/> elements, 1 to <see cref="Count"/>, and zeros: nothing behind them is read.</summary>
    static abstract TVector LoadFirst(T* source, int count);

    /// <summary>
    /// The <paramref name="period"/> elements again and again until all lanes are full; a whole vector where the period is at
    /// least <see cref="Count"/>. The period is a power of two or at least <see cref="Count"/>.
    /// </summary>
    static abstract TVector LoadRepeated(T* source, int period);

    /// <summary>
    /// Adds the lanes that <see cref="LoadRepeated"/> would load from one element up, and adds the sums to the elements: its
    /// transpose.
    /// </summary>
    static abstract void AddRepeated(TVector value, T* target, int period);

    static abstract void Store(TVector value, T* target);

    /// <summary>Writes the first <paramref name="count"/> lanes, 1 to <see cref="Count"/>, and nothing behind them.</summary>
    static abstract void StoreFirst(TVector value, T* target, int count);

    static abstract TVector Add(TVector left, TVector right);

    static abstract TVector Subtract(TVector left, TVector right);

    static abstract TVector Multiply(TVector left, TVector right);

    static abstract TVector Divide(TVector left, TVector right);

    static abstract TVector SquareRoot(TVector value);

    /// <summary><c>left · right + addend</c>, rounded once where the machine can.</summary>
    static abstract TVector MultiplyAdd(TVector left, TVector right, TVector addend);

    /// <summary>The larger of two finite values, lane by lane; where one is NaN, either.</summary>
    static abstract TVector Max(TVector left, TVector right);

    /// <summary>The smaller of two finite values, lane by lane; where one is NaN, either.</summary>
    static abstract TVector Min(TVector left, TVector right);

    static abstract TVector Abs(TVector value);

    /// <summary><paramref name="whenLess"/> in the lanes where <c>left &lt; right</c>, else <paramref name="otherwise"/>.</summary>
    static abstract TVector WhereLess(TVector left, TVector right, TVector whenLess, TVector otherwise);

    /// <summary>
    /// <c>2ⁿ</c>, where <paramref name="shifted"/> is <c>n</c> plus <see cref="Exponential.Shifter{T}"/>, so that <c>n</c> stands in the low
    /// bits of its significand.
    /// </summary>
    static abstract TVector PowerOfTwo(TVector shifted);

    /// <summary>All lanes added up, always in the same order.</summary>
    static abstract T Sum(TVector value);

    /// <summary>Writes the sum of all lanes of each of four vectors: four numbers, always added in the same order.</summary>
    static abstract void SumFour(TVector first, TVector second, TVector third, TVector fourth, T* target);

    /// <summary>The largest lane; NaN lanes are not told apart.</summary>
    static abstract T Largest(TVector value);
}
