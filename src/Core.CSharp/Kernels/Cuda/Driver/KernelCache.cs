using System.Security.Cryptography;
using LocalAttention.Core.Checkpoints;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// Compiled kernels on disk, one file each, named by a hash of everything that they were compiled from. A file begins with
/// its content's hash; one that is damaged counts as missing, and a folder that cannot be written only means that every
/// process compiles for itself.
/// </summary>
/// <param name="folder">The folder, made when the first file is written; none: nothing is kept.</param>
internal sealed class KernelCache(string? folder)
{
    /// <summary>The code compiled from such a source: what the folder holds, or newly compiled.</summary>
    /// <param name="name">The beginning of the file's name, for people.</param>
    /// <param name="origin">All that the code follows from.</param>
    /// <param name="compile">Compiles it.</param>
    public byte[] Get(string name, IEnumerable<string> origin, Func<byte[]> compile)
    {
        var path = folder is null ? null : Path.Combine(folder, $"{name}-{KernelSources.HashOf(origin)}.kernel");
        if (path is not null && Read(path) is { } kept)
        {
            return kept;
        }
        var code = compile();
        if (path is not null)
        {
            Write(path, code);
        }
        return code;
    }

    /// <summary>Writes a file whole, where that can be done.</summary>
    /// <param name="path">The file; its folder is made.</param>
    /// <param name="write">Writes the content.</param>
    public static void Keep(string path, Action<Stream> write)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            AtomicFile.Write(path, 0, write);
        }
        catch (Exception error) when (error is CheckpointException or IOException or UnauthorizedAccessException)
        {
            // It is made anew the next time.
        }
    }

    private static byte[]? Read(string path)
    {
        try
        {
            var content = File.ReadAllBytes(path);
            if (content.Length <= SHA256.HashSizeInBytes)
            {
                return null;
            }
            var (hash, code) = (content[..SHA256.HashSizeInBytes], content[SHA256.HashSizeInBytes..]);
            return SHA256.HashData(code).AsSpan().SequenceEqual(hash) ? code : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void Write(string path, byte[] code) => Keep(path, stream =>
    {
        stream.Write(SHA256.HashData(code));
        stream.Write(code);
    });
}
