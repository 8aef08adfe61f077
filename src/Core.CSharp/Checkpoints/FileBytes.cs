using Microsoft.Win32.SafeHandles;

namespace LocalAttention.Core.Checkpoints;

/// <summary>A file's bytes, read at any position. What goes wrong is said with the file's name.</summary>
internal sealed class FileBytes : IDisposable
{
    private readonly SafeFileHandle _handle;

    private FileBytes(string path, SafeFileHandle handle, long length)
    {
        Path = path;
        Length = length;
        _handle = handle;
    }

    /// <summary>The file's path, as it was given.</summary>
    public string Path { get; }

    /// <summary>The length when it was opened.</summary>
    public long Length { get; }

    /// <exception cref="CheckpointException">There is no such file, or it cannot be read.</exception>
    public static FileBytes Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (!File.Exists(path))
        {
            var what = Directory.Exists(path) ? "this is a directory; name a file in it" : "there is no such file";
            throw new CheckpointException(path, what);
        }
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, options: FileOptions.RandomAccess);
            return new FileBytes(path, handle, RandomAccess.GetLength(handle));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            handle?.Dispose();
            throw new CheckpointException(path, $"the file cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Fills a span from a position on.</summary>
    /// <exception cref="CheckpointException">The file ends before, or cannot be read.</exception>
    public void ReadExactly(Span<byte> bytes, long position)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                var count = RandomAccess.Read(_handle, bytes, position);
                if (count == 0)
                {
                    throw new CheckpointException(
                        Path,
                        $"the file ended at byte {position}, {bytes.Length} bytes too early; it was cut while it was read");
                }
                bytes = bytes[count..];
                position += count;
            }
        }
        catch (IOException error)
        {
            throw new CheckpointException(Path, $"the bytes from {position} on cannot be read: {error.Message}", error);
        }
    }

    public void Dispose() => _handle.Dispose();
}
