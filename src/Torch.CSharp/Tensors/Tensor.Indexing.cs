using System.Runtime.CompilerServices;
using static TorchSharp.TorchNative;

namespace TorchSharp;

public static partial class torch
{
    public unsafe partial class Tensor
    {
        [IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => Select([i1]);
            set => IndexPut(value, [i1]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => Select([i1, i2]);
            set => IndexPut(value, [i1, i2]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => Select([i1, i2, i3]);
            set => IndexPut(value, [i1, i2, i3]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => Select([i1, i2, i3, i4]);
            set => IndexPut(value, [i1, i2, i3, i4]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4, long i5]
        {
            get => Select([i1, i2, i3, i4, i5]);
            set => IndexPut(value, [i1, i2, i3, i4, i5]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4, long i5, long i6]
        {
            get => Select([i1, i2, i3, i4, i5, i6]);
            set => IndexPut(value, [i1, i2, i3, i4, i5, i6]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params long[] indices]
        {
            get => Index(Array.ConvertAll(indices, i => TensorIndex.Single(i)));
            set => IndexPut(value, Array.ConvertAll(indices, i => TensorIndex.Single(i)));
        }

        public Tensor index(params TensorIndex[] indices) => Index(indices);

        public Tensor index(params Tensor[] indices) => Index(Array.ConvertAll(indices, TensorIndex.Tensor));

        public Tensor index_put_(Tensor value, params TensorIndex[] indices) => IndexPut(value, indices);

        public Tensor index_put_(Tensor value, TensorIndex[] indices, bool accumulate = false)
        {
            if (!accumulate)
                return IndexPut(value, indices);
            var tensors = Array.ConvertAll(indices, index => index.Held);
            if (Array.TrueForAll(tensors, tensor => tensor is null))
            {
                throw new ArgumentException(
                    "Invalid 'indices' parameter. Must be an array of TensorIndex objects containing tensors with indices "
                    + "that match the shape of the tensor to update",
                    nameof(indices));
            }

            Aten.Run("index_put_", this, tensors, value, true);
            return this;
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices) =>
            IndexPut(value, Array.ConvertAll(indices, TensorIndex.Tensor));

        public Tensor index_put_(Tensor value, Tensor[] indices, bool accumulate = false) =>
            index_put_(value, Array.ConvertAll(indices, TensorIndex.Tensor), accumulate);

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            using var filler = Aten.Call("scalar_tensor", value, dtype, Argument.None, device).DetachFromDisposeScope();
            return IndexPut(filler, indices);
        }

        public Tensor index_put_(Scalar value, params Tensor[] indices) =>
            index_put_(value, Array.ConvertAll(indices, TensorIndex.Tensor));

        private Tensor Select(ReadOnlySpan<long> places)
        {
            fixed (long* pointer = places)
                return Alive(Own(tn_tensor_select(Handle, pointer, places.Length)));
        }

        private Tensor Index(ReadOnlySpan<TensorIndex> indices)
        {
            var items = stackalloc IndexItem[indices.Length];
            for (var i = 0; i < indices.Length; i++)
                items[i] = indices[i].ToNative();
            var result = Own(tn_tensor_index(Handle, items, indices.Length));
            KeepAlive(indices);
            return result;
        }

        private Tensor IndexPut(Tensor value, ReadOnlySpan<TensorIndex> indices)
        {
            var items = stackalloc IndexItem[indices.Length];
            for (var i = 0; i < indices.Length; i++)
                items[i] = indices[i].ToNative();
            Check(tn_tensor_index_put(Handle, items, indices.Length, value.Handle));
            KeepAlive(indices);
            GC.KeepAlive(value);
            return this;
        }

        private void KeepAlive(ReadOnlySpan<TensorIndex> indices)
        {
            GC.KeepAlive(this);
            foreach (ref readonly var index in indices)
                GC.KeepAlive(index.Held);
        }
    }
}
