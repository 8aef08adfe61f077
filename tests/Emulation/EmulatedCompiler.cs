using System.Diagnostics;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using LocalAttention.Core.Kernels.Cuda;

namespace LocalAttention.Cuda.Emulation;

/// <summary>
/// Makes executables of kernels with g++ and its sanitizers. Each is kept under the build's artifacts by a hash of all that
/// it is made of; it is written under another name first, so that two processes can make the same one.
/// </summary>
/// <param name="sources">More sources by their names, or others than the embedded ones.</param>
internal sealed partial class EmulatedCompiler(IReadOnlyDictionary<string, string> sources)
{
    private const string RunnerOptions = "-std=c++17 -O2 -g -Wall -Wextra -Werror -DEMULATED";

    // Optimized a little only: a kernel is compiled for many constants, and runs on few numbers.
    private const string KernelOptions =
        "-std=c++17 -Og -g1 -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-unused-parameter -Wno-maybe-uninitialized "
        + "-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DEMULATED";

    private static readonly string Folder = typeof(EmulatedCompiler).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(each => each.Key == "BuiltKernels").Value!;

    private static readonly Lazy<string> Compiler = new(() => Run(Path.GetTempPath(), "-v").Text);
    private static readonly Lock RunnerLock = new();

    /// <summary>The executable of a kernel's file, compiled where it is new.</summary>
    /// <param name="file">The file's name.</param>
    /// <param name="constants">The macros, as <see cref="CudaKernel.Constants"/>.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="CudaException">It does not compile, or there is no g++.</exception>
    public string Executable(string file, string constants)
    {
        var macros = constants.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(each => "-D" + each).ToArray();
        var texts = Sources();
        var kernels = texts.TryGetValue(file, out var text)
            ? Kernel().Matches(text).Select(each => each.Groups[1].Value).Distinct().ToArray()
            : throw new CudaException($"there is no source {file}");
        texts["Unit.cpp"] = $$"""
            #include "Emulation.h"
            #include "{{file}}"
            const emulated::Entry emulated::entries[] = {
            {{string.Join(",\n", kernels.Select(each => $"EMULATED_ENTRY({each})"))}}};
            const int emulated::entry_count = {{kernels.Length}};
            """;
        // Of the kernels' sources those that this one can include.
        foreach (var name in texts.Keys.Where(each => each.EndsWith(".cu", StringComparison.Ordinal) && each != file).ToArray())
        {
            texts.Remove(name);
        }
        var stem = Path.GetFileNameWithoutExtension(file);
        return Made(
            $"{stem}-{Hash(texts, [KernelOptions, .. macros])}",
            texts,
            target => [.. KernelOptions.Split(' '), .. macros, "Unit.cpp", Runner(), "-o", target],
            $"{file} ({constants})");
    }

    private static string Runner()
    {
        var texts = Embedded(typeof(EmulatedCompiler).Assembly, ".h", ".cpp");
        lock (RunnerLock)
        {
            return Made(
                $"Runner-{Hash(texts, [RunnerOptions])}.o",
                texts,
                target => [.. RunnerOptions.Split(' '), "-c", "Runner.cpp", "-o", target],
                "the emulation");
        }
    }

    // What is made in a folder of its own, from sources that are put there, and then moved to its name.
    private static string Made(
        string name, Dictionary<string, string> texts, Func<string, string[]> arguments, string what)
    {
        var path = Path.Combine(Folder, name);
        if (File.Exists(path))
        {
            return path;
        }
        var workshop = Directory.CreateDirectory(Path.Combine(Folder, $"making-{Guid.NewGuid():N}")).FullName;
        try
        {
            foreach (var (file, text) in texts)
            {
                File.WriteAllText(Path.Combine(workshop, file), text);
            }
            var (status, output) = Run(workshop, [$"-ffile-prefix-map={workshop}/=", .. arguments("made")]);
            if (status != 0)
            {
                throw new CudaException($"{what} does not compile:\n{Beginning(output)}");
            }
            File.Move(Path.Combine(workshop, "made"), path, overwrite: true);
            return path;
        }
        finally
        {
            Directory.Delete(workshop, recursive: true);
        }
    }

    private static (int Status, string Text) Run(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("g++", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["LC_ALL"] = "C";
        try
        {
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var text = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, text);
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new CudaException("kernels are emulated with g++, which is not on PATH", error);
        }
    }

    private static string Beginning(string text)
    {
        var lines = text.Split('\n');
        return string.Join('\n', lines.Length > 40 ? [.. lines[..40], $"and {lines.Length - 40} more lines"] : lines).TrimEnd();
    }

    private static string Hash(Dictionary<string, string> texts, string[] options)
    {
        var all = new StringBuilder(Compiler.Value).AppendJoin('\n', options);
        foreach (var (name, text) in texts.OrderBy(each => each.Key, StringComparer.Ordinal))
        {
            all.Append('\0').Append(name).Append('\0').Append(text);
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(all.ToString())))[..32];
    }

    private static Dictionary<string, string> Embedded(Assembly assembly, params string[] endings)
    {
        var texts = new Dictionary<string, string>();
        foreach (var name in assembly.GetManifestResourceNames())
        {
            if (endings.Any(each => name.EndsWith(each, StringComparison.Ordinal)))
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
                texts[name] = reader.ReadToEnd();
            }
        }
        return texts;
    }

    // The names after KERNEL, and after the bounds of a launch where there are any.
    [GeneratedRegex(@"^KERNEL\s+(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(", RegexOptions.Multiline)]
    private static partial Regex Kernel();

    private Dictionary<string, string> Sources()
    {
        var texts = Embedded(typeof(EmulatedCompiler).Assembly, ".h");
        foreach (var (name, text) in Embedded(typeof(CudaKernel).Assembly, ".cu", ".cuh").Concat(sources))
        {
            texts[name] = text;
        }
        return texts;
    }
}
