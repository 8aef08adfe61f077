using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

[assembly: DisableRuntimeMarshalling]

namespace TorchSharp;

/// <summary>The functions of libTorchNative (<c>torch_native.h</c>), and how that library is found and started.</summary>
internal static unsafe partial class TorchNative
{
    private const string Library = "TorchNative";

    /// <summary>The file to load instead of the one beside this assembly.</summary>
    internal const string LocationVariable = "LOCALATTENTION_TORCH_NATIVE";

    static TorchNative()
    {
        NativeLibrary.SetDllImportResolver(typeof(TorchNative).Assembly, Resolve);
        PrepareEnvironment();
        LiveBytes = tn_live_bytes();
        if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null or "")
            tn_set_threads(Environment.ProcessorCount);
    }

    /// <summary>The bytes that tensors on the CPU hold now; libtorch's allocator keeps it up to date.</summary>
    internal static readonly long* LiveBytes;

    /// <summary>Throws the error that the last failing call of this thread left.</summary>
    [DoesNotReturn]
    internal static void ThrowLastError() => throw new ExternalException(LastError());

    internal static string LastError() => Marshal.PtrToStringUTF8((nint)tn_error()) ?? "";

    /// <summary>Throws if a call that returns whether it succeeded did not.</summary>
    internal static void Check(byte succeeded)
    {
        if (succeeded == 0)
            ThrowLastError();
    }

    /// <summary>A new tensor from a handle that is 0 when the call failed.</summary>
    internal static torch.Tensor Own(nint handle)
    {
        if (handle == 0)
            ThrowLastError();
        return new torch.Tensor(handle);
    }

    /// <summary>
    /// Settings that libraries read once, when they are loaded, from the C environment, of which .NET's is a copy. What the
    /// user has set stays.
    /// </summary>
    /// <remarks>
    /// OpenBLAS picks its Haswell kernels on newer processors that it does not know; where AVX-512 is there, its SkylakeX
    /// kernels are twice as fast. OpenMP's threads and those of OpenBLAS wait for work by spinning, each on a core that the
    /// other needs: shortened waits took a small model's training on two cores from 320 to 1080 images a second.
    /// </remarks>
    private static void PrepareEnvironment()
    {
        if (!OperatingSystem.IsLinux())
            return;
        if (Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported)
            SetEnvironment("OPENBLAS_CORETYPE", "SKYLAKEX", overwrite: 0);
        // The smallest that OpenBLAS takes: 2⁴ cycles.
        SetEnvironment("OPENBLAS_THREAD_TIMEOUT", "4", overwrite: 0);
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null)
            SetEnvironment("GOMP_SPINCOUNT", "2000", overwrite: 0);
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library)
            return 0;
        var file = Environment.GetEnvironmentVariable(LocationVariable);
        if (string.IsNullOrEmpty(file))
        {
            var extension = OperatingSystem.IsWindows() ? "TorchNative.dll"
                : OperatingSystem.IsMacOS() ? "libTorchNative.dylib" : "libTorchNative.so";
            var folder = Path.GetDirectoryName(assembly.Location) is { Length: > 0 } beside ? beside : AppContext.BaseDirectory;
            file = Path.Combine(folder, extension);
        }

        try
        {
            return NativeLibrary.Load(file);
        }
        catch (DllNotFoundException inner)
        {
            throw new DllNotFoundException(
                $"Torch.Native cannot be loaded from '{file}': {inner.Message} Building src/Torch.CSharp makes it where "
                + "libtorch is installed (Debian: apt install libtorch-dev cmake g++; elsewhere set LIBTORCH_HOME); "
                + $"the environment variable {LocationVariable} names a library built elsewhere.",
                inner);
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport(Library)] internal static partial byte* tn_error();
    [LibraryImport(Library)] internal static partial byte* tn_version();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint tn_operator(string name, string overload);

    [LibraryImport(Library)]
    internal static partial int tn_call(nint op, Aten.Value* arguments, int count, Aten.Value* results, int capacity);

    [LibraryImport(Library)] internal static partial void tn_list_free(nint* list);

    [LibraryImport(Library)] internal static partial void tn_tensor_free(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial nint tn_tensor_share(nint tensor);

    [LibraryImport(Library)]
    internal static partial nint tn_tensor_copy_of(void* data, long* sizes, int dimensions, int dtype);

    [LibraryImport(Library)]
    internal static partial nint tn_tensor_over(
        void* data, long* sizes, int dimensions, int dtype, delegate* unmanaged<nint, void> release, nint state);

    [LibraryImport(Library), SuppressGCTransition] internal static partial long tn_tensor_dimensions(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long tn_tensor_elements(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long tn_tensor_element_size(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int tn_tensor_dtype(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int tn_tensor_device_type(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int tn_tensor_device_index(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_sizes(nint tensor, long* sizes);
    [LibraryImport(Library)] internal static partial byte tn_tensor_strides(nint tensor, long* strides);
    [LibraryImport(Library)] internal static partial long tn_tensor_storage_offset(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_is_contiguous(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_is_sparse(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_is_pinned(nint tensor);
    [LibraryImport(Library)] internal static partial void* tn_tensor_data(nint tensor);
    [LibraryImport(Library)] internal static partial long tn_tensor_storage_bytes(nint tensor);
    [LibraryImport(Library)] internal static partial long tn_tensor_version(nint tensor);
    [LibraryImport(Library)] internal static partial nint tn_tensor_select(nint tensor, long* places, int count);
    [LibraryImport(Library)] internal static partial nint tn_tensor_index(nint tensor, IndexItem* items, int count);
    [LibraryImport(Library)] internal static partial byte tn_tensor_index_put(nint tensor, IndexItem* items, int count, nint value);

    [LibraryImport(Library)] internal static partial byte tn_tensor_requires_grad(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_set_requires_grad(nint tensor, byte value);
    [LibraryImport(Library)] internal static partial byte tn_tensor_is_leaf(nint tensor);
    [LibraryImport(Library)] internal static partial nint tn_tensor_grad(nint tensor);
    [LibraryImport(Library)] internal static partial byte tn_tensor_set_grad(nint tensor, nint grad);
    [LibraryImport(Library)] internal static partial byte tn_tensor_set_data(nint tensor, nint data);

    [LibraryImport(Library)] internal static partial byte tn_grad_enabled();
    [LibraryImport(Library)] internal static partial void tn_set_grad_enabled(byte value);
    [LibraryImport(Library)] internal static partial nint tn_inference_mode_enter(byte value);
    [LibraryImport(Library)] internal static partial void tn_inference_mode_leave(nint guard);
    [LibraryImport(Library)] internal static partial byte tn_inference_mode_enabled();
    [LibraryImport(Library)] internal static partial byte tn_anomaly_enabled();
    [LibraryImport(Library)] internal static partial byte tn_anomaly_checks_nan();
    [LibraryImport(Library)] internal static partial void tn_set_anomaly(byte enabled, byte checksNan);

    [LibraryImport(Library)]
    internal static partial byte tn_backward(
        nint* tensors, int count, nint* grads, int gradCount, byte retainGraph, byte createGraph, nint* inputs, int inputCount);

    [LibraryImport(Library)]
    internal static partial byte tn_grad(
        nint* outputs, int outputCount, nint* inputs, int inputCount, nint* grads, int gradCount,
        byte retainGraph, byte createGraph, byte allowUnused, nint* results);

    [LibraryImport(Library)] internal static partial byte tn_function_apply(FunctionCall* function, nint* results);
    [LibraryImport(Library)] internal static partial int tn_context_saved(nint context, nint* saved, int capacity);

    [LibraryImport(Library)] internal static partial nint tn_generator_new(int deviceType, int deviceIndex, ulong seed);
    [LibraryImport(Library)] internal static partial nint tn_generator_default(int deviceType, int deviceIndex);
    [LibraryImport(Library)] internal static partial void tn_generator_free(nint generator);
    [LibraryImport(Library)] internal static partial byte tn_generator_set_seed(nint generator, ulong seed);
    [LibraryImport(Library)] internal static partial byte tn_generator_seed(nint generator, ulong* seed);
    [LibraryImport(Library)] internal static partial nint tn_generator_get_state(nint generator);
    [LibraryImport(Library)] internal static partial byte tn_generator_set_state(nint generator, nint state);
    [LibraryImport(Library)] internal static partial byte tn_manual_seed(ulong seed);

    [LibraryImport(Library)] internal static partial int tn_threads();
    [LibraryImport(Library)] internal static partial byte tn_set_threads(int count);
    [LibraryImport(Library)] internal static partial int tn_interop_threads();
    [LibraryImport(Library)] internal static partial byte tn_set_interop_threads(int count);

    [LibraryImport(Library)]
    internal static partial byte tn_parallel_for(
        long begin, long end, long grain, delegate* unmanaged<long, long, nint, void> body, nint state);

    [LibraryImport(Library)] internal static partial byte tn_in_parallel_region();
    [LibraryImport(Library)] private static partial long* tn_live_bytes();
    [LibraryImport(Library)] internal static partial long tn_peak_bytes(byte reset);

    [LibraryImport(Library)] internal static partial byte tn_cuda_available();
    [LibraryImport(Library)] internal static partial byte tn_cudnn_available();
    [LibraryImport(Library)] internal static partial int tn_cuda_devices();
    [LibraryImport(Library)] internal static partial byte tn_cuda_synchronize(int device);
    [LibraryImport(Library)] internal static partial nint tn_cuda_current_stream(int device);
    [LibraryImport(Library)] internal static partial nint tn_cuda_graph_begin(int device);
    [LibraryImport(Library)] internal static partial byte tn_cuda_graph_end(nint graph);
    [LibraryImport(Library)] internal static partial byte tn_cuda_graph_replay(nint graph);
    [LibraryImport(Library)] internal static partial void tn_cuda_graph_free(nint graph);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int tn_get_setting(string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial byte tn_set_setting(string name, int value);

    /// <summary><c>tn_index_item</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IndexItem
    {
        internal IndexKind Kind;
        internal long Start;
        internal long Stop;
        internal long Step;
        internal nint Tensor;
    }

    /// <summary><c>tn_index_kind</c>.</summary>
    internal enum IndexKind
    {
        None,
        Ellipsis,
        Integer,
        Boolean,
        Slice,
        Tensor,
    }

    /// <summary><c>tn_function</c>.</summary>
    internal struct FunctionCall
    {
        internal nint* Inputs;
        internal nint* Outputs;
        internal nint* Saved;
        internal nint* Dirty;
        internal nint* NonDifferentiable;
        internal int InputCount;
        internal int OutputCount;
        internal int SavedCount;
        internal int DirtyCount;
        internal int NonDifferentiableCount;
        internal int MaterializeGrads;
        internal delegate* unmanaged<nint, nint, nint*, int, nint*, int, byte*> Backward;
        internal delegate* unmanaged<nint, void> Release;
        internal nint State;
    }
}
