using System.Collections;
using System.Runtime.InteropServices;

namespace TorchSharp.Utils;

/// <summary>The elements of a tensor on the CPU, read and written where they are.</summary>
#pragma warning disable CA1710, CA1010 // The name is TorchSharp's
public sealed unsafe class TensorAccessor<T> : IDisposable, IEnumerable<T>
    where T : unmanaged
{
    private readonly T* elements;
    private torch.Tensor? tensor;

    internal TensorAccessor(torch.Tensor tensor)
    {
        CheckReadable(tensor);
        elements = (T*)tensor.DataPointer;
        this.tensor = tensor;
    }

    public long Count => tensor?.numel() ?? 0;

    public bool IsReadOnly => false;

    private torch.Tensor Tensor => tensor ?? throw new ObjectDisposedException(nameof(TensorAccessor<>));

    public T this[params long[] indices]
    {
        get => elements[Offset(indices)];
        set => elements[Offset(indices)] = value;
    }

    public T[] ToArray()
    {
        if (Tensor.ndim == 0)
            return [elements[0]];
        var array = new T[Count];
        if (array.Length > 0)
            CopyTo(array);
        return array;
    }

    public Array ToNDArray()
    {
        var shape = Tensor.shape;
        if (shape.Length < 2)
            return ToArray();
        var array = Array.CreateInstance(typeof(T), shape);
        var flat = ToArray();
        flat.AsSpan().CopyTo(MemoryMarshal.CreateSpan(
            ref System.Runtime.CompilerServices.Unsafe.As<byte, T>(ref MemoryMarshal.GetArrayDataReference(array)), flat.Length));
        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    public void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        CheckStart(tensorIndex);
        var room = array[Math.Min(arrayIndex, array.Length)..];
        if (Tensor.is_contiguous())
        {
            var count = (int)Math.Min(room.Length, Count - tensorIndex);
            new ReadOnlySpan<T>(elements + tensorIndex, count).CopyTo(room);
        }
        else
        {
            var place = 0;
            foreach (var offset in Offsets(tensorIndex))
            {
                if (place >= room.Length)
                    break;
                room[place++] = elements[offset];
            }
        }

        GC.KeepAlive(tensor);
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) =>
        CopyFrom((ReadOnlySpan<T>)array, arrayIndex, tensorIndex);

    public void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        CheckStart(tensorIndex);
        var source = array[Math.Min(arrayIndex, array.Length)..];
        if (Tensor.is_contiguous())
        {
            var count = (int)Math.Min(source.Length, Count - tensorIndex);
            source[..count].CopyTo(new Span<T>(elements + tensorIndex, count));
        }
        else
        {
            var place = 0;
            foreach (var offset in Offsets(tensorIndex))
            {
                if (place >= source.Length)
                    break;
                elements[offset] = source[place++];
            }
        }

        GC.KeepAlive(tensor);
    }

    public IEnumerator<T> GetEnumerator()
    {
        if (Count == 0)
            yield break;
        foreach (var offset in Offsets(0))
            yield return At(offset);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public static bool operator ==(TensorAccessor<T> left, TensorAccessor<T> right) =>
        left.Count == right.Count && left.SequenceEqual(right);

    public static bool operator !=(TensorAccessor<T> left, TensorAccessor<T> right) => !(left == right);

    public override bool Equals(object? obj) => obj is TensorAccessor<T> other && this == other;

    public override int GetHashCode() => tensor?.GetHashCode() ?? 0;

    public void Dispose()
    {
        tensor = null;
        GC.SuppressFinalize(this);
    }

    internal static T ReadItemAt(torch.Tensor tensor, long index)
    {
        CheckReadable(tensor);
        tensor.ValidateType(typeof(T));
        using var accessor = new TensorAccessor<T>(tensor);
        return accessor.elements[accessor.Offset(index)];
    }

    private static void CheckReadable(torch.Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CPU)
        {
            throw new InvalidOperationException(
                "Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
        }
    }

    private T At(long offset) => elements[offset];

    private void CheckStart(long tensorIndex)
    {
        if (tensorIndex < 0 || tensorIndex >= Count)
            throw new ArgumentOutOfRangeException(nameof(tensorIndex));
    }

    private long Offset(long[] indices)
    {
        if (indices.Length == 1)
            return Offset(indices[0]);
        long offset = 0;
        var shape = Tensor.shape;
        var strides = Tensor.stride();
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            if (indices[i] >= shape[i] || indices[i] < 0)
                throw new IndexOutOfRangeException($"{indices[i]} >= {shape[i]} in dimension {i}.");
            offset += indices[i] * strides[i];
        }

        return offset;
    }

    private long Offset(long index)
    {
        var count = Count;
        if (index >= count)
            throw new IndexOutOfRangeException();
        if (index < 0)
            throw new ArgumentOutOfRangeException(nameof(index), $"{index} in a collection of {count} elements.");
        if (index == 0 || Tensor.is_contiguous())
            return index;
        long offset = 0;
        var shape = Tensor.shape;
        var strides = Tensor.stride();
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            index = Math.DivRem(index, shape[i], out var place);
            offset += place * strides[i];
        }

        return offset;
    }

    /// <summary>The offsets of the elements from one on, in the order of a contiguous copy.</summary>
    private IEnumerable<long> Offsets(long start)
    {
        var count = Count;
        if (Tensor.is_contiguous())
        {
            for (var i = start; i < count; i++)
                yield return i;
            yield break;
        }

        var shape = Tensor.shape;
        var strides = Tensor.stride();
        var places = new long[shape.Length];
        var rest = start;
        for (var i = shape.Length - 1; i >= 0; i--)
            rest = Math.DivRem(rest, shape[i], out places[i]);
        var offset = Offset(start);
        for (var index = start; index < count; index++)
        {
            yield return offset;
            for (var i = shape.Length - 1; i >= 0; i--)
            {
                offset += strides[i];
                if (++places[i] < shape[i])
                    break;
                offset -= places[i] * strides[i];
                places[i] = 0;
            }
        }
    }
}
#pragma warning restore CA1710, CA1010
