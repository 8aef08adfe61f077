using LocalAttention.Core.Backbones;
using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>
/// Models as ONNX files, which other runtimes run: opset 17, float32, any number of images of one size. The graph is written
/// from the architecture, part by part, and its nodes are named by their places: <c>stage 2, block 3/attention/qkv</c>. Slide
/// layers are merged, QnA's learned queries multiplied out, and there is no stochastic depth: what the model computes in
/// evaluation mode.
/// </summary>
public static class OnnxExport
{
    /// <summary>The largest file, one byte below 2 GiB: protocol buffers count no further.</summary>
    internal const long LargestLength = int.MaxValue;

    // ModelProto's and OperatorSetIdProto's fields, and the version of the format that opset 17 came with.
    private const int IrVersionField = 1;
    private const int ProducerField = 2;
    private const int GraphField = 7;
    private const int OperatorSetField = 8;
    private const int MetadataField = 14;
    private const int OperatorSetVersionField = 2;
    private const int IrVersion = 8;

    /// <summary>Writes a model to a file, which appears whole or not at all.</summary>
    /// <remarks>
    /// The input is <c>images</c>, <c>[batch, channels, H, W]</c>; the output <c>logits</c>, <c>[batch, classes]</c>, or, where
    /// the head has no classes, <c>features</c>, <c>[batch, C]</c>. The architecture is in the file's metadata, under
    /// <see cref="Checkpoint.ArchitectureKey"/>. Parameters are read from the model one by one while they are written.
    /// </remarks>
    /// <param name="model">The model, its parameters in float32, on any device. It is not changed.</param>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="image">The size of the images; none: the architecture's resolution.</param>
    /// <exception cref="ArgumentException">
    /// The parameters are of another type, or the model does not take images of that size.
    /// </exception>
    /// <exception cref="CheckpointException">The file would be too long, or cannot be written; an existing one is unchanged.</exception>
    public static void Save(Backbone model, string path, ImageSize? image = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(path);
        var architecture = model.Architecture;
        var size = image ?? architecture.Resolution;
        RequireFloats(model);
        RequireSize(architecture, size);

        using var noGradient = torch.no_grad();
        var message = Describe(architecture, BackboneGraph.Of(model, size).ToMessage(architecture.Name));
        RequireLength(path, architecture, message.Size);
        AtomicFile.Write(path, message.Size, message.WriteTo);
    }

    /// <summary>Refuses what a file cannot hold before anything is written.</summary>
    internal static void RequireLength(string path, Architecture architecture, long length)
    {
        if (length > LargestLength)
        {
            throw new CheckpointException(
                path,
                $"'{architecture.Name}' would take {length:N0} bytes, and an ONNX file holds at most {LargestLength:N0}; "
                + "write a safetensors file instead, or export a smaller model");
        }
    }

    private static ProtobufMessage Describe(Architecture architecture, ProtobufMessage graph) => new ProtobufMessage()
        .Add(IrVersionField, IrVersion)
        .Add(ProducerField, "LocalAttention.Dsl")
        .Add(GraphField, graph)
        .Add(OperatorSetField, new ProtobufMessage().Add(OperatorSetVersionField, OnnxGraph.OperatorSet))
        .Add(
            MetadataField,
            new ProtobufMessage().Add(1, Checkpoint.ArchitectureKey).Add(2, SpecificationJson.Write(architecture)));

    private static void RequireFloats(Backbone model)
    {
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (parameter.dtype != torch.ScalarType.Float32)
            {
                throw new ArgumentException(
                    $"'{model.Architecture.Name}': the parameter '{name}' is of type {parameter.dtype}; ONNX files are written in "
                    + "Float32: convert the model first, by to(ScalarType.Float32)", nameof(model));
            }
        }
    }

    private static void RequireSize(Architecture architecture, ImageSize image)
    {
        var problems = Validation.CheckSize(architecture, image);
        if (problems.Count > 0)
        {
            throw new ArgumentException(
                $"'{architecture.Name}' does not take images of {image}: {string.Join(" ", problems)}", nameof(image));
        }
    }
}
