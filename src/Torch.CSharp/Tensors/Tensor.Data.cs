using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public unsafe partial class Tensor
    {
        /// <summary>The elements, in place; those of a copy on the CPU where the tensor is elsewhere.</summary>
        public TensorAccessor<T> data<T>()
            where T : unmanaged
        {
            ValidateType(typeof(T));
            return new TensorAccessor<T>(device_type == DeviceType.CPU ? this : cpu());
        }

        public T item<T>()
            where T : unmanaged
        {
            if (NumberOfElements != 1)
                throw new ArgumentException("Number of elements in the tensor must be 1");
            return data<T>()[0];
        }

        public Scalar ToScalar() => Aten.CallScalar("_local_scalar_dense", OneElement());

        public Tensor real => is_complex() ? Aten.Call("real", this) : alias();

        public Tensor imag => Aten.Call("imag", this);

        public Tensor T => permute([.. Enumerable.Range(0, (int)ndim).Reverse().Select(i => (long)i)]);

        public Tensor H => is_complex() ? transpose(0, 1).conj() : transpose(0, 1);

        public Span<byte> bytes
        {
            get
            {
                var total = NumberOfElements * ElementSize;
                CheckReadable(total);
                return new Span<byte>((void*)DataPointer, (int)total);
            }

            set
            {
                if (!is_contiguous())
                    throw new InvalidOperationException("SetBytes() called on non-contiguous tensor.");
                if (NumberOfElements * ElementSize != value.Length)
                    throw new ArgumentException("Mismatched data sizes in SetBytes().");
                value.CopyTo(new Span<byte>((void*)DataPointer, value.Length));
                GC.KeepAlive(this);
            }
        }

        public void WriteBytesToStream(Stream stream, int bufferSize = 1024)
        {
            CheckReadable(0);
            for (long done = 0, total = NumberOfElements * ElementSize; done < total;)
            {
                var length = (int)Math.Min(total - done, Math.Max(bufferSize, 1));
                stream.Write(new ReadOnlySpan<byte>((byte*)DataPointer + done, length));
                done += length;
            }
        }

        public void ReadBytesFromStream(Stream stream, int bufferSize = 1024)
        {
            CheckReadable(0);
            for (long done = 0, total = NumberOfElements * ElementSize; done < total;)
            {
                var length = (int)Math.Min(total - done, Math.Max(bufferSize, 1));
                stream.ReadExactly(new Span<byte>((byte*)DataPointer + done, length));
                done += length;
            }
        }

        public double ReadCpuDouble(long i) => TensorAccessor<double>.ReadItemAt(this, i);

        public float ReadCpuSingle(long i) => TensorAccessor<float>.ReadItemAt(this, i);

        public int ReadCpuInt32(long i) => TensorAccessor<int>.ReadItemAt(this, i);

        public long ReadCpuInt64(long i) => TensorAccessor<long>.ReadItemAt(this, i);

        public byte ReadCpuByte(long i) => TensorAccessor<byte>.ReadItemAt(this, i);

        public sbyte ReadCpuSByte(long i) => TensorAccessor<sbyte>.ReadItemAt(this, i);

        public short ReadCpuInt16(long i) => TensorAccessor<short>.ReadItemAt(this, i);

        public bool ReadCpuBool(long i) => TensorAccessor<bool>.ReadItemAt(this, i);

        public T ReadCpuValue<T>(long i)
            where T : unmanaged => TensorAccessor<T>.ReadItemAt(this, i);

        public float ReadCpuFloat16(long i) => (float)TensorAccessor<Half>.ReadItemAt(this, InRange(i));

        public float ReadCpuBFloat16(long i) => TensorAccessor<BFloat16>.ReadItemAt(this, InRange(i)).ToSingle();

        /// <summary>A number, or nested lists of numbers.</summary>
        public object tolist()
        {
            if (Dimensions == 0)
                return ToScalar();
            var list = new System.Collections.ArrayList();
            for (long i = 0, length = shape[0]; i < length; i++)
            {
                using var element = this[i];
                list.Add(element.tolist());
            }

            return list;
        }

        /// <summary>Whether both have the same shape and the same elements.</summary>
        public bool Equals(Tensor target) => target is not null && Aten.CallBool("equal", this, target);

        internal void ValidateType(Type dotnetType)
        {
            var fits = dtype switch
            {
                ScalarType.Byte => dotnetType == typeof(byte),
                ScalarType.Int8 => dotnetType == typeof(sbyte),
                ScalarType.Int16 => dotnetType == typeof(short),
                ScalarType.Int32 => dotnetType == typeof(int),
                ScalarType.Int64 => dotnetType == typeof(long),
                ScalarType.Bool => dotnetType == typeof(bool),
                ScalarType.BFloat16 => dotnetType == typeof(BFloat16),
                ScalarType.Float16 => dotnetType == typeof(Half),
                ScalarType.Float32 => dotnetType == typeof(float),
                ScalarType.Float64 => dotnetType == typeof(double),
                ScalarType.ComplexFloat32 => dotnetType == typeof((float, float)),
                ScalarType.ComplexFloat64 => dotnetType == typeof(System.Numerics.Complex),
                _ => true,
            };
            if (!fits)
                throw new ArgumentException($"{dotnetType.Name} is not compatible with {dtype}");
        }

        /// <summary>Sets whether gradients are recorded, if they are to be: for tensors just made.</summary>
        internal Tensor Tracked(bool requires_grad) => requires_grad ? requires_grad_() : this;

        private Tensor OneElement()
        {
            var count = NumberOfElements;
            if (count != 1)
            {
                throw new System.Runtime.InteropServices.ExternalException(
                    $"a Tensor with {count} elements cannot be converted to Scalar");
            }

            return this;
        }

        private long InRange(long i) => i < NumberOfElements
            ? i
            : throw new IndexOutOfRangeException("The index is greater than the number of elements in the tensor");

        private void CheckReadable(long totalSize)
        {
            if (!is_contiguous())
                throw new InvalidOperationException("Bytes() called on non-contiguous tensor.");
            if (totalSize > int.MaxValue)
                throw new ArgumentException("Span only supports up to int.MaxValue elements.");
            if (device_type != DeviceType.CPU)
            {
                throw new InvalidOperationException(
                    "Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
            }
        }

        private Tensor Converted(Tensor result, bool disposeAfter)
        {
            if (disposeAfter)
                Dispose();
            return result;
        }

        private static Argument Rounding(RoundingMode mode) => mode switch
        {
            RoundingMode.trunc => "trunc",
            RoundingMode.floor => "floor",
            _ => Argument.None,
        };
    }
}
