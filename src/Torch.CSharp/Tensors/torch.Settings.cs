using System.Runtime.InteropServices;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>The version of the libtorch that this build is for.</summary>
    public static unsafe string __version__ => Marshal.PtrToStringUTF8((nint)TorchNative.tn_version()) ?? "";

    public static int get_num_threads() => TorchNative.tn_threads();

    public static void set_num_threads(int num) => TorchNative.Check(TorchNative.tn_set_threads(num));

    public static int get_num_interop_threads() => TorchNative.tn_interop_threads();

    public static void set_num_interop_threads(int num) => TorchNative.Check(TorchNative.tn_set_interop_threads(num));

    public static bool are_deterministic_algorithms_enabled() => TorchNative.tn_get_setting("deterministic") == 1;

    public static bool is_deterministic_algorithms_warn_only_enabled() =>
        TorchNative.tn_get_setting("deterministic_warn_only") == 1;

    public static bool is_warn_always_enabled() => TorchNative.tn_get_setting("warn_always") == 1;

    public static IDisposable use_deterministic_algorithms(bool mode = true, bool warn_only = false) =>
        new SettingsScope(("deterministic", mode), ("deterministic_warn_only", warn_only));

    public static IDisposable set_warn_always(bool mode = true) => new SettingsScope(("warn_always", mode));

    public static void _assert(bool condition, string message)
    {
        if (!condition)
            throw new InvalidOperationException(message);
    }

    public static void _assert(Func<bool> condition, string message) => _assert(condition(), message);

    /// <summary>There so that code written for TorchSharp compiles: here every call checks its own errors.</summary>
    public static void CheckForErrors()
    {
    }

    /// <summary>Settings of libtorch that are put back when disposed.</summary>
    private sealed class SettingsScope : IDisposable
    {
        private readonly (string Name, int Value)[] before;

        internal SettingsScope(params (string Name, bool Value)[] settings)
        {
            before = Array.ConvertAll(settings, setting => (setting.Name, TorchNative.tn_get_setting(setting.Name)));
            foreach (var (name, value) in settings)
                TorchNative.Check(TorchNative.tn_set_setting(name, value ? 1 : 0));
        }

        public void Dispose()
        {
            foreach (var (name, value) in before)
                TorchNative.Check(TorchNative.tn_set_setting(name, value));
        }
    }

    /// <summary>Libraries behind libtorch.</summary>
    public static partial class backends
    {
        public static partial class cuda
        {
            public static partial class matmul
            {
                public static bool allow_tf32
                {
                    get => TorchNative.tn_get_setting("allow_tf32_cublas") == 1;
                    set => TorchNative.Check(TorchNative.tn_set_setting("allow_tf32_cublas", value ? 1 : 0));
                }
            }
        }

        public static partial class cudnn
        {
            public static bool allow_tf32
            {
                get => TorchNative.tn_get_setting("allow_tf32_cudnn") == 1;
                set => TorchNative.Check(TorchNative.tn_set_setting("allow_tf32_cudnn", value ? 1 : 0));
            }
        }
    }
}
