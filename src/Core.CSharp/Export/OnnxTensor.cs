using System.Runtime.InteropServices;
using LocalAttention.Core.Checkpoints;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>A constant of a graph: a <c>TensorProto</c> whose content is made when it is written.</summary>
/// <param name="Value">Its name and shape.</param>
/// <param name="Message">The constant as a file holds it.</param>
internal sealed record OnnxTensor(OnnxValue Value, ProtobufMessage Message)
{
    // TensorProto's fields, and the numbers of its element types.
    private const int DimensionsField = 1;
    private const int TypeField = 2;
    private const int NameField = 8;
    private const int RawDataField = 9;

    /// <summary>The number of float32.</summary>
    public const int FloatType = 1;

    private const int IntegerType = 7;

    /// <summary>Of float32, from a tensor that is asked for only when the file is written, in any layout, on any device.</summary>
    public static OnnxTensor Of(string name, long[] shape, Func<torch.Tensor> make) => Of(
        new OnnxValue(name, shape),
        FloatType,
        sizeof(float),
        stream =>
        {
            using var scope = torch.NewDisposeScope();
            using var noGradient = torch.no_grad();
            var tensor = make();
            if (!tensor.shape.SequenceEqual(shape) || tensor.dtype != torch.ScalarType.Float32)
            {
                throw new InvalidOperationException(
                    $"'{name}' became {tensor.dtype} [{string.Join(", ", tensor.shape)}] where float32 [{string.Join(", ", shape)}] was announced");
            }
            TensorMemory.ForEachSlice(tensor.detach().cpu().contiguous(), (bytes, _) => stream.Write(bytes));
        });

    /// <summary>Of float32.</summary>
    public static OnnxTensor Of(string name, long[] shape, float[] elements) => Of(
        new OnnxValue(name, shape), FloatType, sizeof(float), stream => stream.Write(MemoryMarshal.AsBytes(elements.AsSpan())));

    /// <summary>Of 64-bit whole numbers.</summary>
    public static OnnxTensor Of(string name, long[] shape, long[] elements) => Of(
        new OnnxValue(name, shape), IntegerType, sizeof(long), stream => stream.Write(MemoryMarshal.AsBytes(elements.AsSpan())));

    private static OnnxTensor Of(OnnxValue value, int type, int elementSize, ProtobufMessage.WriteContent write) => new(
        value,
        new ProtobufMessage()
            .AddEach(DimensionsField, value.Shape)
            .Add(TypeField, type)
            .Add(NameField, value.Name)
            .Add(RawDataField, value.Shape.Aggregate((long)elementSize, (product, size) => product * size), write));
}
