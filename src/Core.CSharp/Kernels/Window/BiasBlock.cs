using System.Numerics;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.Window;

/// <summary>
/// The biases of a block of scores, row by row as the scores stand, with −∞ from the last key to the whole vector. Those of
/// whole windows are kept: of every head where that is little memory, else of one until another head comes.
/// </summary>
internal unsafe struct BiasBlock<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private T* _runs;
    private int _window;
    private int _height;
    private int _width;
    private int _keys;
    private T* _block;
    private T* _whole;
    private int _slots;
    private int* _headOfSlot;

    // Half of a core's second cache.
    private const long KeptElements = 131_072;

    /// <summary>For how many heads a whole window's biases are kept.</summary>
    /// <param name="longest">Tokens of the largest window.</param>
    /// <param name="keys">Keys of the largest block.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="lanes">Lanes of a vector.</param>
    public static int Slots(int longest, int keys, int heads, int lanes) =>
        longest > keys ? 0 : heads * Block(keys, keys, lanes) <= KeptElements ? heads : 1;

    /// <summary>The scratch memory that <see cref="Take"/> takes.</summary>
    /// <param name="keys">Keys of the largest block.</param>
    /// <param name="rows">Queries of the largest block.</param>
    /// <param name="slots">What <see cref="Slots"/> says.</param>
    /// <param name="lanes">Lanes of a vector.</param>
    public static nuint Bytes(int keys, int rows, int slots, int lanes) =>
        Scratch.Size<T>(Block(keys, rows, lanes)) + Scratch.Size<T>(slots * Block(keys, keys, lanes)) + Scratch.Size<int>(slots);

    /// <summary>Room for the blocks of a map.</summary>
    /// <param name="scratch">Whence.</param>
    /// <param name="runs">The biases by offset, or none.</param>
    /// <param name="window">The window that they were made for.</param>
    /// <param name="height">Rows of the largest window.</param>
    /// <param name="width">Columns of the largest window.</param>
    /// <param name="keys">Keys of the largest block.</param>
    /// <param name="rows">Queries of the largest block.</param>
    /// <param name="slots">What <see cref="Slots"/> says.</param>
    /// <param name="lanes">Lanes of a vector.</param>
    public static BiasBlock<T> Take(
        Scratch scratch, T* runs, int window, int height, int width, int keys, int rows, int slots, int lanes)
    {
        var block = new BiasBlock<T>
        {
            _runs = runs,
            _window = window,
            _height = height,
            _width = width,
            _keys = keys,
            _block = scratch.Take<T>(Block(keys, rows, lanes)),
            _whole = scratch.Take<T>(slots * Block(keys, keys, lanes)),
            _slots = slots,
            _headOfSlot = scratch.Take<int>(slots),
        };
        new Span<int>(block._headOfSlot, slots).Fill(-1);
        return block;
    }

    /// <summary>The biases of the queries from <paramref name="first"/> on with the keys from <paramref name="begin"/> on.</summary>
    public readonly T* Of<TLanes, TVector>(in WindowTokens tokens, int head, int first, int rows, int begin, int end, out long rowLength)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var keys = end - begin;
        rowLength = WindowStaging.Padded(keys, TLanes.Count);
        if (_runs == null)
        {
            new Span<T>(_block, keys).Clear();
            new Span<T>(_block + keys, (int)rowLength - keys).Fill(T.NegativeInfinity);
            rowLength = 0;
            return _block;
        }
        if (_slots == 0 || tokens.Height != _height || tokens.Width != _width)
        {
            Lay<TLanes, TVector>(_block, tokens, head, first, rows, begin, end, rowLength);
            return _block;
        }
        var slot = head % _slots;
        var whole = _whole + slot * Block(_keys, _keys, TLanes.Count);
        if (_headOfSlot[slot] != head)
        {
            Lay<TLanes, TVector>(whole, tokens, head, 0, _keys, 0, _keys, rowLength);
            _headOfSlot[slot] = head;
        }
        return whole + first * rowLength;
    }

    // What the last row's last run writes too far.
    private static long Block(int keys, int rows, int lanes) => (long)rows * WindowStaging.Padded(keys, lanes) + 2 * lanes;

    private readonly void Lay<TLanes, TVector>(
        T* target, in WindowTokens tokens, int head, int first, int rows, int begin, int end, long rowLength)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var runs = _runs + head * BiasRuns.Offsets(_window);
        for (var row = 0; row < rows; row++)
        {
            // A row overwrites what the one before it wrote too far.
            BiasRuns.Gather<TLanes, TVector, T>(runs, _window, tokens, first + row, begin, end, target + row * rowLength);
        }
    }
}
