namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// The sizes of one neighbourhood attention over a projected map <c>[B, H, W, 3C]</c>, and how its kernels divide it.
/// </summary>
/// <remarks>
/// <para>
/// Tokens of a row that are equal modulo the dilation are a <i>sequence</i> of their own, and so are those of another head:
/// <c>heads · dilation</c> sequences in a row. Each is cut into stretches of <see cref="Segment"/> queries, and each stretch
/// has a lane of a vector to itself: a vector then holds queries at the same place of their stretches, and the keys that
/// these see at one offset are a vector too, aligned like it. A <i>group</i> is as many sequences as have lanes.
/// </para>
/// <para>
/// A window that is shifted inwards holds the <c>k</c> tokens nearest to the border. Let the sequence go on beyond its left
/// end by the tokens <c>k − r, …, k − 1</c> and beyond its right end by <c>n − k, …</c>: then the tokens from <c>x − r</c>
/// to <c>x − r + k − 1</c> of this longer sequence are the window's in another order, at the border as anywhere else.
/// </para>
/// </remarks>
internal readonly record struct NeighbourhoodShape
{
    /// <summary>Queries of a lane that are worked on at a time.</summary>
    public const int Block = 4;

    /// <summary>Sizes, and the cheapest division into segments.</summary>
    public NeighbourhoodShape(int batch, int height, int width, int heads, int depth, int window, int dilation, int lanes)
    {
        (Batch, Height, Width, Heads, Depth, Window, Dilation, Lanes) = (batch, height, width, heads, depth, window, dilation, lanes);
        PaddedDepth = (depth + lanes - 1) / lanes * lanes;
        Sequences = heads * dilation;
        var longest = (width + dilation - 1) / dilation;
        var best = double.PositiveInfinity;
        for (var segment = Block; ; segment += Block)
        {
            var stretches = (longest + segment - 1) / segment;
            if (stretches > lanes)
            {
                continue;
            }
            var perGroup = Math.Min(lanes / stretches, Sequences);
            var groups = (Sequences + perGroup - 1) / perGroup;
            // Multiply-adds and weights of a row's queries, and the turning over of its keys, in vector operations.
            var cost = groups * ((segment * (double)window * window * ((2 * depth) + 20)) + ((segment + window - 1.0) * 6 * depth));
            if (cost < best)
            {
                (best, Segment, Stretches, SequencesPerGroup, Groups) = (cost, segment, stretches, perGroup, groups);
            }
            if (stretches == 1)
            {
                break;
            }
        }
    }

    /// <summary>Images, <c>B</c>.</summary>
    public int Batch { get; }

    /// <summary>Rows of the map, <c>H</c>, at least <c>k · dilation</c>.</summary>
    public int Height { get; }

    /// <summary>Columns of the map, <c>W</c>, at least <c>k · dilation</c>.</summary>
    public int Width { get; }

    /// <summary>Heads, <c>h</c>.</summary>
    public int Heads { get; }

    /// <summary>Channels of a head, <c>d</c>.</summary>
    public int Depth { get; }

    /// <summary>Side of the window, <c>k</c>.</summary>
    public int Window { get; }

    /// <summary>Step between the tokens of a window.</summary>
    public int Dilation { get; }

    /// <summary>Lanes of a vector.</summary>
    public int Lanes { get; }

    /// <summary>Channels of a head, padded to whole vectors.</summary>
    public int PaddedDepth { get; }

    /// <summary>Sequences of a row: one for each head and residue.</summary>
    public int Sequences { get; }

    /// <summary>Queries of a lane, whole blocks.</summary>
    public int Segment { get; }

    /// <summary>Lanes of a sequence.</summary>
    public int Stretches { get; }

    /// <summary>Sequences of a group.</summary>
    public int SequencesPerGroup { get; }

    /// <summary>Groups of a row.</summary>
    public int Groups { get; }

    /// <summary><c>k²</c>.</summary>
    public int Area => Window * Window;

    /// <summary><c>2k − 1</c>, offsets between a query and a key of its window.</summary>
    public int Offsets => (2 * Window) - 1;

    /// <summary>Channels of the map, <c>C</c>.</summary>
    public int Channels => Heads * Depth;

    /// <summary>Keys that the queries of a lane see in a row.</summary>
    public int Reach => Segment + Window - 1;

    /// <summary>Tokens of a sequence with those beyond its ends, as many as its lanes see.</summary>
    public int Extended => (Stretches * Segment) + Window - 1;

    /// <summary>Elements of a staged row of queries, turned over: <c>[d, Segment, lanes]</c>.</summary>
    public int QueryPlane => Depth * Segment * Lanes;

    /// <summary>Elements of a staged row of keys, turned over: <c>[d, Reach, lanes]</c>.</summary>
    public int KeyPlane => Depth * Reach * Lanes;

    /// <summary>Elements of a staged row of tokens: <c>[sequences of a group, Extended, PaddedDepth]</c>.</summary>
    public int RowSize => SequencesPerGroup * Extended * PaddedDepth;

    /// <summary>Elements of a group's biases: <c>[2k − 1, k, Segment, lanes]</c>.</summary>
    public int BiasSize => Offsets * Window * Segment * Lanes;

    /// <summary>Rows or columns of a side of <paramref name="length"/> whose index modulo the dilation is <paramref name="residue"/>.</summary>
    public int LengthOf(int length, int residue) => (length - residue + Dilation - 1) / Dilation;

    /// <summary>The first of the <c>k</c> rows in the window of a row.</summary>
    /// <param name="position">Which row.</param>
    /// <param name="length">How many there are.</param>
    public int WindowStart(int position, int length) => Math.Clamp(position - (Window / 2), 0, length - Window);

    /// <summary>Sequences of a group that exist.</summary>
    public int SequencesOf(int group) => Math.Min(SequencesPerGroup, Sequences - (group * SequencesPerGroup));

    /// <summary>The head and the residue of a sequence.</summary>
    public (int Head, int Residue) Sequence(int sequence) => Math.DivRem(sequence, Dilation);

    /// <summary>
    /// The token of a sequence that stands at a place of the extended one, place 0 being <c>r</c> tokens before the first.
    /// Places behind the extended sequence, which only lanes without a query see, hold the first token.
    /// </summary>
    /// <param name="place">The place.</param>
    /// <param name="length">Tokens of the sequence, at least <c>k</c>.</param>
    public int Resolve(int place, int length)
    {
        var token = place - (Window / 2);
        return token < 0 ? token + Window
            : token < length ? token
            : place < length + Window - 1 ? token - Window
            : 0;
    }

    /// <summary>Elements from the batch's first token to that of a row, in a map of one element for each token.</summary>
    public long RowAt(long image, int row) => ((image * Height) + row) * Width;
}
