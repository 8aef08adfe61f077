using System.Numerics;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>Consecutive rows or columns, both ends included.</summary>
/// <param name="First">The first, counted from 0.</param>
/// <param name="Last">The last.</param>
public readonly record struct Interval(int First, int Last)
{
    /// <summary>How many there are.</summary>
    public int Length => Last - First + 1;

    /// <summary><c>4–10</c>, or <c>4</c> alone.</summary>
    public override string ToString() => First == Last ? $"{First}" : $"{First}–{Last}";
}

/// <summary>
/// Some of the pixels of an image, or of the tokens of a map: any set, with holes and of any outline, as one bit each. Two
/// sets are equal when they hold the same pixels of equally large images.
/// </summary>
public sealed class PixelSet : IEquatable<PixelSet>
{
    private const int BitsOfWord = 64;

    private readonly ulong[] _words;
    private readonly int _wordsOfRow;

    internal PixelSet(ImageSize size)
    {
        Size = size;
        _wordsOfRow = WordsFor(size.Width);
        _words = new ulong[(long)size.Height * _wordsOfRow];
    }

    /// <summary>Size of the image that the pixels are of.</summary>
    public ImageSize Size { get; }

    /// <summary>How many pixels there are in the set.</summary>
    public long Count
    {
        get
        {
            var count = 0L;
            foreach (var word in _words)
            {
                count += BitOperations.PopCount(word);
            }
            return count;
        }
    }

    /// <summary>Whether no pixel is in the set.</summary>
    public bool IsEmpty => !_words.AsSpan().ContainsAnyExcept(0UL);

    /// <summary>Whether every pixel of the image is in the set.</summary>
    public bool IsWhole => Count == (long)Size.Height * Size.Width;

    /// <summary>Whether a pixel is in the set; false outside the image.</summary>
    public bool this[int row, int column] =>
        row >= 0 && row < Size.Height && column >= 0 && column < Size.Width
        && (RowWords(row)[column / BitsOfWord] >> (column % BitsOfWord) & 1) != 0;

    /// <summary>The rows in which there is a pixel, as intervals from top to bottom.</summary>
    public ValueList<Interval> Rows
    {
        get
        {
            var occupied = new ulong[WordsFor(Size.Height)];
            for (var row = 0; row < Size.Height; row++)
            {
                if (RowWords(row).ContainsAnyExcept(0UL))
                {
                    Set(occupied, row);
                }
            }
            return IntervalsIn(occupied, Size.Height);
        }
    }

    /// <summary>The columns in which there is a pixel, as intervals from left to right.</summary>
    public ValueList<Interval> Columns
    {
        get
        {
            var occupied = new ulong[_wordsOfRow];
            for (var row = 0; row < Size.Height; row++)
            {
                Join(occupied, RowWords(row));
            }
            return IntervalsIn(occupied, Size.Width);
        }
    }

    /// <summary>
    /// Whether the set is every pixel in some rows and some columns, as that of square windows is. Cross-shaped stripes are not.
    /// </summary>
    public bool IsProduct => Count == Rows.Sum(interval => (long)interval.Length) * Columns.Sum(interval => (long)interval.Length);

    /// <summary>The columns of the set's pixels in one row.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The image has no such row.</exception>
    public ValueList<Interval> ColumnsOf(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Size.Height);
        return IntervalsIn(RowWords(row), Size.Width);
    }

    /// <inheritdoc/>
    public bool Equals(PixelSet? other) => other is not null && Size == other.Size && _words.AsSpan().SequenceEqual(other._words);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PixelSet);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Size, Count);

    /// <summary><c>rows 0–27 × columns 4–31, 784 pixels</c>.</summary>
    public override string ToString()
    {
        if (IsEmpty)
        {
            return "no pixel";
        }
        var text = $"rows {string.Join(", ", Rows)} × columns {string.Join(", ", Columns)}";
        return IsProduct ? $"{text}, {Count} pixels" : $"{Count} pixels within {text}";
    }

    internal static int WordsFor(int length) => (length + BitsOfWord - 1) / BitsOfWord;

    internal static void Set(Span<ulong> words, int index) => words[index / BitsOfWord] |= 1UL << (index % BitsOfWord);

    internal static void Join(Span<ulong> words, ReadOnlySpan<ulong> others)
    {
        for (var index = 0; index < words.Length; index++)
        {
            words[index] |= others[index];
        }
    }

    /// <summary>The numbers of the bits that are set.</summary>
    internal static List<int> Members(ReadOnlySpan<ulong> words)
    {
        var members = new List<int>();
        for (var index = 0; index < words.Length; index++)
        {
            for (var word = words[index]; word != 0; word &= word - 1)
            {
                members.Add((index * BitsOfWord) + BitOperations.TrailingZeroCount(word));
            }
        }
        return members;
    }

    internal Span<ulong> RowWords(int row) => _words.AsSpan(row * _wordsOfRow, _wordsOfRow);

    internal void Add(int row, int column) => Set(RowWords(row), column);

    internal void AddAll()
    {
        for (var row = 0; row < Size.Height; row++)
        {
            for (var column = 0; column < Size.Width; column++)
            {
                Add(row, column);
            }
        }
    }

    private static ValueList<Interval> IntervalsIn(ReadOnlySpan<ulong> words, int length)
    {
        var intervals = new List<Interval>();
        var first = -1;
        for (var index = 0; index <= length; index++)
        {
            var isMember = index < length && (words[index / BitsOfWord] >> (index % BitsOfWord) & 1) != 0;
            if (isMember && first < 0)
            {
                first = index;
            }
            else if (!isMember && first >= 0)
            {
                intervals.Add(new Interval(first, index - 1));
                first = -1;
            }
        }
        return ValueList.From(intervals);
    }
}
