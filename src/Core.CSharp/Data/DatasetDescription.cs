using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Data;

/// <summary>
/// What a model must know of the images that it learned from to be asked about others. It travels in the metadata of the
/// model's file.
/// </summary>
/// <param name="Classes">The names of the classes.</param>
/// <param name="Normalization">What images are brought to mean 0 and deviation 1 with.</param>
public sealed record DatasetDescription(ValueList<string> Classes, Normalization Normalization)
{
    /// <summary>The key of the metadata.</summary>
    public const string Key = "local_attention.dataset";

    private static readonly MetadataJson<DatasetDescription> Json = new("the data set", depth: 8);

    /// <summary>That of a data set.</summary>
    public static DatasetDescription Of(ImageDataset dataset)
    {
        ArgumentNullException.ThrowIfNull(dataset);
        return new DatasetDescription(dataset.Classes, dataset.Normalization);
    }

    /// <summary>The metadata that holds it.</summary>
    public IReadOnlyDictionary<string, string> ToMetadata() =>
        new Dictionary<string, string> { [Key] = Json.Write(this) };

    /// <summary>What a file's metadata holds; none: nothing of this kind.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <exception cref="CheckpointException">The text is damaged.</exception>
    public static DatasetDescription? TryRead(string path, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        if (!metadata.TryGetValue(Key, out var json))
            return null;
        var description = Json.Read(path, json);
        return description.Normalization.Deviation.All(deviation => double.IsFinite(deviation) && deviation > 0)
                && description.Normalization.Mean.All(double.IsFinite)
                && description.Normalization.Mean.Count == description.Normalization.Deviation.Count
            ? description
            : throw Json.Unreadable(path, "means and deviations must be as many and finite, deviations above 0");
    }
}
