namespace LocalAttention.Core.Data;

/// <summary>
/// A data file is missing, truncated or of another format. The message names the file, the value and what would be right.
/// </summary>
public sealed class DataFileException : Exception
{
    /// <param name="path">The file or directory.</param>
    /// <param name="mistake">What is wrong with it, and what would be right.</param>
    /// <param name="cause">The error beneath, if there is one.</param>
    public DataFileException(string path, string mistake, Exception? cause = null)
        : base($"{path}: {mistake}", cause) => Path = path;

    /// <summary>The file or directory.</summary>
    public string Path { get; }
}
