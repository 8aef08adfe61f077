using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// The first pass: each window's statistics, and what the tables' gradients sum over windows,
/// <code>
/// dA[o] = Σ_p a_o Σ_c g_c V_c[p+o]        dP[o] = Σ_p a_o (A_o Σ_c g_c V_c[p+o] − δ)        a = softmax(S + P)
/// </code>
/// as correlations of the staged planes with <c>g/D</c>. Bands are shared out to a fixed number of parts, each with its own
/// sums.
/// </summary>
internal readonly unsafe struct QnAWindowGradients<T> : IKernel<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>Parts at most: enough for any number of cores that a map of this size occupies.</summary>
    private const int MostParts = 16;

    // Offsets of a window whose sums are in registers at a time: all of a 3×3 window.
    private const int Group = 9;

    private readonly QnAShape _shape;
    private readonly QnATables<T> _tables;
    private readonly QnAStatistics<T> _statistics;
    private readonly T* _projected;
    private readonly T* _slopes;
    private readonly T* _biases;
    private readonly T* _scales;
    private readonly int _bandRows;
    private readonly int _bands;

    /// <summary>The pass.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="tables">Biases and scales.</param>
    /// <param name="statistics">Receives each window's.</param>
    /// <param name="projected">Projected tokens.</param>
    /// <param name="slopes">Slopes of the output.</param>
    /// <param name="biases">Sums for the gradient of <c>P</c>, <c>[parts, k², columns]</c>, or none.</param>
    /// <param name="scales">Sums for the gradient of <c>A</c>, alike, or none.</param>
    public QnAWindowGradients(
        in QnAShape shape, in QnATables<T> tables, in QnAStatistics<T> statistics, T* projected, T* slopes, T* biases, T* scales)
    {
        (_shape, _tables, _statistics) = (shape, tables, statistics);
        _projected = projected;
        _slopes = slopes;
        _biases = biases;
        _scales = scales;
        _bandRows = QnABands.RowsOf<T>(shape);
        _bands = (shape.OutputHeight + _bandRows - 1) / _bandRows;
    }

    /// <summary>How many parts the bands are shared out to.</summary>
    public static int PartsOf(in QnAShape shape)
    {
        var rows = QnABands.RowsOf<T>(shape);
        return (int)Math.Min(MostParts, (long)shape.Batch * ((shape.OutputHeight + rows - 1) / rows));
    }

    private bool WantsTables => _biases is not null || _scales is not null;

    /// <inheritdoc/>
    public void Run<TLanes, TVector>(long begin, long end)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var parts = PartsOf(_shape);
        var all = (long)_shape.Batch * _bands;
        for (var part = (int)begin; part < end; part++)
        {
            for (var item = all * part / parts; item < all * (part + 1) / parts; item++)
            {
                var (image, band) = Math.DivRem((int)item, _bands);
                var first = band * _bandRows;
                var rows = Math.Min(_bandRows, _shape.OutputHeight - first);
                Run<TLanes, TVector>(new QnABand<T>(_shape, image, first, rows), part);
            }
        }
    }

    private void Run<TLanes, TVector>(in QnABand<T> band, int part)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var planes = (_shape.Depth + 1) * band.PlaneSize;
        var windows = (long)band.Rows * _shape.PaddedWidth * lanes;
        var vectors = (long)Math.Max(QnAShape.Tile, _shape.Depth) * lanes;
        var scratch = Scratch.Begin(
            Scratch.Size<T>(planes) + Scratch.Size<T>((_shape.Depth + 1) * windows) + Scratch.Size<T>(vectors));
        var products = scratch.Take<T>(planes);
        var slopes = scratch.Take<T>((_shape.Depth + 1) * windows);
        var sums = scratch.Take<T>(vectors);
        var tokens = _projected + _shape.Token(band.Image, 0, 0);
        for (var block = 0; block < _shape.Blocks; block++)
        {
            if (_statistics.Shares[(band.Image * _shape.Blocks) + block] != 0)
            {
                var largest = _statistics.Largest + ((long)band.Image * _shape.Columns) + (block * lanes);
                band.Stage<TLanes, TVector>(tokens, block, largest, products);
                Share<TLanes, TVector>(band, block, products, slopes, sums);
                if (WantsTables)
                {
                    SumOffsets<TLanes, TVector>(band, block, products, slopes, part);
                }
            }
            else
            {
                Separately<TLanes, TVector>(band, block, tokens, sums, part);
            }
        }
    }

    /// <summary>Statistics of all windows; and, staged, <c>g_c/D</c> of each channel and <c>−δ/D</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Share<TLanes, TVector>(in QnABand<T> band, int block, T* products, T* slopes, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, depth, period, side) = (_shape.Lanes, _shape.Depth, _shape.Period, _shape.Side);
        var step = (long)_shape.Stride * lanes;
        var planeSize = (long)band.Rows * _shape.PaddedWidth * lanes;
        var (windowStep, outputStep) = (_shape.Columns, _shape.OutputStep);
        for (var row = 0; row < band.Rows; row++)
        {
            for (var column = 0; column < _shape.PaddedWidth; column += QnAShape.Tile)
            {
                var source = products + (row * _shape.Stride * band.RowSize) + (column * step);
                var target = slopes + ((((long)row * _shape.PaddedWidth) + column) * lanes);
                var windows = Math.Min(QnAShape.Tile, _shape.OutputWidth - column);
                Correlation.OfTile<TLanes, TVector, T>(
                    source + (depth * band.PlaneSize), band.RowSize, step, _tables.Exponentials + (block * lanes),
                    _shape.Columns, side, side, sums);
                var deltas = target + (depth * planeSize);
                var place = _shape.Window(band.Image, band.First + row, column) + (block * lanes);
                var reciprocals = _statistics.Reciprocals + place;
                for (var window = 0; window < windows; window++)
                {
                    TLanes.Store(
                        TLanes.Divide(TLanes.Broadcast(T.One), TLanes.Load(sums + (window * lanes))),
                        reciprocals + (window * windowStep));
                    TLanes.Store(TLanes.Zero, deltas + (window * lanes));
                }
                var outputs = SlopesOf(band, row, column, block);
                for (var channel = 0; channel < depth; channel++)
                {
                    Correlation.OfTile<TLanes, TVector, T>(
                        source + (channel * band.PlaneSize), band.RowSize, step, _tables.Products + (block * lanes),
                        _shape.Columns, side, side, sums);
                    var output = outputs + (channel * period);
                    var slopesOfChannel = target + (channel * planeSize);
                    for (var window = 0; window < windows; window++)
                    {
                        var offset = window * lanes;
                        var slope = TLanes.Multiply(
                            TLanes.Load(reciprocals + (window * windowStep)), TLanes.LoadRepeated(output, period));
                        TLanes.Store(slope, slopesOfChannel + offset);
                        TLanes.Store(
                            TLanes.MultiplyAdd(slope, TLanes.Load(sums + offset), TLanes.Load(deltas + offset)), deltas + offset);
                        output += outputStep;
                    }
                }
                for (var window = 0; window < windows; window++)
                {
                    var delta = TLanes.Load(deltas + (window * lanes));
                    TLanes.Store(delta, _statistics.Deltas + place + (window * windowStep));
                    var reciprocal = TLanes.Load(reciprocals + (window * windowStep));
                    TLanes.Store(
                        TLanes.Subtract(TLanes.Zero, TLanes.Multiply(delta, reciprocal)), deltas + (window * lanes));
                }
            }
        }
    }

    /// <summary>Adds the band's windows to the tables' sums.</summary>
    private void SumOffsets<TLanes, TVector>(in QnABand<T> band, int block, T* products, T* slopes, int part)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, depth) = (_shape.Lanes, _shape.Depth);
        var offsets = stackalloc long[Group];
        var scaleSums = stackalloc T[Group * TLanes.Count];
        var biasSums = stackalloc T[Group * TLanes.Count];
        var planeSize = (long)band.Rows * _shape.PaddedWidth * lanes;
        for (var first = 0; first < _shape.Area; first += Group)
        {
            var count = Math.Min(Group, _shape.Area - first);
            for (var index = 0; index < Group; index++)
            {
                var (row, column) = Math.DivRem(first + Math.Min(index, count - 1), _shape.Side);
                offsets[index] = (row * band.RowSize) + ((long)column * lanes);
            }
            SumGroup<TLanes, TVector>(band, products, slopes, offsets, depth, scaleSums);
            if (_biases is not null)
            {
                SumGroup<TLanes, TVector>(
                    band, products + (depth * band.PlaneSize), slopes + (depth * planeSize), offsets, 1, biasSums);
            }
            for (var index = 0; index < count; index++)
            {
                var place = ((first + index) * (long)_shape.Columns) + (block * lanes);
                var target = (part * (long)_shape.Area * _shape.Columns) + place;
                var sum = TLanes.Load(scaleSums + (index * lanes));
                var exponential = TLanes.Load(_tables.Exponentials + place);
                if (_scales is not null)
                {
                    TLanes.Store(TLanes.MultiplyAdd(exponential, sum, TLanes.Load(_scales + target)), _scales + target);
                }
                if (_biases is not null)
                {
                    var bias = TLanes.MultiplyAdd(
                        exponential, TLanes.Load(biasSums + (index * lanes)),
                        TLanes.Multiply(TLanes.Load(_tables.Products + place), sum));
                    TLanes.Store(TLanes.Add(bias, TLanes.Load(_biases + target)), _biases + target);
                }
            }
        }
    }

    /// <summary><c>Σ_p slope[p] · plane[p + o]</c> for nine offsets, summed over planes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void SumGroup<TLanes, TVector>(
        in QnABand<T> band, T* products, T* slopes, long* offsets, int planes, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var step = (long)_shape.Stride * lanes;
        var planeSize = (long)band.Rows * _shape.PaddedWidth * lanes;
        var (sum0, sum1, sum2) = (TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (sum3, sum4, sum5) = (TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (sum6, sum7, sum8) = (TLanes.Zero, TLanes.Zero, TLanes.Zero);
        var (o0, o1, o2, o3, o4) = (offsets[0], offsets[1], offsets[2], offsets[3], offsets[4]);
        var (o5, o6, o7, o8) = (offsets[5], offsets[6], offsets[7], offsets[8]);
        for (var plane = 0; plane < planes; plane++)
        {
            for (var row = 0; row < band.Rows; row++)
            {
                var source = products + (plane * band.PlaneSize) + (row * _shape.Stride * band.RowSize);
                var slope = slopes + (plane * planeSize) + ((long)row * _shape.PaddedWidth * lanes);
                for (var column = 0; column < _shape.OutputWidth; column++)
                {
                    var weight = TLanes.Load(slope);
                    sum0 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o0), sum0);
                    sum1 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o1), sum1);
                    sum2 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o2), sum2);
                    sum3 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o3), sum3);
                    sum4 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o4), sum4);
                    sum5 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o5), sum5);
                    sum6 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o6), sum6);
                    sum7 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o7), sum7);
                    sum8 = TLanes.MultiplyAdd(weight, TLanes.Load(source + o8), sum8);
                    slope += lanes;
                    source += step;
                }
            }
        }
        TLanes.Store(sum0, sums);
        TLanes.Store(sum1, sums + lanes);
        TLanes.Store(sum2, sums + (2 * lanes));
        TLanes.Store(sum3, sums + (3 * lanes));
        TLanes.Store(sum4, sums + (4 * lanes));
        TLanes.Store(sum5, sums + (5 * lanes));
        TLanes.Store(sum6, sums + (6 * lanes));
        TLanes.Store(sum7, sums + (7 * lanes));
        TLanes.Store(sum8, sums + (8 * lanes));
    }

    private void Separately<TLanes, TVector>(in QnABand<T> band, int block, T* tokens, T* sums, int part)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var tables = part * (long)_shape.Area * _shape.Columns;
        for (var row = 0; row < band.Rows; row++)
        {
            for (var column = 0; column < _shape.OutputWidth; column++)
            {
                var place = _shape.Window(band.Image, band.First + row, column) + (block * _shape.Lanes);
                var window = new QnAWindow<T>(_shape, tokens, band.First + row, column, block);
                window.Normalise<TLanes, TVector>(
                    _tables, _statistics.WindowLargest + place, _statistics.Reciprocals + place, sums);
                window.Differentiate<TLanes, TVector>(
                    _tables, _statistics.WindowLargest + place, _statistics.Reciprocals + place, sums,
                    SlopesOf(band, row, column, block), _statistics.Deltas + place,
                    _biases is null ? null : _biases + tables, _scales is null ? null : _scales + tables);
            }
        }
    }

    private T* SlopesOf(in QnABand<T> band, int row, int column, int block) =>
        _slopes + _shape.Output(band.Image, band.First + row, column, _shape.SetOf(block)) + _shape.HeadOf(block);
}
