using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LocalAttention.Core.Kernels.Slide;

/// <summary>
/// Asks for the rows that will be read or written next while the present one is computed. A head's channels of neighbouring tokens stand
/// far apart in the projected map, so the processor does not foresee the reads by itself.
/// </summary>
internal static unsafe class SlidePrefetch
{
    private const int Line = 64;

    /// <summary>
    /// Tokens between which some are asked for: few at a time, for few reads can be under way at once. Deformed windows larger
    /// than 3×3 work for long on a row, and have their weights go by for each call: all at once there.
    /// </summary>
    public static int StretchOf(in SlideShape shape, bool areShifts) =>
        shape.Block == 9 || areShifts ? 8 : SlideShape.Segment;

    /// <summary>Asks for a stretch of a row.</summary>
    /// <param name="source">The first token's first element, or null where there is no such row.</param>
    /// <param name="stride">Elements from one token to the next.</param>
    /// <param name="length">Elements of a token.</param>
    /// <param name="begin">The first token.</param>
    /// <param name="end">The first token not asked for.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Tokens<TStored>(TStored* source, int stride, int length, int begin, int end)
        where TStored : unmanaged
    {
        if (source == null || !Sse.IsSupported)
        {
            return;
        }
        var bytes = (nint)length * sizeof(TStored);
        for (var token = begin; token < end; token++)
        {
            var start = (byte*)(source + ((long)token * stride));
            for (nint place = 0; place < bytes; place += Line)
            {
                Sse.Prefetch1(start + place);
            }
        }
    }
}
