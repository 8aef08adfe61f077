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

    /// <summary>Elements of a plane of staged slopes: of two rows of windows.</summary>
    private long SlopePlaneSize => 2L * _shape.PaddedWidth * _shape.Lanes;

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
        var slopePlanes = (_shape.Depth + 1) * SlopePlaneSize;
        var vectors = (long)Math.Max(2 * QnAShape.Tile, _shape.Depth) * lanes;
        var offsetSums = WantsTables ? 2L * OffsetCorrelation.PaddedArea(_shape.Side) * lanes : 0;
        var scratch = Scratch.Begin(
            Scratch.Size<T>(planes) + Scratch.Size<T>(slopePlanes) + Scratch.Size<T>(vectors) + Scratch.Size<T>(offsetSums));
        var workspace = new Workspace
        {
            Products = scratch.Take<T>(planes),
            Slopes = scratch.Take<T>(slopePlanes),
            Sums = scratch.Take<T>(vectors),
            OffsetSums = scratch.Take<T>(offsetSums),
        };
        var tokens = _projected + _shape.Token(band.Image, 0, 0);
        for (var block = 0; block < _shape.Blocks; block++)
        {
            if (_statistics.Shares[(band.Image * _shape.Blocks) + block] != 0)
            {
                var largest = _statistics.Largest + ((long)band.Image * _shape.Columns) + (block * lanes);
                band.Stage<TLanes, TVector>(tokens, block, largest, workspace.Products);
                Share<TLanes, TVector>(band, block, workspace, part);
            }
            else
            {
                Separately<TLanes, TVector>(band, block, tokens, workspace.Sums, part);
            }
        }
    }

    /// <summary>Two rows of windows at a time: their statistics, then what they add to the tables' sums.</summary>
    private void Share<TLanes, TVector>(in QnABand<T> band, int block, in Workspace workspace, int part)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var step = (long)_shape.Stride * _shape.Lanes;
        if (WantsTables)
        {
            new Span<T>(workspace.OffsetSums, 2 * OffsetCorrelation.PaddedArea(_shape.Side) * _shape.Lanes).Clear();
        }
        for (var row = 0; row < band.Rows; row += 2)
        {
            var rows = Math.Min(2, band.Rows - row);
            var source = workspace.Products + (row * _shape.Stride * band.RowSize);
            for (var column = 0; column < _shape.PaddedWidth; column += QnAShape.Tile)
            {
                Share<TLanes, TVector>(band, block, row, rows, column, source + (column * step), workspace);
            }
            if (WantsTables)
            {
                SumOffsets<TLanes, TVector>(band, rows, source, workspace);
            }
        }
        if (WantsTables)
        {
            AddOffsets<TLanes, TVector>(block, workspace.OffsetSums, part);
        }
    }

    /// <summary>
    /// Statistics of eight windows, and of the eight below them where there are two rows; and, staged, <c>g_c/D</c> of each
    /// channel and <c>−δ/D</c>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Share<TLanes, TVector>(
        in QnABand<T> band, int block, int row, int rows, int column, T* source, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, depth, period) = (_shape.Lanes, _shape.Depth, _shape.Period);
        var planeSize = SlopePlaneSize;
        var sums = workspace.Sums;
        var (windowStep, outputStep) = (_shape.Columns, _shape.OutputStep);
        var target = workspace.Slopes + ((long)column * lanes);
        var (targetDown, sumsDown) = ((long)_shape.PaddedWidth * lanes, (long)QnAShape.Tile * lanes);
        var outputs = SlopesOf(band, row, column, block);
        var outputsDown = (long)_shape.Upsampling * _shape.OutputWidth * outputStep;
        var windows = Math.Min(QnAShape.Tile, _shape.OutputWidth - column);
        var deltas = target + (depth * planeSize);
        var place = _shape.Window(band.Image, band.First + row, column) + (block * lanes);
        var placeDown = (long)_shape.OutputWidth * windowStep;
        Sum<TLanes, TVector>(
            rows, source + (depth * band.PlaneSize), band.RowSize, _tables.Exponentials + (block * lanes), sums);
        for (var below = 0; below < rows; below++)
        {
            var reciprocals = _statistics.Reciprocals + place + (below * placeDown);
            for (var window = 0; window < windows; window++)
            {
                TLanes.Store(
                    TLanes.Divide(TLanes.Broadcast(T.One), TLanes.Load(sums + (below * sumsDown) + (window * lanes))),
                    reciprocals + (window * windowStep));
                TLanes.Store(TLanes.Zero, deltas + (below * targetDown) + (window * lanes));
            }
        }
        for (var channel = 0; channel < depth; channel++)
        {
            Sum<TLanes, TVector>(
                rows, source + (channel * band.PlaneSize), band.RowSize, _tables.Products + (block * lanes), sums);
            for (var below = 0; below < rows; below++)
            {
                var reciprocals = _statistics.Reciprocals + place + (below * placeDown);
                var output = outputs + (below * outputsDown) + (channel * period);
                var slopesOfChannel = target + (channel * planeSize) + (below * targetDown);
                var deltasOfRow = deltas + (below * targetDown);
                var sumsOfRow = sums + (below * sumsDown);
                for (var window = 0; window < windows; window++)
                {
                    var slope = TLanes.Multiply(TLanes.Load(reciprocals), TLanes.LoadRepeated(output, period));
                    TLanes.Store(slope, slopesOfChannel);
                    TLanes.Store(TLanes.MultiplyAdd(slope, TLanes.Load(sumsOfRow), TLanes.Load(deltasOfRow)), deltasOfRow);
                    reciprocals += windowStep;
                    output += outputStep;
                    slopesOfChannel += lanes;
                    deltasOfRow += lanes;
                    sumsOfRow += lanes;
                }
            }
        }
        for (var below = 0; below < rows; below++)
        {
            var window = place + (below * placeDown);
            var deltasOfRow = deltas + (below * targetDown);
            for (var index = 0; index < windows; index++)
            {
                var delta = TLanes.Load(deltasOfRow);
                TLanes.Store(delta, _statistics.Deltas + window);
                var reciprocal = TLanes.Load(_statistics.Reciprocals + window);
                TLanes.Store(TLanes.Subtract(TLanes.Zero, TLanes.Multiply(delta, reciprocal)), deltasOfRow);
                window += windowStep;
                deltasOfRow += lanes;
            }
        }
    }

    /// <summary>The sums of one row's tile, or of two rows'.</summary>
    private void Sum<TLanes, TVector>(int rows, T* plane, long rowSize, T* table, T* sums)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (stride, side) = (_shape.Stride, _shape.Side);
        if (rows == 2)
        {
            Correlation.OfTwoTiles<TLanes, TVector, T>(plane, rowSize, stride, table, _shape.Columns, side, sums);
        }
        else
        {
            Correlation.OfTile<TLanes, TVector, T>(
                plane, rowSize, (long)stride * _shape.Lanes, table, _shape.Columns, side, side, sums);
        }
    }

    /// <summary>Adds one or two rows of windows to the sums of all offsets, plane by plane: what they see is near.</summary>
    private void SumOffsets<TLanes, TVector>(in QnABand<T> band, int rows, T* source, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var plane = 0; plane <= _shape.Depth; plane++)
        {
            if (plane == _shape.Depth && _biases is null)
            {
                return;
            }
            var ofExponentials = plane == _shape.Depth ? OffsetCorrelation.PaddedArea(_shape.Side) * _shape.Lanes : 0;
            OffsetCorrelation.Add<TLanes, TVector, T>(
                source + (plane * band.PlaneSize), band.RowSize, workspace.Slopes + (plane * SlopePlaneSize),
                (long)_shape.PaddedWidth * _shape.Lanes, rows, _shape.OutputWidth, _shape.Stride, _shape.Side,
                workspace.OffsetSums + ofExponentials);
        }
    }

    /// <summary>Adds a band's sums of all offsets to the part's.</summary>
    private void AddOffsets<TLanes, TVector>(int block, T* sums, int part)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var biasSums = sums + (OffsetCorrelation.PaddedArea(_shape.Side) * lanes);
        for (var offset = 0; offset < _shape.Area; offset++)
        {
            var place = (offset * (long)_shape.Columns) + (block * lanes);
            var target = (part * (long)_shape.Area * _shape.Columns) + place;
            var sum = TLanes.Load(sums + (offset * lanes));
            var exponential = TLanes.Load(_tables.Exponentials + place);
            if (_scales is not null)
            {
                TLanes.Store(TLanes.MultiplyAdd(exponential, sum, TLanes.Load(_scales + target)), _scales + target);
            }
            if (_biases is not null)
            {
                var bias = TLanes.MultiplyAdd(
                    exponential, TLanes.Load(biasSums + (offset * lanes)),
                    TLanes.Multiply(TLanes.Load(_tables.Products + place), sum));
                TLanes.Store(TLanes.Add(bias, TLanes.Load(_biases + target)), _biases + target);
            }
        }
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

    private struct Workspace
    {
        /// <summary>Products of each channel, then exponentials.</summary>
        public T* Products;

        /// <summary>Two rows of <c>g_c/D</c> of each channel, then of <c>−δ/D</c>.</summary>
        public T* Slopes;

        /// <summary>The sums of two tiles of windows, or of one window's channels.</summary>
        public T* Sums;

        /// <summary>A vector for each offset, padded to whole groups: of all channels; then of the exponentials.</summary>
        public T* OffsetSums;
    }
}
