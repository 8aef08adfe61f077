using System.Numerics;
using LocalAttention.Core.Kernels.Simd;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// How scores and values stand in memory so that vectors meet without being rearranged: the lanes of a vector are columns of
/// scores, a query and a head each, and a value's channels are apart, <c>[d, h]</c> instead of <c>[h, d]</c>, so that one
/// channel of all heads lies side by side as their scores do. The projections produce and take this order: their weights'
/// rows are picked in it.
/// </summary>
/// <remarks>
/// Heads are padded to a power of two, or to whole vectors, and each set's columns to whole vectors; weights are padded with
/// zeros. Where few heads leave lanes empty, a head of <c>d</c> channels counts as several of fewer channels, with equal
/// scores.
/// </remarks>
internal sealed record QnALayout
{
    private readonly Lazy<(Tensor Columns, Tensor Values)> _indices;

    /// <summary>The layout of a layer for vectors of some lanes.</summary>
    /// <param name="sets">Sets of queries, each with its own output.</param>
    /// <param name="queries">Queries of a set, <c>Nq</c>.</param>
    /// <param name="heads">Heads, <c>h</c>.</param>
    /// <param name="headWidth">Channels of a head, <c>d</c>.</param>
    /// <param name="lanes">Lanes of a vector.</param>
    public QnALayout(int sets, int queries, int heads, int headWidth, int lanes)
    {
        (Sets, Queries, Heads, HeadWidth, Lanes) = (sets, queries, heads, headWidth, lanes);
        Split = 1;
        while (headWidth % (2 * Split) == 0 && queries * PeriodOf(2 * Split) <= lanes)
        {
            Split *= 2;
        }
        Period = PeriodOf(Split);
        Depth = headWidth / Split;
        SetColumns = RoundUp(queries * Period, lanes);
        _indices = new Lazy<(Tensor, Tensor)>(() => (IndexOf(ColumnSources(), sets * queries * heads), IndexOf(ValueSources(), heads * headWidth)));
    }

    public int Sets { get; }

    public int Queries { get; }

    public int Heads { get; }

    public int HeadWidth { get; }

    public int Lanes { get; }

    /// <summary>Parts that a head is divided into.</summary>
    public int Split { get; }

    /// <summary>Heads' parts, padded: the distance from one query's columns, or one channel's values, to the next.</summary>
    public int Period { get; }

    /// <summary>Channels of a head's part.</summary>
    public int Depth { get; }

    /// <summary>Columns of a set's scores: <c>[Nq, Period]</c>, padded.</summary>
    public int SetColumns { get; }

    /// <summary>Columns of all scores.</summary>
    public int Columns => Sets * SetColumns;

    /// <summary>Elements of a token's values, and of a window's output: <c>[Depth, Period]</c>.</summary>
    public int ValueWidth => Depth * Period;

    /// <summary>Elements of a projected token: scores, then values.</summary>
    public int TokenWidth => Columns + ValueWidth;

    /// <summary>The layout for an element type, at the vector width in use.</summary>
    public static QnALayout For(int sets, int queries, int heads, int headWidth, ScalarType dtype)
    {
        var bytes = dtype == ScalarType.Float64 ? sizeof(double) : sizeof(float);
        var lanes = SimdWidths.Current == SimdWidth.Scalar ? 1 : (int)SimdWidths.Current / 8 / bytes;
        return new QnALayout(sets, queries, heads, headWidth, lanes);
    }

    /// <summary>Whether this is what <see cref="For"/> gives now.</summary>
    public bool Serves(ScalarType dtype) => For(Sets, Queries, Heads, HeadWidth, dtype).Lanes == Lanes;

    /// <summary>Picks columns of scores along a dimension: from <c>sets·Nq·h</c> to <see cref="Columns"/>, padded with 0.</summary>
    public Tensor PickColumns(Tensor tensor, int dimension) => Pick(tensor, dimension, _indices.Value.Columns);

    /// <summary>Picks channels of values along a dimension: from <c>h·d</c> to <see cref="ValueWidth"/>, padded with 0.</summary>
    public Tensor PickValues(Tensor tensor, int dimension) => Pick(tensor, dimension, _indices.Value.Values);

    private static Tensor Pick(Tensor tensor, int dimension, Tensor index)
    {
        var shape = tensor.shape;
        shape[dimension] = 1;
        using var padded = cat([tensor, zeros(shape, dtype: tensor.dtype, device: tensor.device)], dimension);
        return padded.index_select(dimension, index);
    }

    private int PeriodOf(int split)
    {
        var parts = Heads * split;
        return parts >= Lanes ? RoundUp(parts, Lanes) : (int)BitOperations.RoundUpToPowerOf2((uint)parts);
    }

    private IEnumerable<int?> ColumnSources()
    {
        for (var set = 0; set < Sets; set++)
        {
            for (var column = 0; column < SetColumns; column++)
            {
                var (query, part) = Math.DivRem(column, Period);
                yield return query < Queries && part < Heads * Split
                    ? (((set * Queries) + query) * Heads) + (part / Split)
                    : null;
            }
        }
    }

    private IEnumerable<int?> ValueSources()
    {
        for (var channel = 0; channel < Depth; channel++)
        {
            for (var part = 0; part < Period; part++)
            {
                yield return part < Heads * Split ? (part * Depth) + channel : null;
            }
        }
    }

    /// <summary>An index that lives as long as the layout; what has no source takes the padding behind the last element.</summary>
    private static Tensor IndexOf(IEnumerable<int?> sources, int padding) =>
        tensor(sources.Select(source => (long)(source ?? padding)).ToArray()).DetachFromDisposeScope();

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;
}
