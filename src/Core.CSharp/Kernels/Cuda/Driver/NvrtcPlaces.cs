using System.Diagnostics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>Where CUDA's run-time compiler may be, most likely first.</summary>
internal static class NvrtcPlaces
{
    // The names that the system's loader knows, newest first: since 11.2 one name for all of a major version.
    private static readonly string[] LinuxNames = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
    private static readonly string[] WindowsNames = ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"];

    private static readonly string[] SubfoldersOfToolkits =
        ["lib64", "lib", Path.Combine("lib", "x64"), "bin", Path.Combine("bin", "x64"),
         Path.Combine("targets", "x86_64-linux", "lib"), Path.Combine("targets", "sbsa-linux", "lib")];

    // Python's packages: one folder a library up to CUDA 12, one for all libraries of CUDA 13.
    private static readonly string[] SubfoldersOfPackages =
        [Path.Combine("nvidia", "cuda_nvrtc"), Path.Combine("nvidia", "cu13"), Path.Combine("nvidia", "cu12")];

    private static readonly string[] Names = OperatingSystem.IsWindows() ? WindowsNames : LinuxNames;

    /// <summary>The usual names of the library, for messages.</summary>
    public static string Usual => string.Join(", ", Names);

    /// <summary>
    /// Names for the system's loader, and then files: of CUDA's toolkit (<c>CUDA_HOME</c>, <c>CUDA_PATH</c>), beside the tensor
    /// library that is loaded or that <c>LIBTORCH_HOME</c> names, of Python's packages beside that, of the system.
    /// </summary>
    public static IEnumerable<string> All() => Names.Concat(
        Folders(Environment.GetEnvironmentVariable, LoadedFolders()).Distinct(StringComparer.Ordinal).SelectMany(FilesIn));

    /// <summary>The folders that are looked through.</summary>
    /// <param name="variable">The environment.</param>
    /// <param name="loaded">The folders of the tensor library's own files.</param>
    internal static IEnumerable<string> Folders(Func<string, string?> variable, IEnumerable<string> loaded)
    {
        var toolkits = new[] { variable("CUDA_HOME"), variable("CUDA_PATH") }.OfType<string>().Where(path => path.Length > 0);
        foreach (var folder in toolkits.SelectMany(WithSubfolders))
        {
            yield return folder;
        }
        var engines = variable("LIBTORCH_HOME") is { Length: > 0 } home ? loaded.Append(Path.Combine(home, "lib")) : loaded;
        foreach (var folder in engines)
        {
            yield return folder;
            // …/site-packages/torch/lib: packages are two folders up.
            if (Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(folder))) is { } packages)
            {
                foreach (var package in SubfoldersOfPackages)
                {
                    yield return Path.Combine(packages, package, "lib");
                    yield return Path.Combine(packages, package, "bin");
                    yield return Path.Combine(packages, package, "bin", "x86_64");
                }
            }
        }
        if (OperatingSystem.IsWindows())
        {
            yield break;
        }
        string[] versions = Directory.Exists("/usr/local")
            ? [.. Directory.GetDirectories("/usr/local", "cuda-*").OrderDescending(StringComparer.Ordinal)]
            : [];
        foreach (var folder in versions.Prepend("/usr/local/cuda").Append("/opt/cuda").SelectMany(WithSubfolders))
        {
            yield return folder;
        }
        yield return "/usr/lib/x86_64-linux-gnu";
        yield return "/usr/lib/aarch64-linux-gnu";
        yield return "/usr/lib64";
        yield return "/usr/lib";
    }

    /// <summary>A folder's files that are the library: the tensor library's packages add a hash to its name.</summary>
    internal static IEnumerable<string> FilesIn(string folder) => Matches(folder, builtins: false);

    /// <summary>The second library, which the first one looks for and may not find by itself.</summary>
    internal static IEnumerable<string> BuiltinsIn(string folder) => Matches(folder, builtins: true);

    private static IEnumerable<string> Matches(string folder, bool builtins)
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }
        try
        {
            var files = OperatingSystem.IsWindows()
                ? Directory.GetFiles(folder, "nvrtc*.dll")
                : Directory.GetFiles(folder, "libnvrtc*.so*");
            return files
                .Where(file => Path.GetFileName(file).Contains("builtins", StringComparison.Ordinal) == builtins)
                // ".alt" is a second build of the same, for processes of many threads.
                .Where(file => !Path.GetFileName(file).Contains(".alt.", StringComparison.Ordinal))
                .OrderDescending(StringComparer.Ordinal);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static IEnumerable<string> WithSubfolders(string toolkit) =>
        SubfoldersOfToolkits.Select(folder => Path.Combine(toolkit, folder));

    // Where the tensor library's native half lies, and this library: what was loaded says it, whatever variables say.
    private static List<string> LoadedFolders()
    {
        var files = new List<string> { typeof(Tensor).Assembly.Location };
        try
        {
            using var process = Process.GetCurrentProcess();
            foreach (ProcessModule module in process.Modules)
            {
                // libtorch_cpu, libtorch_cuda.
                if (Path.GetFileName(module.FileName).Contains("torch_c", StringComparison.Ordinal))
                {
                    files.Add(module.FileName);
                }
            }
        }
        catch (Exception error) when (error is InvalidOperationException or NotSupportedException or IOException)
        {
            // The other places remain.
        }
        return [.. files.Select(Path.GetDirectoryName).OfType<string>().Where(folder => folder.Length > 0)];
    }
}
