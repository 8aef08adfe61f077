namespace LocalAttention.Core.Export;

/// <summary>An attribute of a node: an <c>AttributeProto</c>.</summary>
internal sealed class OnnxAttribute
{
    // AttributeProto's fields, and the numbers of its types.
    private const int NameField = 1;
    private const int FloatField = 2;
    private const int IntegerField = 3;
    private const int IntegersField = 8;
    private const int TypeField = 20;
    private const int FloatType = 1;
    private const int IntegerType = 2;
    private const int IntegersType = 7;

    private OnnxAttribute(ProtobufMessage message) => Message = message;

    /// <summary>The attribute as a file holds it.</summary>
    public ProtobufMessage Message { get; }

    /// <summary>A fraction.</summary>
    public static OnnxAttribute Of(string name, float value) => new(Named(name).Add(FloatField, value).Add(TypeField, FloatType));

    /// <summary>A whole number.</summary>
    public static OnnxAttribute Of(string name, long value) => new(Named(name).Add(IntegerField, value).Add(TypeField, IntegerType));

    /// <summary>A list of whole numbers.</summary>
    public static OnnxAttribute Of(string name, params long[] values) =>
        new(Named(name).AddEach(IntegersField, values).Add(TypeField, IntegersType));

    private static ProtobufMessage Named(string name) => new ProtobufMessage().Add(NameField, name);
}
