using System.Collections.Concurrent;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// Writes a file so that its path holds either the whole old content or the whole new one: the content goes to a
/// temporary name in the same directory, to the disk, and only then takes the path's name.
/// </summary>
public static class AtomicFile
{
    // The names of what is being written now.
    private static readonly ConcurrentDictionary<string, bool> Unfinished = new(StringComparer.Ordinal);

    // Linux's ENOSPC and EDQUOT, and Windows' ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL, as exceptions carry them; where
    // reserving fails, some say it in words alone.
    private static readonly int[] FullDiskCodes =
        [28, 122, unchecked((int)0x80070070), unchecked((int)0x80070027)];

    /// <summary>Writes a file whole, or not at all.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="length">Its length in bytes, which is reserved first; 0: not known.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="CheckpointException">The file cannot be written; what stood there before still does.</exception>
    public static void Write(string path, long length, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(write);
        var target = Path.GetFullPath(path);
        var directory = Path.GetDirectoryName(target)!;
        if (!Directory.Exists(directory))
            throw new CheckpointException(path, $"the directory {directory} does not exist; create it or write elsewhere");
        if (Directory.Exists(target))
            throw new CheckpointException(path, "this is a directory; name a file in it");

        var temporary = Path.Combine(directory, $".{Path.GetFileName(target)}.{Guid.NewGuid():N}.tmp");
        Unfinished[temporary] = true;
        try
        {
            // Reserving the length first makes a full disk show before anything is written.
            using (var stream = new FileStream(temporary, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                PreallocationSize = length,
                BufferSize = 1 << 16,
            }))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception error)
        {
            Remove(temporary);
            if (error is IOException or UnauthorizedAccessException)
                throw new CheckpointException(path, Explanation(error, length), error);
            throw;
        }
        finally
        {
            Unfinished.TryRemove(temporary, out _);
        }
    }

    /// <summary>
    /// Removes what is being written at this moment, on any thread: for a process that is about to be ended, which would
    /// leave it behind. The writes fail, if they ever go on.
    /// </summary>
    public static void RemoveUnfinished()
    {
        foreach (var temporary in Unfinished.Keys)
            Remove(temporary);
    }

    private static string Explanation(Exception error, long length)
    {
        var loss = "whatever stood there before is unchanged";
        if (FullDiskCodes.Contains(error.HResult) || error.Message.Contains("disk was full", StringComparison.Ordinal))
            return $"the disk is full: {length:N0} bytes are needed; {loss}; free some space or write elsewhere";
        if (error is UnauthorizedAccessException)
            return $"writing is not permitted in this directory; {loss}";
        return $"writing failed ({error.Message}); {loss}";
    }

    private static void Remove(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The error that led here says more than this one would.
        }
    }
}
