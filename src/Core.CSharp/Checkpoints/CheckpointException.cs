namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// A checkpoint cannot be read, written, or does not fit the model. The message names the file, the value and what would be
/// right.
/// </summary>
public sealed class CheckpointException : Exception
{
    /// <param name="path">The file.</param>
    /// <param name="mistake">What is wrong with it, and what would be right.</param>
    /// <param name="cause">The error beneath, if there is one.</param>
    public CheckpointException(string path, string mistake, Exception? cause = null)
        : base($"{path}: {mistake}", cause)
    {
        Path = path;
        Mistake = mistake;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What is wrong, without the file's name.</summary>
    public string Mistake { get; }
}
