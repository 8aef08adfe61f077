using System.Collections;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>The lengths of a tensor's dimensions.</summary>
#pragma warning disable CA1710 // The name is TorchSharp's
    public struct Size : IEnumerable<long>
    {
        private readonly long[] lengths;

#pragma warning disable CA2211 // A field in TorchSharp
        public static Size Empty = new(Array.Empty<long>());
#pragma warning restore CA2211

        public Size(long[] shape) => lengths = [.. shape];

        public Size(IEnumerable<long> shape) => lengths = [.. shape];

        public Size(int[] shape) => lengths = Array.ConvertAll(shape, length => (long)length);

        public Size(long size) => lengths = [size];

        public Size((long, long) size) => lengths = [size.Item1, size.Item2];

        public Size((long, long, long) size) => lengths = [size.Item1, size.Item2, size.Item3];

        public Size((long, long, long, long) size) => lengths = [size.Item1, size.Item2, size.Item3, size.Item4];

        public Size((long, long, long, long, long) size) =>
            lengths = [size.Item1, size.Item2, size.Item3, size.Item4, size.Item5];

        public Size((long, long, long, long, long, long) size) =>
            lengths = [size.Item1, size.Item2, size.Item3, size.Item4, size.Item5, size.Item6];

        public Size(int size) => lengths = [size];

        public Size((int, int) size) => lengths = [size.Item1, size.Item2];

        public Size((int, int, int) size) => lengths = [size.Item1, size.Item2, size.Item3];

        public Size((int, int, int, int) size) => lengths = [size.Item1, size.Item2, size.Item3, size.Item4];

        public Size((int, int, int, int, int) size) =>
            lengths = [size.Item1, size.Item2, size.Item3, size.Item4, size.Item5];

        public Size((int, int, int, int, int, int) size) =>
            lengths = [size.Item1, size.Item2, size.Item3, size.Item4, size.Item5, size.Item6];

        public readonly long[] Shape => lengths;

        public readonly bool IsEmpty => lengths.Length == 0;

        public readonly bool IsScalar => IsEmpty;

        public readonly int Length => lengths.Length;

        public readonly long this[int idx] => lengths[idx];

        public readonly long this[long idx] => lengths[idx];

        public static implicit operator Size(long size) => new(size);
        public static implicit operator Size((long, long) size) => new(size);
        public static implicit operator Size((long, long, long) size) => new(size);
        public static implicit operator Size((long, long, long, long) size) => new(size);
        public static implicit operator Size((long, long, long, long, long) size) => new(size);
        public static implicit operator Size((long, long, long, long, long, long) size) => new(size);
        public static implicit operator Size(long[] size) => new(size);

        public static Size operator +(Size left, Size right) => new([.. left.lengths, .. right.lengths]);

        public static Size operator +(Size left, IEnumerable<long> right) => new([.. left.lengths, .. right]);

        // By reference, as TorchSharp compares them.
        public static bool operator ==(Size left, Size right) => ReferenceEquals(left.lengths, right.lengths);

        public static bool operator !=(Size left, Size right) => !(left == right);

        public override readonly bool Equals(object? obj) => obj is Size other && this == other;

        public override readonly int GetHashCode() => lengths.GetHashCode();

        public readonly long numel() => lengths.Aggregate(1L, (product, length) => product * length);

        /// <summary>The lengths from one place to before another; negative places count from the end.</summary>
        public readonly Size Slice(int first, int next)
        {
            var from = first < 0 ? first + lengths.Length : first;
            var to = next < 0 ? next + lengths.Length : next;
            return to <= from ? Empty : from == 0 && to == lengths.Length ? this : new Size(lengths.Skip(from).Take(to - from));
        }

        public readonly IEnumerable<long> Take(int i) => lengths.Take(i);

        public readonly IEnumerator<long> GetEnumerator() => lengths.AsEnumerable().GetEnumerator();

        readonly IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
#pragma warning restore CA1710
}
