using System.Runtime.InteropServices;

namespace LocalAttention.Core.Kernels;

/// <summary>
/// Working memory of the calling thread, kept between calls, so that kernels allocate nothing. What it holds is undefined.
/// </summary>
internal sealed unsafe class Scratch
{
    // A cache line, and the widest vector.
    private const nuint Alignment = 64;

    [ThreadStatic]
    private static Scratch? _ofThread;

    private byte* _start;
    private nuint _capacity;
    private nuint _used;

    ~Scratch() => NativeMemory.AlignedFree(_start);

    /// <summary>
    /// Memory for a kernel's piece of work: asks for all of it at once, then hands it out by <see cref="Take{T}"/>. Whatever
    /// this thread took before is given up.
    /// </summary>
    /// <param name="bytes">The sum of <see cref="Size{T}"/> of everything that will be taken.</param>
    public static Scratch Begin(nuint bytes)
    {
        var scratch = _ofThread ??= new Scratch();
        if (scratch._capacity < bytes)
        {
            NativeMemory.AlignedFree(scratch._start);
            scratch._start = null;
            scratch._capacity = 0;
            scratch._start = (byte*)NativeMemory.AlignedAlloc(bytes, Alignment);
            scratch._capacity = bytes;
        }
        scratch._used = 0;
        return scratch;
    }

    /// <summary>The bytes that <see cref="Take{T}"/> needs for <paramref name="count"/> elements.</summary>
    public static nuint Size<T>(long count)
        where T : unmanaged =>
        ((nuint)count * (nuint)sizeof(T) + Alignment - 1) / Alignment * Alignment;

    /// <summary>The next <paramref name="count"/> elements, aligned for every vector.</summary>
    /// <exception cref="InvalidOperationException">More was taken than <see cref="Begin"/> was asked for.</exception>
    public T* Take<T>(long count)
        where T : unmanaged
    {
        var taken = (T*)(_start + _used);
        _used += Size<T>(count);
        if (_used > _capacity)
        {
            throw new InvalidOperationException($"a kernel took {_used} bytes of scratch and had asked for {_capacity}");
        }
        return taken;
    }
}
