using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace TorchSharp;

/// <summary>
/// Carries an exception thrown in a managed backward pass across libtorch's engine, which only knows texts, so that
/// the caller of <c>backward</c> gets the exception itself.
/// </summary>
internal static unsafe class BackwardErrors
{
    [ThreadStatic] private static ExceptionDispatchInfo? pending;
    [ThreadStatic] private static nint text;

    internal static void Clear() => pending = null;

    /// <summary>Keeps the exception and returns its text for the engine, valid until the next one on this thread.</summary>
    internal static byte* Keep(Exception exception)
    {
        pending = ExceptionDispatchInfo.Capture(exception);
        Marshal.FreeCoTaskMem(text);
        text = Marshal.StringToCoTaskMemUTF8(exception.Message);
        return (byte*)text;
    }

    /// <summary>After a backward pass: throws what failed it.</summary>
    internal static void Check(byte succeeded)
    {
        if (succeeded != 0)
            return;
        var kept = pending;
        pending = null;
        // With CUDA the engine calls back on threads of its own: then the text is all there is.
        kept?.Throw();
        TorchNative.ThrowLastError();
    }
}
