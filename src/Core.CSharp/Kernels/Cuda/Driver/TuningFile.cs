using System.Text;
using LocalAttention.Core.Checkpoints;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// The tuner's answers on disk: one JSON file for a device's name and the sources' text. Another text or device has a file of
/// its own; a damaged file counts as missing, and one that cannot be written only means that every process measures for itself.
/// </summary>
/// <param name="folder">The folder, made when the first answer is kept; none: nothing is.</param>
/// <param name="device">The device's name.</param>
/// <param name="sources">The sources' hash.</param>
internal sealed class TuningFile(string? folder, string device, string sources)
{
    private static readonly MetadataJson<Content> Json = new("the tuning", depth: 4);

    private readonly string? _path = folder is null ? null : Path.Combine(folder, $"{NameOf(device)}-{sources[..16]}.json");

    /// <summary>An answer.</summary>
    /// <param name="Way">The fastest way's number.</param>
    /// <param name="Of">Of how many.</param>
    public sealed record Answer(int Way, int Of);

    /// <summary>What is known: questions and their answers.</summary>
    public Dictionary<string, Answer> Read()
    {
        try
        {
            if (_path is not null && File.Exists(_path)
                && Json.Read(_path, File.ReadAllText(_path)) is var content
                && content.Device == device && content.Sources == sources)
            {
                return content.Answers
                    .Where(pair => pair.Value is { } answer && answer.Way >= 0 && answer.Way < answer.Of)
                    .ToDictionary(StringComparer.Ordinal);
            }
        }
        catch (Exception error) when (error is CheckpointException or IOException or UnauthorizedAccessException)
        {
            // What is measured next replaces the file.
        }
        return new Dictionary<string, Answer>(StringComparer.Ordinal);
    }

    /// <summary>Adds an answer to the file, in which another process may have put some meanwhile.</summary>
    public void Keep(string question, Answer answer)
    {
        if (_path is null)
        {
            return;
        }
        var answers = Read();
        answers[question] = answer;
        var ordered = new SortedDictionary<string, Answer>(answers, StringComparer.Ordinal);
        var text = Json.Write(new Content(device, sources, new Dictionary<string, Answer>(ordered, StringComparer.Ordinal)));
        KernelCache.Keep(_path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
    }

    // A file's name has letters, digits and hyphens.
    private static string NameOf(string device) =>
        string.Concat(device.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-'));

    private sealed record Content(string Device, string Sources, Dictionary<string, Answer> Answers);
}
