using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp;

// Tensors from .NET memory: the ground that all of torch.tensor(...) stands on.
public static unsafe partial class torch
{
    public static Tensor from_array(Array rawArray, Device? device = null) => from_array(rawArray, null, device);

    /// <summary>A tensor over the array itself, where type and device allow; a converted copy of it elsewhere.</summary>
    public static Tensor from_array(
        Array rawArray,
        ScalarType? dtype,
        Device? device = null,
        bool requires_grad = false,
        string[]? names = null)
    {
        var element = rawArray.GetType().GetElementType()
            ?? throw new InvalidOperationException($"{nameof(rawArray)} has no element type.");
        var shape = new long[rawArray.Rank];
        for (var i = 0; i < shape.Length; i++)
            shape[i] = rawArray.GetLength(i);
        return Created(Placed(Over(rawArray, ToScalarType(element), shape, 0), dtype, device), requires_grad, names);
    }

    public static Tensor frombuffer(Array rawArray, ScalarType dtype, long count = -1, long offset = 0, bool requires_grad = false)
    {
        var length = rawArray.LongLength;
        if (offset < 0 || offset >= length)
            throw new ArgumentException($"invalid value for 'offset': {offset}");
        if (count < 0)
            count = length - offset;
        if (count > length - offset)
            throw new IndexOutOfRangeException($"element count is too large: {count}");
        var type = ToScalarType(rawArray.GetType().GetElementType()!);
        return Created(Placed(Over(rawArray, type, [count], offset * type.ElementSize()), dtype, CPU), requires_grad, null);
    }

    /// <summary>A tensor with a copy of the elements.</summary>
    internal static Tensor OfMemory<T>(
        ReadOnlySpan<T> elements,
        ReadOnlySpan<long> dimensions,
        ScalarType? dtype,
        Device? device,
        bool requires_grad,
        string[]? names)
        where T : unmanaged
    {
        var product = 1L;
        foreach (var length in dimensions)
            product *= length;
        if (product > elements.Length)
            throw new ArgumentException($"mismatched total size creating a tensor from an array: {product} vs. {elements.Length}");
        Tensor copy;
        fixed (T* data = elements)
        fixed (long* sizes = dimensions)
            copy = TorchNative.Own(TorchNative.tn_tensor_copy_of(data, sizes, dimensions.Length, (int)ToScalarType(typeof(T))));
        return Created(Placed(copy, dtype, device), requires_grad, names);
    }

    private static ReadOnlySpan<T> Elements<T>(IList<T> list) => list switch
    {
        T[] array => array,
        List<T> growable => CollectionsMarshal.AsSpan(growable),
        _ => list.ToArray(),
    };

    private static ReadOnlySpan<T> Elements<T>(Array array)
        where T : unmanaged =>
        MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<byte, T>(ref MemoryMarshal.GetArrayDataReference(array)), array.Length);

    /// <summary>The last step of every factory.</summary>
    private static Tensor Created(Tensor tensor, bool requires_grad, string[]? names)
    {
        if (names is { Length: > 0 })
            throw new NotSupportedException("Named dimensions are not part of this build of the tensor library.");
        return tensor.Tracked(requires_grad);
    }

    private static Tensor Placed(Tensor tensor, ScalarType? dtype, Device? device)
    {
        var type = dtype ?? tensor.dtype;
        var place = InitializeDevice(device);
        if (type == tensor.dtype && place.type == DeviceType.CPU)
            return tensor;
        var placed = tensor.to(type, place);
        tensor.Dispose();
        return placed;
    }

    private static Tensor Over(Array array, ScalarType type, ReadOnlySpan<long> shape, long offset)
    {
        var pin = GCHandle.Alloc(array, GCHandleType.Pinned);
        fixed (long* sizes = shape)
        {
            var data = (byte*)pin.AddrOfPinnedObject() + offset;
            return TorchNative.Own(
                TorchNative.tn_tensor_over(data, sizes, shape.Length, (int)type, &Unpin, GCHandle.ToIntPtr(pin)));
        }
    }

    [UnmanagedCallersOnly]
    private static void Unpin(nint pin) => GCHandle.FromIntPtr(pin).Free();
}
