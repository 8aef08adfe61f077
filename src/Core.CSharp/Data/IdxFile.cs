using System.Buffers.Binary;
using System.IO.Compression;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>
/// Reads the IDX files of MNIST and its relatives, plain or compressed with gzip: two zero bytes, the element type,
/// the number of dimensions, each dimension as a big-endian 32-bit number, then the elements.
/// </summary>
public static class IdxFile
{
    private const byte UnsignedByte = 0x08;

    // The format that deflate compresses best shrinks 1032-fold; a header that promises more is wrong.
    private const long LargestCompression = 1032;

    /// <summary>Reads a file of unsigned bytes.</summary>
    /// <param name="path">The file.</param>
    /// <param name="rank">The number of dimensions that it must have: 3 for images, 1 for labels.</param>
    /// <returns>Bytes of the file's dimensions.</returns>
    /// <exception cref="DataFileException">The file is missing, truncated or of another format.</exception>
    public static torch.Tensor Read(string path, int rank)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (!File.Exists(path))
            throw new DataFileException(path, "there is no such file");
        torch.Tensor? tensor = null;
        try
        {
            using var file = File.OpenRead(path);
            var compressed = IsGzip(file);
            using Stream stream = compressed ? new GZipStream(file, CompressionMode.Decompress) : file;
            var shape = ReadHeader(path, stream, rank);
            CheckLength(path, shape, file.Length, compressed);
            tensor = torch.empty(shape, dtype: torch.ScalarType.Byte);
            if (tensor.NumberOfElements > 0)
                Fill(path, stream, tensor);
            if (stream.ReadByte() >= 0)
            {
                throw new DataFileException(
                    path,
                    $"there is data after the {tensor.NumberOfElements:N0} elements that "
                    + $"[{string.Join(", ", shape)}] promises");
            }
            return tensor;
        }
        catch (Exception error)
        {
            tensor?.Dispose();
            if (error is InvalidDataException or EndOfStreamException)
                throw new DataFileException(path, $"the compressed data is damaged or truncated: {error.Message}", error);
            if (error is IOException or UnauthorizedAccessException)
                throw new DataFileException(path, $"the file cannot be read: {error.Message}", error);
            throw;
        }
    }

    private static bool IsGzip(FileStream file)
    {
        var gzip = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
        file.Position = 0;
        return gzip;
    }

    private static long[] ReadHeader(string path, Stream stream, int rank)
    {
        Span<byte> magic = stackalloc byte[4];
        ReadAll(path, stream, magic, "its magic number");
        if (magic[0] != 0 || magic[1] != 0 || magic[2] != UnsignedByte || magic[3] != rank)
        {
            throw new DataFileException(
                path,
                $"the magic number is 0x{BinaryPrimitives.ReadUInt32BigEndian(magic):x8}; "
                    + $"an IDX file of bytes with {rank} dimensions begins with 0x{(UnsignedByte << 8) | rank:x8}");
        }
        var shape = new long[rank];
        Span<byte> dimension = stackalloc byte[4];
        for (var i = 0; i < rank; i++)
        {
            ReadAll(path, stream, dimension, $"dimension {i + 1}");
            shape[i] = BinaryPrimitives.ReadUInt32BigEndian(dimension);
        }
        return shape;
    }

    private static void CheckLength(string path, long[] shape, long fileLength, bool compressed)
    {
        var wanted = shape.Aggregate((Int128)1, (product, dimension) => product * dimension);
        var largest = Math.Min(compressed ? fileLength * LargestCompression : fileLength - 4 - (4L * shape.Length), int.MaxValue);
        if (wanted > largest)
        {
            throw new DataFileException(
                path,
                $"the dimensions [{string.Join(", ", shape)}] promise {wanted:N0} bytes; "
                    + $"a file of {fileLength:N0} bytes cannot hold more than {largest:N0}; "
                    + "it is truncated or its header wrong");
        }
    }

    private static void Fill(string path, Stream stream, torch.Tensor tensor)
    {
        ReadAll(path, stream, tensor.bytes, "its elements");
        GC.KeepAlive(tensor);
    }

    private static void ReadAll(string path, Stream stream, Span<byte> bytes, string what)
    {
        var count = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (count < bytes.Length)
        {
            throw new DataFileException(
                path,
                $"the file ends inside {what}: {count:N0} of {bytes.Length:N0} bytes are there; it is truncated");
        }
    }
}
