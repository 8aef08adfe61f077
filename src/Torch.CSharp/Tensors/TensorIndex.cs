namespace TorchSharp;

public static partial class torch
{
    /// <summary>One place of an index expression: what it picks from one dimension (or from several, or from none).</summary>
    public struct TensorIndex
    {
        private TorchNative.IndexKind kind;
        private long? start;
        private long? stop;
        private long? step;
        private Tensor? tensor;

#pragma warning disable CA2211 // Fields in TorchSharp
        public static TensorIndex Ellipsis = new() { kind = TorchNative.IndexKind.Ellipsis };
        public static TensorIndex None = new() { kind = TorchNative.IndexKind.None };
        public static TensorIndex Null = new() { kind = TorchNative.IndexKind.None };
        public static TensorIndex Colon = Slice();
#pragma warning restore CA2211

        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) =>
            new() { kind = TorchNative.IndexKind.Slice, start = start, stop = stop, step = step };

        public static TensorIndex Slice((int? start, int? end) range) => Slice(range.start, range.end);

        public static TensorIndex Slice(Range range)
        {
            long? end = range.End.IsFromEnd ? (range.End.Value == 0 ? null : -range.End.Value) : range.End.Value;
            return Slice(range.Start.IsFromEnd ? -range.Start.Value : range.Start.Value, end);
        }

        public static TensorIndex Bool(bool value) =>
            new() { kind = TorchNative.IndexKind.Boolean, start = value ? 1 : 0 };

        public static TensorIndex Single(long? index) => new() { kind = TorchNative.IndexKind.Integer, start = index };

        public static TensorIndex Tensor(Tensor tensor) => new() { kind = TorchNative.IndexKind.Tensor, tensor = tensor };

        public static implicit operator TensorIndex(long value) => Single(value);

        // There only so that overload resolution prefers an indexer of TensorIndex over one of Tensor.
        public static implicit operator Tensor(TensorIndex value) =>
            throw new InvalidOperationException("Should not be called.");

        public static implicit operator TensorIndex((int? start, int? end) range) => Slice(range);

        public static implicit operator TensorIndex(Range range) => Slice(range);

        public static implicit operator TensorIndex(Index index) => Single(index.IsFromEnd ? -index.Value : index.Value);

        internal readonly TorchNative.IndexItem ToNative() => new()
        {
            Kind = kind,
            Start = start ?? 0,
            Stop = stop ?? long.MaxValue,
            Step = step ?? 1,
            Tensor = tensor?.Handle ?? 0,
        };

        internal readonly bool IsTensor => kind == TorchNative.IndexKind.Tensor;

        internal readonly Tensor? Held => tensor;
    }
}
