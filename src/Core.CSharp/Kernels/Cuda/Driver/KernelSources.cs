using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>The text of kernels (<c>.cu</c>) and of what they include (<c>.cuh</c>).</summary>
internal sealed class KernelSources
{
    private static readonly Lazy<KernelSources> OfAssembly = new(() => new KernelSources(Resources()));

    private readonly SortedDictionary<string, string> _texts = new(StringComparer.Ordinal);

    /// <summary>Sources by name.</summary>
    /// <param name="texts">Names, as <c>SlideForward.cu</c>, and texts.</param>
    public KernelSources(IEnumerable<KeyValuePair<string, string>> texts)
    {
        foreach (var (name, text) in texts)
        {
            _texts.Add(name, text);
        }
        Headers = [.. _texts.Where(pair => pair.Key.EndsWith(".cuh", StringComparison.Ordinal))];
        Hash = HashOf(_texts.SelectMany(pair => new[] { pair.Key, pair.Value }));
    }

    /// <summary>The sources in this assembly.</summary>
    public static KernelSources Embedded => OfAssembly.Value;

    /// <summary>What kernels include, in the order of names.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    /// <summary>A hash of all names and texts, in hexadecimal digits.</summary>
    public string Hash { get; }

    /// <summary>A kernel file's text.</summary>
    /// <exception cref="CudaException">There is no such file.</exception>
    public string TextOf(string file) =>
        _texts.TryGetValue(file, out var text)
            ? text
            : throw new CudaException($"there is no kernel file {file}; there are {string.Join(", ", _texts.Keys)}");

    /// <summary>A hash of texts and of where each ends: SHA-256 in hexadecimal digits.</summary>
    public static string HashOf(IEnumerable<string> texts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in texts)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            hash.AppendData(BitConverter.GetBytes((long)bytes.Length));
            hash.AppendData(bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static IEnumerable<KeyValuePair<string, string>> Resources()
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var name in assembly.GetManifestResourceNames())
        {
            if (Path.GetExtension(name) is ".cu" or ".cuh")
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
                yield return KeyValuePair.Create(name, reader.ReadToEnd());
            }
        }
    }
}
