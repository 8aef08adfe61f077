using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>
/// Collects the nodes and constants of an ONNX graph; each view of it, made by <see cref="At"/>, puts its place before their
/// names.
/// </summary>
internal sealed partial class OnnxGraph
{
    // GraphProto's, NodeProto's, ValueInfoProto's and TypeProto's fields.
    private const int GraphNode = 1;
    private const int GraphName = 2;
    private const int GraphInitializer = 5;
    private const int GraphInput = 11;
    private const int GraphOutput = 12;
    private const int NodeInput = 1;
    private const int NodeOutput = 2;
    private const int NodeName = 3;
    private const int NodeOperation = 4;
    private const int NodeAttribute = 5;

    private readonly Content _content;
    private readonly string _place;

    /// <summary>An empty graph.</summary>
    public OnnxGraph()
        : this(new Content(), "")
    {
    }

    private OnnxGraph(Content content, string place) => (_content, _place) = (content, place);

    /// <summary>The same graph, at a place of it: <c>stage 2, block 3</c>, in it <c>attention</c>.</summary>
    public OnnxGraph At(string place) => new(_content, Within(place));

    /// <summary>What the graph is given: float32, of a shape whose first dimension is the batch.</summary>
    public OnnxValue Input(string name, params long[] shape)
    {
        var value = new OnnxValue(_content.NameFor(name), [OnnxValue.FromBatch, .. shape]);
        _content.Inputs.Add(Described(value));
        return value;
    }

    /// <summary>Gives a value of the graph the name of an output.</summary>
    public void Output(string name, OnnxValue value)
    {
        var output = new OnnxValue(_content.NameFor(name), value.Shape);
        AddNode("Identity", name, [value], [output], []);
        _content.Outputs.Add(Described(output));
    }

    /// <summary>A node with one output.</summary>
    /// <param name="operation">The operator, of ONNX's own domain.</param>
    /// <param name="inputs">What it is given; none where an optional one is left out.</param>
    /// <param name="shape">The shape of what it gives.</param>
    /// <param name="attributes">Its attributes.</param>
    public OnnxValue Apply(
        string operation, IReadOnlyList<OnnxValue?> inputs, IReadOnlyList<long> shape, params OnnxAttribute[] attributes)
    {
        var name = _content.NameFor(Within(operation));
        var output = new OnnxValue(name, shape);
        AddNode(operation, name, inputs, [output], attributes);
        return output;
    }

    /// <summary>A parameter, or what follows from parameters: made when the file is written, so that one stands in memory at a time.</summary>
    /// <param name="name">Its name in the model.</param>
    /// <param name="shape">Its shape in the file.</param>
    /// <param name="make">Gives it in that shape, as a view or a new tensor.</param>
    public OnnxValue Weight(string name, long[] shape, Func<torch.Tensor> make) =>
        Keep(OnnxTensor.Of(_content.NameFor(name), shape, make));

    /// <summary>Numbers that follow from the architecture and the image's size alone; equal ones are kept once.</summary>
    public OnnxValue Constant(string name, long[] shape, float[] elements) => Shared(
        $"{name} [{string.Join(", ", shape)}] {string.Join(' ', elements.Select(BitConverter.SingleToInt32Bits))}",
        () => OnnxTensor.Of(_content.NameFor(name), shape, elements));

    /// <summary>A single number.</summary>
    public OnnxValue Number(double value) =>
        Constant(value.ToString(System.Globalization.CultureInfo.InvariantCulture), [], [(float)value]);

    /// <summary>Whole numbers: shapes, axes, places. Equal ones are kept once.</summary>
    public OnnxValue Integers(string name, params long[] elements) => Shared(
        $"{name} {string.Join(' ', elements)}", () => OnnxTensor.Of(_content.NameFor(name), [elements.Length], elements));

    /// <summary>The graph as a file holds it: a <c>GraphProto</c>.</summary>
    public ProtobufMessage ToMessage(string name)
    {
        var message = new ProtobufMessage();
        _content.Nodes.ForEach(node => message.Add(GraphNode, node));
        message.Add(GraphName, name);
        _content.Tensors.ForEach(tensor => message.Add(GraphInitializer, tensor.Message));
        _content.Inputs.ForEach(input => message.Add(GraphInput, input));
        _content.Outputs.ForEach(output => message.Add(GraphOutput, output));
        return message;
    }

    private string Within(string name) => _place.Length == 0 ? name : $"{_place}/{name}";

    private void AddNode(
        string operation,
        string name,
        IReadOnlyList<OnnxValue?> inputs,
        IReadOnlyList<OnnxValue> outputs,
        IReadOnlyList<OnnxAttribute> attributes)
    {
        var node = new ProtobufMessage();
        foreach (var input in inputs)
        {
            node.Add(NodeInput, input?.Name ?? "");
        }
        foreach (var output in outputs)
        {
            node.Add(NodeOutput, output.Name);
        }
        node.Add(NodeName, name).Add(NodeOperation, operation);
        foreach (var attribute in attributes)
        {
            node.Add(NodeAttribute, attribute.Message);
        }
        _content.Nodes.Add(node);
    }

    private OnnxValue Keep(OnnxTensor tensor)
    {
        _content.Tensors.Add(tensor);
        return tensor.Value;
    }

    private OnnxValue Shared(string identity, Func<OnnxTensor> make)
    {
        if (!_content.Shared.TryGetValue(identity, out var value))
        {
            value = Keep(make());
            _content.Shared.Add(identity, value);
        }
        return value;
    }

    /// <summary>A <c>ValueInfoProto</c>: the batch is a dimension with a name.</summary>
    private static ProtobufMessage Described(OnnxValue value)
    {
        var shape = new ProtobufMessage();
        foreach (var size in value.Shape)
        {
            shape.Add(1, size == OnnxValue.FromBatch ? new ProtobufMessage().Add(2, "batch") : new ProtobufMessage().Add(1, size));
        }
        var tensor = new ProtobufMessage().Add(1, OnnxTensor.FloatType).Add(2, shape);
        return new ProtobufMessage().Add(1, value.Name).Add(2, new ProtobufMessage().Add(1, tensor));
    }

    /// <summary>What all views of a graph share.</summary>
    private sealed class Content
    {
        private readonly Dictionary<string, int> _names = new(StringComparer.Ordinal);

        public List<ProtobufMessage> Nodes { get; } = [];

        public List<OnnxTensor> Tensors { get; } = [];

        public List<ProtobufMessage> Inputs { get; } = [];

        public List<ProtobufMessage> Outputs { get; } = [];

        public Dictionary<string, OnnxValue> Shared { get; } = new(StringComparer.Ordinal);

        /// <summary>The name, or with a number behind it where another has it already.</summary>
        public string NameFor(string wanted)
        {
            var name = wanted;
            while (!_names.TryAdd(name, 1))
            {
                name = $"{wanted} {++_names[wanted]}";
            }
            return name;
        }
    }
}
