using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// One window by itself, for one vector of scores, relative to its own largest score: right for any scores, infinite ones
/// and NaN included, and no other window sees its numbers.
/// </summary>
internal readonly unsafe struct QnAWindow<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly QnAShape _shape;
    private readonly T* _tokens;
    private readonly int _block;
    private readonly int _top;
    private readonly int _left;

    /// <summary>The window at a row and a column of the grid.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="tokens">The image's projected tokens.</param>
    /// <param name="row">The row of the grid.</param>
    /// <param name="column">The column of the grid.</param>
    /// <param name="block">The vector of scores.</param>
    public QnAWindow(in QnAShape shape, T* tokens, int row, int column, int block)
    {
        _shape = shape;
        _tokens = tokens;
        _block = block;
        _top = (row * shape.Stride) - shape.Padding;
        _left = (column * shape.Stride) - shape.Padding;
    }

    private int FirstRow => Math.Max(0, -_top);

    private int EndRow => Math.Min(_shape.Side, _shape.Height - _top);

    private int FirstColumn => Math.Max(0, -_left);

    private int EndColumn => Math.Min(_shape.Side, _shape.Width - _left);

    /// <summary>Adds the window's output, summed over the queries of the vector, to the target.</summary>
    /// <param name="tables">Biases and scales.</param>
    /// <param name="sums">Room for a vector for each channel.</param>
    /// <param name="target">The window's output from the vector's first head on.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Attend<TLanes, TVector>(in QnATables<T> tables, T* sums, T* target)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var statistics = stackalloc T[2 * TLanes.Count];
        Normalise<TLanes, TVector>(tables, statistics, statistics + TLanes.Count, sums);
        var reciprocal = TLanes.Load(statistics + TLanes.Count);
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            var sum = TLanes.Load(sums + (channel * _shape.Lanes));
            TLanes.AddRepeated(TLanes.Multiply(sum, reciprocal), target + (channel * _shape.Period), _shape.Period);
        }
    }

    /// <summary>
    /// The largest biased score, one over the sum of exponentials relative to it, and each channel's sum of exponential,
    /// scale and value.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Normalise<TLanes, TVector>(in QnATables<T> tables, T* largest, T* reciprocal, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var highest = TLanes.Broadcast(T.NegativeInfinity);
        for (var row = FirstRow; row < EndRow; row++)
        {
            for (var column = FirstColumn; column < EndColumn; column++)
            {
                highest = TLanes.Max(highest, Score<TLanes, TVector>(tables, row, column));
            }
        }
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            TLanes.Store(TLanes.Zero, sums + (channel * lanes));
        }
        var total = TLanes.Zero;
        for (var row = FirstRow; row < EndRow; row++)
        {
            for (var column = FirstColumn; column < EndColumn; column++)
            {
                var exponential = Exponential.Of<TLanes, TVector, T>(
                    TLanes.Subtract(Score<TLanes, TVector>(tables, row, column), highest));
                total = TLanes.Add(total, exponential);
                var scaled = TLanes.Multiply(exponential, Scale<TLanes, TVector>(tables, row, column));
                var values = Token(row, column) + _shape.Columns + _shape.HeadOf(_block);
                for (var channel = 0; channel < _shape.Depth; channel++)
                {
                    var value = TLanes.LoadRepeated(values + (channel * _shape.Period), _shape.Period);
                    var sum = TLanes.Load(sums + (channel * lanes));
                    TLanes.Store(TLanes.MultiplyAdd(scaled, value, sum), sums + (channel * lanes));
                }
            }
        }
        TLanes.Store(highest, largest);
        TLanes.Store(TLanes.Divide(TLanes.Broadcast(T.One), total), reciprocal);
    }

    /// <summary>
    /// Given what <see cref="Normalise"/> found and the slopes of the window's output, adds to the gradients of the tables,
    /// and finds <c>δ</c>, the slope of the logarithm of the denominator.
    /// </summary>
    /// <param name="tables">Biases and scales.</param>
    /// <param name="largest">The largest biased score.</param>
    /// <param name="reciprocal">One over the denominator.</param>
    /// <param name="sums">Each channel's sum.</param>
    /// <param name="slopes">Slopes of the window's output from the vector's first head on.</param>
    /// <param name="delta">Receives <c>δ</c>.</param>
    /// <param name="biases">The gradient of <c>P</c>, or none.</param>
    /// <param name="scales">The gradient of <c>A</c>, a row for each position, or none.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Differentiate<TLanes, TVector>(
        in QnATables<T> tables, T* largest, T* reciprocal, T* sums, T* slopes, T* delta, T* biases, T* scales)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, period) = (_shape.Lanes, _shape.Period);
        var inverse = TLanes.Load(reciprocal);
        var share = TLanes.Zero;
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            var slope = TLanes.LoadRepeated(slopes + (channel * period), period);
            share = TLanes.MultiplyAdd(slope, TLanes.Load(sums + (channel * lanes)), share);
        }
        share = TLanes.Multiply(share, inverse);
        TLanes.Store(share, delta);
        if (biases is null && scales is null)
        {
            return;
        }
        var highest = TLanes.Load(largest);
        for (var row = FirstRow; row < EndRow; row++)
        {
            for (var column = FirstColumn; column < EndColumn; column++)
            {
                var attention = TLanes.Multiply(
                    inverse,
                    Exponential.Of<TLanes, TVector, T>(
                        TLanes.Subtract(Score<TLanes, TVector>(tables, row, column), highest)));
                var values = Token(row, column) + _shape.Columns + _shape.HeadOf(_block);
                var product = TLanes.Zero;
                for (var channel = 0; channel < _shape.Depth; channel++)
                {
                    product = TLanes.MultiplyAdd(
                        TLanes.LoadRepeated(slopes + (channel * period), period),
                        TLanes.LoadRepeated(values + (channel * period), period), product);
                }
                var place = ((((long)row * _shape.Side) + column) * _shape.Columns) + (_block * lanes);
                if (scales is not null)
                {
                    TLanes.Store(TLanes.MultiplyAdd(attention, product, TLanes.Load(scales + place)), scales + place);
                }
                if (biases is not null)
                {
                    var scaled = TLanes.Multiply(product, Scale<TLanes, TVector>(tables, row, column));
                    TLanes.Store(
                        TLanes.MultiplyAdd(attention, TLanes.Subtract(scaled, share), TLanes.Load(biases + place)),
                        biases + place);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private T* Token(int row, int column) =>
        _tokens + ((((long)(_top + row) * _shape.Width) + _left + column) * _shape.TokenWidth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TVector Score<TLanes, TVector>(in QnATables<T> tables, int row, int column)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var score = TLanes.Load(Token(row, column) + (_block * _shape.Lanes));
        return tables.Position is null
            ? score
            : TLanes.Add(
                score,
                TLanes.Load(tables.Position + ((((long)row * _shape.Side) + column) * _shape.Columns) + (_block * _shape.Lanes)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TVector Scale<TLanes, TVector>(in QnATables<T> tables, int row, int column)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct =>
        TLanes.Load(tables.Scale + ((((long)row * _shape.Side) + column) * tables.ScaleStride) + (_block * _shape.Lanes));
}
