namespace LocalAttention.Core.Layers;

/// <summary>
/// Whom the tokens of one side of a map attend to in neighbourhood attention. Tokens of equal residue modulo the dilation form
/// sequences of their own; in each, a token's window is centred on it where it fits, and else shifted inwards, so that it
/// always holds all of its tokens (NAT, arXiv 2204.07143, section 3.1; DiNAT, arXiv 2209.15001, section 3.1).
/// </summary>
/// <param name="Length">Tokens of the side, at least <paramref name="Window"/>·<paramref name="Dilation"/>.</param>
/// <param name="Window">Tokens of a window, <c>k</c>, odd.</param>
/// <param name="Dilation">Step between the tokens of a window.</param>
internal readonly record struct NeighbourhoodAxis(int Length, int Window, int Dilation)
{
    /// <summary>For each token the tokens of its window, in order: <c>[n, k]</c>.</summary>
    public long[] Keys()
    {
        var keys = new long[(long)Length * Window];
        for (var token = 0; token < Length; token++)
        {
            for (var place = 0; place < Window; place++)
            {
                keys[(token * Window) + place] = ((long)(First(token) + place) * Dilation) + (token % Dilation);
            }
        }
        return keys;
    }

    /// <summary>For each token the offsets to the tokens of its window, in steps, plus <c>k − 1</c>: <c>[n, k]</c>.</summary>
    public long[] Offsets()
    {
        var offsets = new long[(long)Length * Window];
        for (var token = 0; token < Length; token++)
        {
            for (var place = 0; place < Window; place++)
            {
                offsets[(token * Window) + place] = First(token) + place - (token / Dilation) + Window - 1;
            }
        }
        return offsets;
    }

    /// <summary>Where a token's window begins in the sequence of its residue.</summary>
    private int First(int token)
    {
        var tokens = (Length - (token % Dilation) + Dilation - 1) / Dilation;
        return Math.Clamp((token / Dilation) - (Window / 2), 0, tokens - Window);
    }
}
