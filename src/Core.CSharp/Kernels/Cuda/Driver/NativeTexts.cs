using System.Runtime.InteropServices;

namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>Texts as C has them, UTF-8 up to a zero, until disposed of.</summary>
internal sealed unsafe class NativeTexts : IDisposable
{
    private readonly int _count;

    /// <summary>Copies texts.</summary>
    public NativeTexts(IEnumerable<string> texts)
    {
        var all = texts.ToArray();
        _count = all.Length;
        All = (byte**)NativeMemory.AllocZeroed((nuint)Math.Max(1, _count), (nuint)sizeof(byte*));
        for (var i = 0; i < _count; i++)
        {
            All[i] = (byte*)Marshal.StringToCoTaskMemUTF8(all[i]);
        }
    }

    /// <summary>Where each begins.</summary>
    public byte** All { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (var i = 0; i < _count; i++)
        {
            Marshal.FreeCoTaskMem((nint)All[i]);
        }
        NativeMemory.Free(All);
    }
}
