namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// Where windows begin and end along one side of a map. A cyclic shift by <paramref name="Shift"/> with a mask between
/// tokens that only the shift brings together, and padding that is masked, cut the side into plain segments: the first
/// <paramref name="Shift"/> tokens, then whole windows, then what is left.
/// </summary>
/// <param name="Length">Tokens of the side.</param>
/// <param name="Window">Tokens of a window; at least <paramref name="Length"/>: one segment.</param>
/// <param name="Shift">Tokens by which windows are moved, below <paramref name="Window"/>.</param>
internal readonly record struct WindowAxis(int Length, int Window, int Shift)
{
    /// <summary>The end of the first segment where a shift makes it a shorter one, else 0.</summary>
    public int First => Window >= Length ? 0 : Shift;

    /// <summary>How many segments there are.</summary>
    public int Count => Length == 0 ? 0 : (First > 0 ? 1 : 0) + (Length - First + Window - 1) / Window;

    /// <summary>Tokens of the longest segment.</summary>
    public int Longest => Math.Min(Window, Length);

    /// <summary>The first token of a segment.</summary>
    public int Start(int segment) => First == 0 ? segment * Window : segment == 0 ? 0 : First + (segment - 1) * Window;

    /// <summary>The token behind a segment.</summary>
    public int End(int segment) => Math.Min(Length, First == 0 ? (segment + 1) * Window : First + segment * Window);
}
