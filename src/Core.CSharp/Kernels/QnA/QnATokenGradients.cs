using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// The second pass: the gradients of scores and values, gathered by each position from the windows that see it,
/// <code>
/// dV_c[t] = Σ_i E_i[t] · F_c,i[t]           F_c[t] = Σ_o e^P A [o] · (g_c/D)[t−o]
/// dS[t]   = E[t] · ( Σ_c V_c[t] F_c[t] − Σ_o e^P [o] · (δ/D)[t−o] )
/// </code>
/// correlations of <c>g/D</c> and <c>δ/D</c>, staged on the map's grid with zeros between strided windows, with the tables
/// backwards.
/// </summary>
internal readonly unsafe struct QnATokenGradients<T> : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly QnAShape _shape;
    private readonly QnATables<T> _tables;
    private readonly QnAStatistics<T> _statistics;
    private readonly T* _projected;
    private readonly T* _slopes;
    private readonly T* _gradient;
    private readonly int _bandRows;
    private readonly int _bands;

    /// <summary>The pass.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="tables">Biases and scales.</param>
    /// <param name="statistics">What the first pass found.</param>
    /// <param name="projected">Projected tokens.</param>
    /// <param name="slopes">Slopes of the output.</param>
    /// <param name="gradient">Receives the gradient of the projected tokens.</param>
    public QnATokenGradients(
        in QnAShape shape, in QnATables<T> tables, in QnAStatistics<T> statistics, T* projected, T* slopes, T* gradient)
    {
        (_shape, _tables, _statistics) = (shape, tables, statistics);
        _projected = projected;
        _slopes = slopes;
        _gradient = gradient;
        _bandRows = QnABands.RowsOf<T>(Gathering(shape));
        _bands = (shape.Height + _bandRows - 1) / _bandRows;
    }

    /// <summary>Bands of all images.</summary>
    public long Items => (long)_shape.Batch * _bands;

    /// <inheritdoc/>
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var item = begin; item < end; item++)
        {
            var (image, band) = Math.DivRem((int)item, _bands);
            var first = band * _bandRows;
            Run<TLanes, TVector>(image, first, Math.Min(_bandRows, _shape.Height - first));
        }
    }

    /// <summary>The sizes of the gathering: every position of the map is a window over the staged slopes.</summary>
    private static QnAShape Gathering(in QnAShape shape) => new(
        shape.Batch, shape.Height + shape.Side - 1, shape.Width + shape.Side - 1, shape.Side, Stride: 1, Padding: 0,
        shape.Upsampling, shape.Lanes, shape.Columns, shape.SetColumns, shape.Depth, shape.Period);

    private void Run<TLanes, TVector>(int image, int first, int rows)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var columns = QnABand<T>.StagedColumnsOf(Gathering(_shape));
        var rowSize = (long)columns * lanes;
        var planeSize = (rows + _shape.Side - 1) * rowSize;
        var size = (_shape.Depth + 1) * planeSize;
        var scratch = Scratch.Begin(Scratch.Size<T>(size) + Scratch.Size<T>(4L * QnAShape.Tile * lanes));
        var planes = scratch.Take<T>(size);
        var sums = scratch.Take<T>(4L * QnAShape.Tile * lanes);
        var offset = _shape.Token(image, first, 0);
        new Span<T>(_gradient + offset, checked(rows * _shape.Width * _shape.TokenWidth)).Clear();
        for (var block = 0; block < _shape.Blocks; block++)
        {
            if (_statistics.Shares[(image * _shape.Blocks) + block] == 0)
            {
                Separately<TLanes, TVector>(image, first, rows, block);
                continue;
            }
            Stage<TLanes, TVector>(image, first, rows, block, planes, columns);
            for (var row = 0; row < rows; row += 2)
            {
                for (var column = 0; column < _shape.Width; column += QnAShape.Tile)
                {
                    Gather<TLanes, TVector>(
                        image, first + row, Math.Min(2, rows - row), column, block,
                        planes + (row * rowSize) + ((long)column * lanes), rowSize, planeSize, sums);
                }
            }
        }
    }

    /// <summary>
    /// Stages <c>g_c/D</c> of each channel, and behind them <c>−δ/D</c>. The staged row <c>r</c> is what a position <c>r</c>
    /// rows below the band's first sees as the last row of its window.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Stage<TLanes, TVector>(int image, int first, int rows, int block, T* planes, int columns)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, depth, period, stride) = (_shape.Lanes, _shape.Depth, _shape.Period, _shape.Stride);
        var rowSize = (long)columns * lanes;
        var stagedRows = rows + _shape.Side - 1;
        var planeSize = stagedRows * rowSize;
        new Span<T>(planes, checked((int)((depth + 1) * planeSize))).Clear();
        var left = _shape.Padding - _shape.Side + 1;
        for (var staged = 0; staged < stagedRows; staged++)
        {
            var (row, skippedRows) = Math.DivRem(first + left + staged, stride);
            if (first + left + staged < 0 || skippedRows != 0 || row >= _shape.OutputHeight)
            {
                continue;
            }
            // Not negative: no window's padding reaches a whole side.
            var place = -left;
            var window = _shape.Window(image, row, 0) + (block * lanes);
            var outputs = _slopes + _shape.Output(image, row, 0, _shape.SetOf(block)) + _shape.HeadOf(block);
            for (var column = 0; column < _shape.OutputWidth && place < columns; column++)
            {
                var target = planes + (staged * rowSize) + ((long)place * lanes);
                var reciprocal = TLanes.Load(_statistics.Reciprocals + window);
                var slopes = outputs;
                for (var channel = 0; channel < depth; channel++)
                {
                    TLanes.Store(TLanes.Multiply(reciprocal, TLanes.LoadRepeated(slopes, period)), target);
                    slopes += period;
                    target += planeSize;
                }
                var delta = TLanes.Multiply(reciprocal, TLanes.Load(_statistics.Deltas + window));
                TLanes.Store(TLanes.Subtract(TLanes.Zero, delta), target);
                place += stride;
                window += _shape.Columns;
                outputs += _shape.OutputStep;
            }
        }
    }

    /// <summary>The gradients of eight positions of a row, and of the eight below them where there are two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Gather<TLanes, TVector>(
        int image, int row, int rows, int column, int block, T* planes, long rowSize, long planeSize, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, period, tokenWidth) = (_shape.Lanes, _shape.Period, _shape.TokenWidth);
        var last = ((_shape.Area - 1) * (long)_shape.Columns) + (block * lanes);
        var positions = Math.Min(QnAShape.Tile, _shape.Width - column);
        var (start, down) = (_shape.Token(image, row, column), (long)_shape.Width * tokenWidth);
        // Divisions cost as much as a tile does: none belongs in the loops.
        var values = start + _shape.Columns + _shape.HeadOf(block);
        var largest = TLanes.Load(_statistics.Largest + ((long)image * _shape.Columns) + (block * lanes));
        // The slopes of the exponentials.
        var slopes = sums + (2L * QnAShape.Tile * lanes);
        Sum<TLanes, TVector>(rows, planes + (_shape.Depth * planeSize), rowSize, _tables.Exponentials + last, slopes);
        for (var below = 0; below < rows; below++)
        {
            var scores = start + (below * down) + (block * lanes);
            for (var position = 0; position < positions; position++)
            {
                // Kept where the scores' gradient will stand.
                var score = TLanes.Load(_projected + scores);
                TLanes.Store(Exponential.Of<TLanes, TVector, T>(TLanes.Subtract(score, largest)), _gradient + scores);
                scores += tokenWidth;
            }
        }
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            Sum<TLanes, TVector>(rows, planes + (channel * planeSize), rowSize, _tables.Products + last, sums);
            for (var below = 0; below < rows; below++)
            {
                var place = below * QnAShape.Tile * lanes;
                var exponentials = _gradient + start + (below * down) + (block * lanes);
                var offset = values + (below * down) + (channel * period);
                for (var position = 0; position < positions; position++)
                {
                    var sum = TLanes.Load(sums + place);
                    var value = TLanes.LoadRepeated(_projected + offset, period);
                    TLanes.Store(TLanes.MultiplyAdd(value, sum, TLanes.Load(slopes + place)), slopes + place);
                    TLanes.AddRepeated(TLanes.Multiply(TLanes.Load(exponentials), sum), _gradient + offset, period);
                    place += lanes;
                    exponentials += tokenWidth;
                    offset += tokenWidth;
                }
            }
        }
        for (var below = 0; below < rows; below++)
        {
            var target = _gradient + start + (below * down) + (block * lanes);
            var slope = slopes + (below * QnAShape.Tile * lanes);
            for (var position = 0; position < positions; position++)
            {
                TLanes.Store(TLanes.Multiply(TLanes.Load(target), TLanes.Load(slope)), target);
                target += tokenWidth;
                slope += lanes;
            }
        }
    }

    /// <summary>The sums of one row's tile, or of two rows', with a table backwards.</summary>
    private void Sum<TLanes, TVector>(int rows, T* plane, long rowSize, T* table, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (rows == 2)
        {
            Correlation.OfTwoTiles<TLanes, TVector, T>(plane, rowSize, 1, table, -_shape.Columns, _shape.Side, sums);
        }
        else
        {
            Correlation.OfTile<TLanes, TVector, T>(
                plane, rowSize, _shape.Lanes, table, -_shape.Columns, _shape.Side, _shape.Side, sums);
        }
    }

    /// <summary>The same, each window with its own largest score.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Separately<TLanes, TVector>(int image, int first, int rows, int block)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, period, side, stride) = (_shape.Lanes, _shape.Period, _shape.Side, _shape.Stride);
        for (var row = first; row < first + rows; row++)
        {
            for (var column = 0; column < _shape.Width; column++)
            {
                var token = _shape.Token(image, row, column);
                var values = token + _shape.Columns + _shape.HeadOf(block);
                var score = TLanes.Load(_projected + token + (block * lanes));
                var slope = TLanes.Zero;
                for (var down = 0; down < side; down++)
                {
                    var (windowRow, betweenRows) = Math.DivRem(row + _shape.Padding - down, stride);
                    if (row + _shape.Padding - down < 0 || betweenRows != 0 || windowRow >= _shape.OutputHeight)
                    {
                        continue;
                    }
                    for (var right = 0; right < side; right++)
                    {
                        var (windowColumn, between) = Math.DivRem(column + _shape.Padding - right, stride);
                        if (column + _shape.Padding - right < 0 || between != 0 || windowColumn >= _shape.OutputWidth)
                        {
                            continue;
                        }
                        var position = ((down * side) + right) * (long)_shape.Columns;
                        var window = _shape.Window(image, windowRow, windowColumn) + (block * lanes);
                        var biased = _tables.Position is null
                            ? score
                            : TLanes.Add(score, TLanes.Load(_tables.Position + position + (block * lanes)));
                        var attention = TLanes.Multiply(
                            TLanes.Load(_statistics.Reciprocals + window),
                            Exponential.Of<TLanes, TVector, T>(
                                TLanes.Subtract(biased, TLanes.Load(_statistics.WindowLargest + window))));
                        var scale = TLanes.Load(
                            _tables.Scale + (((down * side) + right) * _tables.ScaleStride) + (block * lanes));
                        var scaled = TLanes.Multiply(attention, scale);
                        var slopes = _slopes
                            + _shape.Output(image, windowRow, windowColumn, _shape.SetOf(block)) + _shape.HeadOf(block);
                        var product = TLanes.Zero;
                        for (var channel = 0; channel < _shape.Depth; channel++)
                        {
                            var output = TLanes.LoadRepeated(slopes + (channel * period), period);
                            var value = TLanes.LoadRepeated(_projected + values + (channel * period), period);
                            product = TLanes.MultiplyAdd(output, value, product);
                            TLanes.AddRepeated(
                                TLanes.Multiply(scaled, output), _gradient + values + (channel * period), period);
                        }
                        var delta = TLanes.Load(_statistics.Deltas + window);
                        slope = TLanes.Add(
                            slope, TLanes.Subtract(TLanes.Multiply(scaled, product), TLanes.Multiply(attention, delta)));
                    }
                }
                TLanes.Store(slope, _gradient + token + (block * lanes));
            }
        }
    }
}
