using static TorchSharp.torch;

namespace TorchSharp;

// One tensor in a file: its element type, the number of dimensions and their lengths, each as a 7-bit encoded integer,
// then the elements.
public static partial class TensorExtensionMethods
{
    private const int BufferSize = 1 << 20;

    public static void Save(this Tensor tensor, BinaryWriter writer)
    {
        if (tensor.device_type != DeviceType.CPU)
        {
            using var onCpu = tensor.to(CPU).DetachFromDisposeScope();
            onCpu.Save(writer);
            return;
        }

        writer.Write7BitEncodedInt64((long)tensor.dtype);
        var shape = tensor.shape;
        writer.Write7BitEncodedInt64(shape.Length);
        foreach (var length in shape)
            writer.Write7BitEncodedInt64(length);
        writer.Flush();
        tensor.WriteBytesToStream(writer.BaseStream, FileBlock);
    }

    public static void Save(this Tensor tensor, Stream stream)
    {
        using var writer = new BinaryWriter(stream);
        tensor.Save(writer);
        stream.Flush();
    }

    public static void Save(this Tensor tensor, string location)
    {
        using var stream = File.Create(location);
        tensor.Save(stream);
    }

    public static void Load(this Tensor tensor, BinaryReader reader, bool skip = false)
    {
        var (type, shape) = ReadHeader(reader);
        if (type != tensor.dtype)
        {
            throw new ArgumentException(
                "Mismatched tensor data types while loading. Make sure that the model you are loading into is exactly the "
                + $"same as the origin. The file has {type}, the tensor {tensor.dtype}.");
        }

        Tensor? target = tensor;
        ReadElements(ref target, type, shape, reader, skip);
    }

    public static Tensor Load(BinaryReader reader, bool skip = false)
    {
        Tensor? tensor = null;
        Load(ref tensor, reader, skip);
        return tensor!;
    }

    public static void Load(ref Tensor? tensor, BinaryReader reader, bool skip = false)
    {
        var (type, shape) = ReadHeader(reader);
        ReadElements(ref tensor, type, shape, reader, skip);
    }

    private const int FileBlock = 1 << 20;

    private static (ScalarType Type, long[] Shape) ReadHeader(BinaryReader reader)
    {
        var type = (ScalarType)reader.Read7BitEncodedInt64();
        var shape = new long[reader.Read7BitEncodedInt64()];
        for (var i = 0; i < shape.Length; i++)
            shape[i] = reader.Read7BitEncodedInt64();
        return (type, shape);
    }

    private static void ReadElements(ref Tensor? tensor, ScalarType type, long[] shape, BinaryReader reader, bool skip)
    {
        if (tensor is null)
        {
            tensor = skip ? zeros(shape, type) : empty(shape, type);
        }
        else if (!skip && !shape.AsSpan().SequenceEqual(tensor.shape))
        {
            throw new ArgumentException(
                "Mismatched tensor shape while loading. Make sure that the model you are loading into is exactly the same as "
                + $"the origin. The file has [{string.Join(", ", shape)}], the tensor [{string.Join(", ", tensor.shape)}].");
        }

        if (skip)
        {
            reader.BaseStream.Seek(shape.TotalSize() * type.ElementSize(), SeekOrigin.Current);
            return;
        }

        // Elements of leaf tensors may only be written where no gradients are recorded.
        using var unrecorded = no_grad();
        if (tensor.device_type == DeviceType.CPU)
        {
            tensor.ReadBytesFromStream(reader.BaseStream, FileBlock);
            return;
        }

        using var onCpu = zeros_like(tensor, device: CPU).DetachFromDisposeScope();
        onCpu.ReadBytesFromStream(reader.BaseStream, FileBlock);
        tensor.copy_(onCpu);
    }
}
