using System.Text.Json;
using System.Text.Json.Serialization;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// One value in a file's metadata, as JSON. What is read must be exactly what is written: a missing, unknown, doubled or null
/// member is an error.
/// </summary>
/// <param name="what">What the value is, for messages: <c>the training</c>.</param>
/// <param name="depth">The deepest nesting that such a value has.</param>
internal sealed class MetadataJson<T>(string what, int depth)
    where T : class
{
    private readonly JsonSerializerOptions _options = new(JsonSerializerDefaults.Web)
    {
        MaxDepth = depth,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
    };

    /// <summary>The value as JSON.</summary>
    public string Write(T value) => JsonSerializer.Serialize(value, _options);

    /// <summary>The value that the JSON holds.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="json">The text.</param>
    /// <exception cref="CheckpointException">The text is damaged.</exception>
    public T Read(string path, string json)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(json, _options) ?? throw new JsonException("the text is null");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw Unreadable(path, error.Message, error);
        }
    }

    /// <summary>The error of a value that cannot be.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mistake">What is wrong with it.</param>
    /// <param name="cause">What said so, if anything did.</param>
    public CheckpointException Unreadable(string path, string mistake, Exception? cause = null) =>
        new(path, $"{what} in the metadata cannot be read: {mistake}", cause);
}
