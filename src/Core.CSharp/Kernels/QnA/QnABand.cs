using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// Some rows of windows of one image, and the part of the map that they see, staged as planes
/// <c>[rows, columns, lanes]</c> of one vector of scores: the exponentials <c>E = e^{S − m}</c>, and for each channel the
/// product <c>E · V</c>. Outside the map both are 0, so that borders need no further thought.
/// </summary>
internal readonly unsafe struct QnABand<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly QnAShape _shape;

    /// <summary>The band of an image.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="image">The image.</param>
    /// <param name="first">The first row of windows.</param>
    /// <param name="rows">How many rows of windows.</param>
    public QnABand(in QnAShape shape, int image, int first, int rows)
    {
        _shape = shape;
        (Image, First, Rows) = (image, first, rows);
    }

    public int Image { get; }

    public int First { get; }

    public int Rows { get; }

    /// <summary>The row of the map at the band's upper edge; it may lie above the map.</summary>
    public int Top => (First * _shape.Stride) - _shape.Padding;

    /// <summary>The rows of the map that the band sees.</summary>
    public int StagedRows => StagedRowsOf(_shape, Rows);

    /// <summary>The first of them inside the map.</summary>
    public int FirstInside => Math.Clamp(Top, 0, _shape.Height);

    /// <summary>Behind the last of them inside the map.</summary>
    public int EndInside => Math.Clamp(Top + StagedRows, 0, _shape.Height);

    /// <summary>Elements of a row of a plane.</summary>
    public long RowSize => (long)StagedColumnsOf(_shape) * _shape.Lanes;

    /// <summary>Elements of a plane.</summary>
    public long PlaneSize => StagedRows * RowSize;

    public static int StagedRowsOf(in QnAShape shape, int rows) => ((rows - 1) * shape.Stride) + shape.Side;

    public static int StagedColumnsOf(in QnAShape shape) => ((shape.PaddedWidth - 1) * shape.Stride) + shape.Side;

    /// <summary>Stages the products of each channel, and behind them the exponentials: <c>Depth + 1</c> planes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Stage<TLanes, TVector>(T* tokens, int block, T* largest, T* planes)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, depth, period, width, tokenWidth) =
            (_shape.Lanes, _shape.Depth, _shape.Period, _shape.Width, _shape.TokenWidth);
        var (rowSize, planeSize) = (RowSize, PlaneSize);
        var columns = StagedColumnsOf(_shape);
        var inside = Math.Clamp(columns - _shape.Padding, 0, width);
        var subtrahend = TLanes.Load(largest);
        var (scoreOffset, valueOffset) = (block * lanes, _shape.Columns + _shape.HeadOf(block));
        for (var row = 0; row < StagedRows; row++)
        {
            var line = planes + (row * rowSize);
            if (Top + row < 0 || Top + row >= _shape.Height)
            {
                Clear(line, planeSize, depth, rowSize);
                continue;
            }
            Clear(line, planeSize, depth, (long)_shape.Padding * lanes);
            var behind = (long)(_shape.Padding + inside) * lanes;
            Clear(line + behind, planeSize, depth, rowSize - behind);
            var token = tokens + ((long)(Top + row) * width * tokenWidth);
            var target = line + ((long)_shape.Padding * lanes);
            for (var column = 0; column < inside; column++)
            {
                var exponential = Exponential.Of<TLanes, TVector, T>(
                    TLanes.Subtract(TLanes.Load(token + scoreOffset), subtrahend));
                var values = token + valueOffset;
                var product = target;
                for (var channel = 0; channel < depth; channel++)
                {
                    TLanes.Store(TLanes.Multiply(exponential, TLanes.LoadRepeated(values, period)), product);
                    values += period;
                    product += planeSize;
                }
                TLanes.Store(exponential, product);
                token += tokenWidth;
                target += lanes;
            }
        }
    }

    private static void Clear(T* start, long planeSize, int depth, long count)
    {
        for (var plane = 0; plane <= depth; plane++)
        {
            new Span<T>(start + (plane * planeSize), (int)count).Clear();
        }
    }
}
