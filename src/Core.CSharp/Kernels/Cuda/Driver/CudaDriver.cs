using System.Runtime.InteropServices;
using System.Text;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// The driver's library, loaded at run time: the functions of the CUDA driver API that kernels need, each of which throws
/// what the driver says against it. Safe for any number of threads.
/// </summary>
internal sealed unsafe class CudaDriver
{
    /// <summary>The variable that names the library's file, in place of the driver's own.</summary>
    public const string Variable = "LOCALATTENTION_CUDA_DRIVER";

    // How many bytes of the linker's own messages are asked for.
    private const int LogBytes = 8192;

    private readonly delegate* unmanaged<int, byte**, int> _errorName;
    private readonly delegate* unmanaged<int, byte**, int> _errorText;
    private readonly delegate* unmanaged<int*, int, int> _device;
    private readonly delegate* unmanaged<byte*, int, int, int> _deviceName;
    private readonly delegate* unmanaged<int*, int, int, int> _attribute;
    private readonly delegate* unmanaged<nint*, int, int> _retain;
    private readonly delegate* unmanaged<nint*, int> _current;
    private readonly delegate* unmanaged<nint, int> _makeCurrent;
    private readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> _load;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> _function;
    private readonly delegate* unmanaged<nint, int, int, int> _setAttribute;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;
    private readonly delegate* unmanaged<nint*, uint, int> _event;
    private readonly delegate* unmanaged<nint, nint, int> _record;
    private readonly delegate* unmanaged<nint, int> _await;
    private readonly delegate* unmanaged<float*, nint, nint, int> _elapsed;
    private readonly delegate* unmanaged<nint, int*, int> _isCapturing;

    private CudaDriver(nint library)
    {
        _errorName = (delegate* unmanaged<int, byte**, int>)NativeLibrary.GetExport(library, "cuGetErrorName");
        _errorText = (delegate* unmanaged<int, byte**, int>)NativeLibrary.GetExport(library, "cuGetErrorString");
        _device = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(library, "cuDeviceGet");
        _deviceName = (delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetName");
        _attribute = (delegate* unmanaged<int*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetAttribute");
        _retain = (delegate* unmanaged<nint*, int, int>)NativeLibrary.GetExport(library, "cuDevicePrimaryCtxRetain");
        _current = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(library, "cuCtxGetCurrent");
        _makeCurrent = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "cuCtxSetCurrent");
        _load = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)NativeLibrary.GetExport(
            library, "cuModuleLoadDataEx");
        _function = (delegate* unmanaged<nint*, nint, byte*, int>)NativeLibrary.GetExport(library, "cuModuleGetFunction");
        _setAttribute = (delegate* unmanaged<nint, int, int, int>)NativeLibrary.GetExport(library, "cuFuncSetAttribute");
        _launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            NativeLibrary.GetExport(library, "cuLaunchKernel");
        _event = (delegate* unmanaged<nint*, uint, int>)NativeLibrary.GetExport(library, "cuEventCreate");
        _record = (delegate* unmanaged<nint, nint, int>)NativeLibrary.GetExport(library, "cuEventRecord");
        _await = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "cuEventSynchronize");
        _elapsed = (delegate* unmanaged<float*, nint, nint, int>)NativeLibrary.GetExport(library, "cuEventElapsedTime");
        _isCapturing = (delegate* unmanaged<nint, int*, int>)NativeLibrary.GetExport(library, "cuStreamIsCapturing");

        var init = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuInit");
        Check(init(0), "cuInit", "the driver");
        int version;
        var driverVersion = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDriverGetVersion");
        Check(driverVersion(&version), "cuDriverGetVersion", "the driver");
        Version = new Version(version / 1000, version % 1000 / 10);
        int devices;
        var count = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDeviceGetCount");
        Check(count(&devices), "cuDeviceGetCount", "the driver");
        Devices = devices;
    }

    /// <summary>How many devices are visible.</summary>
    public int Devices { get; }

    /// <summary>The newest CUDA that the driver knows.</summary>
    public Version Version { get; }

    /// <summary>Loads and starts the driver.</summary>
    /// <param name="named">The library's file; none: where the driver puts it.</param>
    /// <param name="obstacle">Why there is none.</param>
    /// <returns>The driver, or none: it is not installed, does not start, or has no device.</returns>
    public static CudaDriver? Load(string? named, out string? obstacle)
    {
        obstacle = null;
        var usual = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        string[] places = string.IsNullOrEmpty(named) ? [usual, "/usr/lib/wsl/lib/libcuda.so.1"] : [named];
        foreach (var place in places)
        {
            if (!NativeLibrary.TryLoad(place, out var library))
            {
                continue;
            }
            try
            {
                var driver = new CudaDriver(library);
                obstacle = driver.Devices == 0 ? $"no CUDA device: {CudaStatus.RemedyFor(CudaStatus.NoDevice)}" : null;
                return obstacle is null ? driver : null;
            }
            catch (EntryPointNotFoundException error)
            {
                obstacle = $"the CUDA driver {place} is too old; CUDA 11.2 is needed ({error.Message})";
                return null;
            }
            catch (CudaException error)
            {
                obstacle = error.Message;
                return null;
            }
        }
        obstacle = string.IsNullOrEmpty(named)
            ? $"there is no CUDA driver ({usual})"
            : $"there is no CUDA driver: {Variable} is '{named}', which cannot be loaded";
        return null;
    }

    /// <summary>The driver's handle of a device.</summary>
    public int DeviceOf(int index)
    {
        int device;
        Check(_device(&device, index), "cuDeviceGet", $"device {index}");
        return device;
    }

    /// <summary>A device's name.</summary>
    public string NameOf(int device)
    {
        var name = stackalloc byte[256];
        Check(_deviceName(name, 256, device), "cuDeviceGetName", $"device {device}");
        return Marshal.PtrToStringUTF8((nint)name)!;
    }

    /// <summary>An attribute of a device.</summary>
    public int AttributeOf(int device, DeviceAttribute attribute)
    {
        int value;
        Check(_attribute(&value, (int)attribute, device), "cuDeviceGetAttribute", $"{attribute} of device {device}");
        return value;
    }

    /// <summary>The context that the tensor library uses too: a device's primary one, for the life of the process.</summary>
    public nint RetainContext(int device, string subject)
    {
        nint context;
        Check(_retain(&context, device), "cuDevicePrimaryCtxRetain", subject);
        return context;
    }

    /// <summary>The calling thread's context; 0: none.</summary>
    public nint CurrentContext(string subject)
    {
        nint context;
        Check(_current(&context), "cuCtxGetCurrent", subject);
        return context;
    }

    /// <summary>Gives the calling thread a context.</summary>
    public void MakeCurrent(nint context, string subject) => Check(_makeCurrent(context), "cuCtxSetCurrent", subject);

    /// <summary>Loads machine code, or PTX, which the driver then compiles.</summary>
    /// <param name="image">The code; PTX ends with a zero.</param>
    /// <param name="subject">What it is, for messages.</param>
    /// <exception cref="CudaException">The driver refuses it; the message has its log.</exception>
    public nint LoadModule(ReadOnlySpan<byte> image, string subject)
    {
        // CU_JIT_ERROR_LOG_BUFFER and its size in bytes, which comes by value.
        const int errorLog = 5, errorLogBytes = 6;
        var log = new byte[LogBytes];
        nint module;
        fixed (byte* code = image, text = log)
        {
            var options = stackalloc int[] { errorLog, errorLogBytes };
            var values = stackalloc void*[] { text, (void*)LogBytes };
            var status = _load(&module, code, 2, options, values);
            if (status != CudaStatus.Success)
            {
                var length = log.AsSpan().IndexOf((byte)0);
                var said = Encoding.UTF8.GetString(log, 0, length < 0 ? LogBytes : length);
                throw Error("cuModuleLoadDataEx", status, subject, said);
            }
        }
        return module;
    }

    /// <summary>A kernel of loaded code.</summary>
    public nint FunctionOf(nint module, string name, string subject)
    {
        nint function;
        fixed (byte* text = Encoding.UTF8.GetBytes(name + '\0'))
        {
            Check(_function(&function, module, text), "cuModuleGetFunction", subject);
        }
        return function;
    }

    /// <summary>Lets a kernel's blocks have so much shared memory; needed above 48 KiB.</summary>
    public void AllowSharedMemory(nint function, int bytes, string subject)
    {
        // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        const int dynamicSharedMemory = 8;
        var status = _setAttribute(function, dynamicSharedMemory, bytes);
        if (status != CudaStatus.Success)
        {
            throw Error("cuFuncSetAttribute", status, $"{subject} with {bytes} bytes of shared memory");
        }
    }

    /// <summary>Puts a kernel on a stream.</summary>
    /// <returns>The driver's status.</returns>
    public int Launch(nint function, in CudaGrid grid, nint stream, void** parameters) => _launch(
        function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)grid.Threads, 1, 1, (uint)grid.SharedBytes, stream, parameters,
        null);

    /// <summary>An event that notes the time.</summary>
    public nint CreateEvent(string subject)
    {
        nint made;
        Check(_event(&made, 0), "cuEventCreate", subject);
        return made;
    }

    /// <summary>Notes the time at which a stream gets here.</summary>
    public void Record(nint noted, nint stream, string subject) => Check(_record(noted, stream), "cuEventRecord", subject);

    /// <summary>Milliseconds between two events, once the second has come.</summary>
    public float Elapsed(nint first, nint second, string subject)
    {
        float milliseconds;
        Check(_await(second), "cuEventSynchronize", subject);
        Check(_elapsed(&milliseconds, first, second), "cuEventElapsedTime", subject);
        return milliseconds;
    }

    /// <summary>Whether a stream's work goes into a graph now, or another's in its way.</summary>
    public bool IsCapturing(nint stream)
    {
        int capturing;
        return _isCapturing(stream, &capturing) != CudaStatus.Success || capturing != 0;
    }

    /// <summary>The error of a call that failed.</summary>
    /// <param name="call">The driver's function.</param>
    /// <param name="status">What it returned.</param>
    /// <param name="subject">The device and, where there is one, the kernel.</param>
    /// <param name="log">What the driver says beside the status.</param>
    public CudaException Error(string call, int status, string subject, string log = "")
    {
        byte* name, text;
        var named = _errorName(status, &name) == CudaStatus.Success && name != null
            ? Marshal.PtrToStringUTF8((nint)name)
            : "an error that the driver does not name";
        var described = _errorText(status, &text) == CudaStatus.Success && text != null
            ? $", {Marshal.PtrToStringUTF8((nint)text)}"
            : "";
        var remedy = CudaStatus.RemedyFor(status) is { } known ? $"; {known}" : "";
        var more = log.Length > 0 ? $"\n{log.TrimEnd()}" : "";
        return new CudaException($"{call} failed for {subject}: {named} ({status}{described}){remedy}{more}")
        {
            IsRefusal = CudaStatus.IsRefusal(status),
        };
    }

    private void Check(int status, string call, string subject)
    {
        if (status != CudaStatus.Success)
        {
            throw Error(call, status, subject);
        }
    }
}
