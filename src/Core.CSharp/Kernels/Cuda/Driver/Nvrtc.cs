using System.Runtime.InteropServices;
using System.Text;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// CUDA's run-time compiler, loaded at run time: kernels' sources to machine code of a device, or to PTX where the device is
/// newer than the compiler. Safe for any number of threads.
/// </summary>
internal sealed unsafe class Nvrtc
{
    /// <summary>The variable that names the library's file, in place of a search for it.</summary>
    public const string Variable = "LOCALATTENTION_NVRTC";

    private const string NotLoaded = "which cannot be loaded";

    // C++17, and functions of a header that say nothing are the device's. Part of what a compiled kernel is known by.
    private static readonly string[] Language = ["--std=c++17", "--device-as-default-execution-space"];

    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _create;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compile;
    private readonly delegate* unmanaged<nint*, int> _destroy;
    private readonly delegate* unmanaged<nint, nuint*, int> _logSize;
    private readonly delegate* unmanaged<nint, byte*, int> _log;
    private readonly delegate* unmanaged<nint, nuint*, int> _codeSize;
    private readonly delegate* unmanaged<nint, byte*, int> _code;
    private readonly delegate* unmanaged<nint, nuint*, int> _ptxSize;
    private readonly delegate* unmanaged<nint, byte*, int> _ptx;
    private readonly delegate* unmanaged<int, byte*> _errorText;

    private Nvrtc(nint library, string place)
    {
        Place = place;
        _create = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)NativeLibrary.GetExport(
            library, "nvrtcCreateProgram");
        _compile = (delegate* unmanaged<nint, int, byte**, int>)NativeLibrary.GetExport(library, "nvrtcCompileProgram");
        _destroy = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(library, "nvrtcDestroyProgram");
        _logSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetProgramLogSize");
        _log = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetProgramLog");
        _codeSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetCUBINSize");
        _code = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetCUBIN");
        _ptxSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetPTXSize");
        _ptx = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetPTX");
        _errorText = (delegate* unmanaged<int, byte*>)NativeLibrary.GetExport(library, "nvrtcGetErrorString");

        int major, minor, count;
        var version = (delegate* unmanaged<int*, int*, int>)NativeLibrary.GetExport(library, "nvrtcVersion");
        Check(version(&major, &minor), "nvrtcVersion", place);
        Version = new Version(major, minor);
        var architectures = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "nvrtcGetNumSupportedArchs");
        Check(architectures(&count), "nvrtcGetNumSupportedArchs", place);
        Architectures = new int[count];
        var listed = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "nvrtcGetSupportedArchs");
        fixed (int* all = Architectures)
        {
            Check(listed(all), "nvrtcGetSupportedArchs", place);
        }
    }

    /// <summary>The compiler's version.</summary>
    public Version Version { get; }

    /// <summary>The library's file, or its name where the system's loader found it.</summary>
    public string Place { get; }

    /// <summary>The compute capabilities that it knows, ten times the major and the minor number.</summary>
    public int[] Architectures { get; }

    /// <summary>Finds and loads the compiler.</summary>
    /// <param name="named">The library's file; none: it is searched for (<see cref="NvrtcPlaces"/>).</param>
    /// <param name="driver">The newest CUDA that the driver knows: a later major version is the last resort.</param>
    /// <param name="obstacle">Why there is none.</param>
    public static Nvrtc? Load(string? named, Version driver, out string? obstacle)
    {
        obstacle = null;
        if (!string.IsNullOrEmpty(named))
        {
            return TryLoad(named, out var mistake)
                ?? None($"NVRTC, which compiles the kernels, cannot be used: {Variable} is '{named}', {mistake}", out obstacle);
        }
        Nvrtc? newer = null;
        string? unusable = null;
        foreach (var place in NvrtcPlaces.All())
        {
            if (TryLoad(place, out var mistake) is { } found)
            {
                if (found.Version.Major <= driver.Major)
                {
                    return found;
                }
                newer ??= found;
            }
            else if (mistake != NotLoaded)
            {
                unusable ??= $"; {place}, {mistake}";
            }
        }
        return newer ?? None(
            $"NVRTC, which compiles the kernels, was not found ({NvrtcPlaces.Usual}{unusable}): "
            + $"install that of CUDA {driver.Major}, or name its file by {Variable}", out obstacle);
    }

    /// <summary>What a device's kernels are compiled to.</summary>
    /// <param name="architecture">The device's compute capability, ten times the major and the minor number.</param>
    /// <returns><c>sm_90</c>, machine code; or <c>compute_90</c>, PTX of the newest that the compiler knows below it.</returns>
    /// <exception cref="CudaException">The compiler only knows newer ones.</exception>
    public string TargetFor(int architecture)
    {
        if (Architectures.Contains(architecture))
        {
            return $"sm_{architecture}";
        }
        var older = Architectures.Where(known => known < architecture).DefaultIfEmpty(0).Max();
        return older > 0
            ? $"compute_{older}"
            : throw new CudaException(
                $"NVRTC {Version} ({Place}) no longer compiles for compute capability {architecture / 10.0:0.0}; "
                + $"name an older NVRTC by {Variable}");
    }

    /// <summary>The options of a compilation: all that the code follows from beside the sources and the version.</summary>
    /// <param name="constants">Macros: names and values, a space between two.</param>
    /// <param name="target">What <see cref="TargetFor"/> says.</param>
    public static IReadOnlyList<string> OptionsOf(string constants, string target) =>
    [
        $"--gpu-architecture={target}",
        .. Language,
        .. constants.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(constant => $"-D{constant}"),
    ];

    /// <summary>Compiles a kernel file.</summary>
    /// <param name="sources">The sources.</param>
    /// <param name="file">The file.</param>
    /// <param name="options">What <see cref="OptionsOf"/> gives.</param>
    /// <returns>Machine code, or PTX with a zero at its end.</returns>
    /// <exception cref="CudaException">It does not compile; the message has the compiler's log.</exception>
    public byte[] Compile(KernelSources sources, string file, IReadOnlyList<string> options)
    {
        var subject = $"{file} ({string.Join(' ', options)}) by NVRTC {Version}";
        using var text = new NativeTexts([sources.TextOf(file), file]);
        using var names = new NativeTexts(sources.Headers.Select(header => header.Key));
        using var headers = new NativeTexts(sources.Headers.Select(header => header.Value));
        using var arguments = new NativeTexts(options);
        nint program;
        var status = _create(&program, text.All[0], text.All[1], sources.Headers.Count, headers.All, names.All);
        Check(status, "nvrtcCreateProgram", subject);
        try
        {
            status = _compile(program, options.Count, arguments.All);
            if (status != 0)
            {
                var log = Encoding.UTF8.GetString(Bytes(program, _logSize, _log, "nvrtcGetProgramLog", subject));
                throw new CudaException(
                    $"{file} does not compile: {TextOf(status)} for {subject} ({Place})\n{log.TrimEnd('\0', '\n')}");
            }
            return options.Any(option => option.StartsWith("--gpu-architecture=sm_", StringComparison.Ordinal))
                ? Bytes(program, _codeSize, _code, "nvrtcGetCUBIN", subject)
                : Bytes(program, _ptxSize, _ptx, "nvrtcGetPTX", subject);
        }
        finally
        {
            _ = _destroy(&program);
        }
    }

    private static Nvrtc? TryLoad(string place, out string? mistake)
    {
        mistake = NotLoaded;
        // The library looks for its second half by name alone, which finds what is loaded already.
        if (Path.GetDirectoryName(place) is { Length: > 0 } folder)
        {
            foreach (var builtins in NvrtcPlaces.BuiltinsIn(folder))
            {
                NativeLibrary.TryLoad(builtins, out _);
            }
        }
        if (!NativeLibrary.TryLoad(place, out var library))
        {
            return null;
        }
        try
        {
            mistake = null;
            return new Nvrtc(library, place);
        }
        catch (EntryPointNotFoundException error)
        {
            mistake = $"which is too old; NVRTC 11.2 or later is needed ({error.Message})";
        }
        catch (CudaException error)
        {
            mistake = $"which does not start: {error.Message}";
        }
        return null;
    }

    private static Nvrtc? None(string reason, out string? obstacle)
    {
        obstacle = reason;
        return null;
    }

    private byte[] Bytes(
        nint program, delegate* unmanaged<nint, nuint*, int> size, delegate* unmanaged<nint, byte*, int> content, string call,
        string subject)
    {
        nuint length;
        Check(size(program, &length), call + "Size", subject);
        var bytes = new byte[length];
        // Not of an empty array, of which `fixed` makes a null pointer.
        fixed (byte* first = length == 0 ? new byte[1] : bytes)
        {
            Check(content(program, first), call, subject);
        }
        return bytes;
    }

    private string TextOf(int status) => Marshal.PtrToStringUTF8((nint)_errorText(status)) ?? "an error without a name";

    private void Check(int status, string call, string subject)
    {
        if (status != 0)
        {
            throw new CudaException($"{call} failed for {subject}: {TextOf(status)} ({status})");
        }
    }
}
