using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace LocalAttention.Core.Specification;

/// <summary>Architectures as JSON, both ways: what is written reads back equal, and what is not understood is refused.</summary>
public static class SpecificationJson
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = 32,
        // What is computed from the rest is not written.
        IgnoreReadOnlyProperties = true,
        NumberHandling = JsonNumberHandling.Strict,
        PropertyNameCaseInsensitive = false,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        AllowOutOfOrderMetadataProperties = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    /// <summary>What stands before the path in the serialiser's messages.</summary>
    private const string PathMark = " Path: ";

    /// <summary>The architecture as indented JSON.</summary>
    public static string Write(Architecture architecture) => JsonSerializer.Serialize(architecture, Options);

    /// <summary>The architecture that a JSON text describes. It is read, not validated: see <see cref="Validation"/>.</summary>
    /// <exception cref="SpecificationException">The text is not JSON, or not that of an architecture; names the place.</exception>
    public static Architecture Read(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<Architecture>(json, Options)
                ?? throw new JsonException("The text is null.");
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            var place = PathOf(exception) is { } path ? PlaceOf(path) : "whole text";
            throw new SpecificationException(
                "the JSON specification",
                [new Problem(place, FirstSentence(exception.Message), "compare it with what Write makes of a valid architecture")]);
        }
    }

    /// <summary>
    /// Where the serialiser failed: its own property, or, of a missing or misplaced type discriminator, the words in the
    /// message.
    /// </summary>
    internal static string? PathOf(Exception exception) => exception switch
    {
        JsonException json => json.Path,
        { Message: var message } when message.IndexOf(PathMark, StringComparison.Ordinal) is >= 0 and var start =>
            message[(start + PathMark.Length)..].Split(" | ")[0],
        _ => null,
    };

    /// <summary>The reader's place for a JSON path: <c>stage 2.block 3.attention</c> is <c>stage 2, block 3, attention</c>.</summary>
    private static string PlaceOf(string path) =>
        path.TrimStart('$', '.') is { Length: > 0 } words ? words.Replace(".", ", ", StringComparison.Ordinal) : "whole text";

    /// <summary>The serialiser's message without the path and without our namespaces.</summary>
    private static string FirstSentence(string message)
    {
        var end = message.IndexOf(PathMark, StringComparison.Ordinal);
        return (end < 0 ? message : message[..end])
            .Replace($"{typeof(Architecture).Namespace}.", "", StringComparison.Ordinal)
            .TrimEnd('.');
    }
}
