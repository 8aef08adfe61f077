using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// The outputs of bands of windows. With <c>E = e^{S − m}</c> computed once for each position,
/// <code>
/// y[p,n,c] = Σ_i ( Σ_o e^P A [o,i,n] · (E·V)[p+o,i,n,c] ) / ( Σ_o e^P [o,i,n] · E[p+o,i,n] )
/// </code>
/// are correlations of planes with tables. Bands whose scores spread too far for that go window by window
/// (<see cref="QnAWindow{T}"/>).
/// </summary>
internal readonly unsafe struct QnAForward<TStored, T, TStorage> : IKernel<T>
    where TStored : unmanaged
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
    where TStorage : struct, IStorage<TStored, T>
{
    // From this side on two passes over rows and columns beat one over the window.
    private const int SmallestSeparable = 5;

    private readonly QnAShape _shape;
    private readonly QnATables<T> _tables;
    private readonly QnASpectra<T>? _spectra;
    private readonly TStored* _projected;
    private readonly TStored* _output;
    private readonly int _bandRows;
    private readonly int _bands;

    /// <summary>The pass.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="tables">Biases and scales.</param>
    /// <param name="spectra">The tables' spectra, where windows are large enough for them.</param>
    /// <param name="projected">Projected tokens.</param>
    /// <param name="output">Receives the output.</param>
    public QnAForward(
        in QnAShape shape, in QnATables<T> tables, QnASpectra<T>? spectra, TStored* projected, TStored* output)
    {
        (_shape, _tables, _spectra) = (shape, tables, spectra);
        _projected = projected;
        _output = output;
        _bandRows = spectra is null ? QnABands.RowsOf<T>(shape) : QnASpectra<T>.WindowsAlong(shape, shape.Height);
        _bands = (shape.OutputHeight + _bandRows - 1) / _bandRows;
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
            Run<TLanes, TVector>(new QnABand<T>(_shape, image, first, Math.Min(_bandRows, _shape.OutputHeight - first)));
        }
    }

    private void Run<TLanes, TVector>(in QnABand<T> band)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var converts = typeof(TStored) != typeof(T);
        var rowTokens = (long)_shape.Width * _shape.TokenWidth;
        var converted = converts ? (band.EndInside - band.FirstInside) * rowTokens : 0;
        var outputSize = (long)band.Rows * _shape.OutputWidth * _shape.Sets * _shape.ValueWidth;
        // What needs no other order or type is summed where it belongs.
        var isOutput = !converts && _shape.Sets == 1;
        var planes = (_shape.Depth + 1) * band.PlaneSize;
        var flat = _tables.IsFlat && _shape.Side >= SmallestSeparable ? (long)band.StagedRows * _shape.PaddedWidth * lanes : 0;
        var reciprocals = (long)band.Rows * _shape.PaddedWidth * lanes;
        var spectral = _spectra is null ? 0 : QnASpectra<T>.WorkSize(_shape);
        var scratch = Scratch.Begin(
            Scratch.Size<T>(converted) + Scratch.Size<T>(isOutput ? 0 : outputSize) + Scratch.Size<T>(planes)
            + Scratch.Size<T>(flat) + Scratch.Size<T>(reciprocals) + Scratch.Size<T>(spectral)
            + Scratch.Size<T>(((2 * QnAShape.Tile) + 2 + _shape.Depth) * lanes));
        var workspace = new Workspace
        {
            Output = isOutput
                ? (T*)(_output + _shape.Output(band.Image, band.First, 0, 0))
                : scratch.Take<T>(outputSize),
            Planes = scratch.Take<T>(planes),
            RowSums = flat > 0 ? scratch.Take<T>(flat) : null,
            Reciprocals = scratch.Take<T>(reciprocals),
            Spectral = scratch.Take<T>(spectral),
        };
        var vectors = scratch.Take<T>(((2 * QnAShape.Tile) + 2 + _shape.Depth) * lanes);
        workspace.Largest = vectors;
        workspace.Ones = vectors + lanes;
        workspace.Sums = vectors + (2 * lanes);
        TLanes.Store(TLanes.Broadcast(T.One), workspace.Ones);
        var tokens = (T*)(_projected + _shape.Token(band.Image, 0, 0));
        if (converts)
        {
            var buffer = scratch.Take<T>(converted);
            TStorage.Read(_projected + _shape.Token(band.Image, band.FirstInside, 0), buffer, converted);
            tokens = buffer - (band.FirstInside * rowTokens);
        }
        new Span<T>(workspace.Output, checked((int)outputSize)).Clear();
        for (var block = 0; block < _shape.Blocks; block++)
        {
            workspace.BlockOutput = workspace.Output + (_shape.SetOf(block) * _shape.ValueWidth) + _shape.HeadOf(block);
            if (QnAMeasure<T>.Of<TLanes, TVector>(
                _shape, tokens, band.FirstInside, band.EndInside, block, _tables.Spread, workspace.Largest))
            {
                band.Stage<TLanes, TVector>(tokens, block, workspace.Largest, workspace.Planes);
                Share<TLanes, TVector>(band, block, workspace);
            }
            else
            {
                Separately<TLanes, TVector>(band, block, tokens, workspace);
            }
        }
        if (!isOutput)
        {
            Write(band, workspace.Output);
        }
    }

    /// <summary>All windows of a band from planes of shared exponentials.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Share<TLanes, TVector>(in QnABand<T> band, int block, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (workspace.RowSums is null && _spectra is null)
        {
            // All channels of a tile in turn, so that its outputs stay near.
            for (var row = 0; row < band.Rows; row += 2)
            {
                for (var column = 0; column < _shape.PaddedWidth; column += QnAShape.Tile)
                {
                    for (var channel = -1; channel < _shape.Depth; channel++)
                    {
                        if (row + 1 < band.Rows)
                        {
                            SumTwoTiles<TLanes, TVector>(band, block, channel, row, column, workspace);
                        }
                        else
                        {
                            SumTile<TLanes, TVector>(band, block, channel, row, column, workspace);
                        }
                    }
                }
            }
            return;
        }
        for (var channel = -1; channel < _shape.Depth; channel++)
        {
            var exponentials = PlaneOf(band, -1, workspace);
            if (channel == 0 && SumSpectra<TLanes, TVector>(band, block, exponentials, workspace))
            {
                return;
            }
            if (workspace.RowSums is not null)
            {
                SumRows<TLanes, TVector>(band, PlaneOf(band, channel, workspace), workspace);
            }
            for (var row = 0; row < band.Rows; row++)
            {
                for (var column = 0; column < _shape.PaddedWidth; column += QnAShape.Tile)
                {
                    SumTile<TLanes, TVector>(band, block, channel, row, column, workspace);
                }
            }
        }
    }

    /// <summary>The plane of a channel; of −1: the exponentials.</summary>
    private T* PlaneOf(in QnABand<T> band, int channel, in Workspace workspace) =>
        workspace.Planes + ((channel < 0 ? _shape.Depth : channel) * band.PlaneSize);

    /// <summary>A channel of eight windows; −1: their denominators.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SumTile<TLanes, TVector>(
        in QnABand<T> band, int block, int channel, int row, int column, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        Sum<TLanes, TVector>(
            band, PlaneOf(band, channel, workspace), TableOf(block, channel), row, column, workspace);
        Finish<TLanes, TVector>(channel, row, column, workspace.Sums, workspace);
    }

    /// <summary>A channel of eight windows and of the eight below them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SumTwoTiles<TLanes, TVector>(
        in QnABand<T> band, int block, int channel, int row, int column, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, stride) = (_shape.Lanes, _shape.Stride);
        Correlation.OfTwoTiles<TLanes, TVector, T>(
            PlaneOf(band, channel, workspace) + (row * stride * band.RowSize) + ((long)column * stride * lanes), band.RowSize,
            stride, TableOf(block, channel), _shape.Columns, _shape.Side, workspace.Sums);
        Finish<TLanes, TVector>(channel, row, column, workspace.Sums, workspace);
        Finish<TLanes, TVector>(channel, row + 1, column, workspace.Sums + (QnAShape.Tile * lanes), workspace);
    }

    private T* TableOf(int block, int channel) =>
        (channel < 0 ? _tables.Exponentials : _tables.Products) + (block * _shape.Lanes);

    /// <summary>What follows the sums of eight windows: of denominators or of a channel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Finish<TLanes, TVector>(int channel, int row, int column, T* sums, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (channel < 0)
        {
            Invert<TLanes, TVector>(
                sums, workspace.Reciprocals + ((((long)row * _shape.PaddedWidth) + column) * _shape.Lanes));
        }
        else
        {
            Add<TLanes, TVector>(channel, row, column, _shape.OutputWidth - column, sums, workspace);
        }
    }

    /// <summary>The weighted sums of eight windows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Sum<TLanes, TVector>(in QnABand<T> band, T* plane, T* table, int row, int column, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var (stride, side) = (_shape.Stride, _shape.Side);
        if (workspace.RowSums is null)
        {
            Correlation.OfTile<TLanes, TVector, T>(
                plane + (row * stride * band.RowSize) + ((long)column * stride * lanes), band.RowSize, (long)stride * lanes,
                table, _shape.Columns, side, side, workspace.Sums);
        }
        else
        {
            // All positions weigh alike, so that the table's first row is every row.
            var rowSize = (long)_shape.PaddedWidth * lanes;
            Correlation.OfTile<TLanes, TVector, T>(
                workspace.RowSums + (row * stride * rowSize) + ((long)column * lanes), rowSize, lanes,
                table, 0, side, 1, workspace.Sums);
        }
    }

    /// <summary>The sums of a plane over the windows' columns, for all of its rows.</summary>
    private void SumRows<TLanes, TVector>(in QnABand<T> band, T* plane, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        for (var row = 0; row < band.StagedRows; row++)
        {
            for (var column = 0; column < _shape.PaddedWidth; column += QnAShape.Tile)
            {
                Correlation.OfTile<TLanes, TVector, T>(
                    plane + (row * band.RowSize) + ((long)column * _shape.Stride * lanes), 0, (long)_shape.Stride * lanes,
                    workspace.Ones, 0, 1, _shape.Side, workspace.RowSums + ((((long)row * _shape.PaddedWidth) + column) * lanes));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Invert<TLanes, TVector>(T* sums, T* reciprocals)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var window = 0; window < QnAShape.Tile; window++)
        {
            var place = window * TLanes.Count;
            TLanes.Store(TLanes.Divide(TLanes.Broadcast(T.One), TLanes.Load(sums + place)), reciprocals + place);
        }
    }

    /// <summary>Divides the sums of at most eight windows of a row, and adds them over the queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add<TLanes, TVector>(
        int channel, int row, int column, int windows, T* sums, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (lanes, period) = (_shape.Lanes, _shape.Period);
        var step = _shape.Sets * _shape.ValueWidth;
        var reciprocals = workspace.Reciprocals + ((((long)row * _shape.PaddedWidth) + column) * lanes);
        var target = OutputOf(row, column, workspace) + (channel * period);
        for (var window = 0; window < Math.Min(QnAShape.Tile, windows); window++)
        {
            TLanes.AddRepeated(TLanes.Multiply(TLanes.Load(sums), TLanes.Load(reciprocals)), target, period);
            sums += lanes;
            reciprocals += lanes;
            target += step;
        }
    }

    /// <summary>All channels by the tables' spectra, where there are such and they suit the band's numbers.</summary>
    private bool SumSpectra<TLanes, TVector>(in QnABand<T> band, int block, T* exponentials, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        if (_spectra is not { } spectra
            || !spectra.Suits<TLanes, TVector>(
                _tables, block, exponentials, band.PlaneSize, workspace.Reciprocals, band.Rows))
        {
            return false;
        }
        var inside = (long)(band.EndInside - band.FirstInside) * _shape.Width;
        for (var channel = 0; channel < _shape.Depth; channel++)
        {
            var plane = workspace.Planes + (channel * band.PlaneSize);
            if (!QnASpectra<T>.IsEven<TLanes, TVector>(
                plane, band.PlaneSize, inside, workspace.Sums + (channel * _shape.Lanes)))
            {
                return false;
            }
        }
        var lanes = _shape.Lanes;
        var width = QnASpectra<T>.WindowsAlong(_shape, _shape.Width);
        for (var channel = 0; channel < _shape.Depth;)
        {
            var plane = workspace.Planes + (channel * band.PlaneSize);
            var squares = workspace.Sums + (channel * lanes);
            var isPair = channel + 1 < _shape.Depth && QnASpectra<T>.AreAlike<TLanes, TVector>(squares, squares + lanes);
            for (var left = 0; left < _shape.OutputWidth; left += width)
            {
                var first = plane + ((long)left * lanes);
                spectra.Sum<TLanes, TVector>(
                    block, first, isPair ? first + band.PlaneSize : null, band.RowSize, band.StagedRows,
                    QnABand<T>.StagedColumnsOf(_shape) - left, band.Rows, workspace.Spectral);
                var windows = Math.Min(width, _shape.OutputWidth - left);
                for (var row = 0; row < band.Rows; row++)
                {
                    var sums = workspace.Spectral + (row * QnASpectra<T>.RowSize(_shape));
                    for (var column = 0; column < windows; column += QnAShape.Tile)
                    {
                        var tile = sums + ((long)column * lanes);
                        Add<TLanes, TVector>(channel, row, left + column, windows - column, tile, workspace);
                        if (isPair)
                        {
                            tile += QnASpectra<T>.SecondChannel(_shape);
                            Add<TLanes, TVector>(channel + 1, row, left + column, windows - column, tile, workspace);
                        }
                    }
                }
            }
            channel += isPair ? 2 : 1;
        }
        return true;
    }

    private void Separately<TLanes, TVector>(in QnABand<T> band, int block, T* tokens, in Workspace workspace)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var row = 0; row < band.Rows; row++)
        {
            for (var column = 0; column < _shape.OutputWidth; column++)
            {
                var window = new QnAWindow<T>(_shape, tokens, band.First + row, column, block);
                window.Attend<TLanes, TVector>(_tables, workspace.Sums, OutputOf(row, column, workspace));
            }
        }
    }

    /// <summary>Where a band keeps the output of a window, from the first head of a vector of scores on.</summary>
    private T* OutputOf(int row, int column, in Workspace workspace) =>
        workspace.BlockOutput + ((((long)row * _shape.OutputWidth) + column) * _shape.Sets * _shape.ValueWidth);

    private void Write(in QnABand<T> band, T* output)
    {
        for (var row = 0; row < band.Rows; row++)
        {
            var width = _shape.Sets == 1 ? _shape.OutputWidth : 1;
            for (var column = 0; column < _shape.OutputWidth; column += width)
            {
                for (var set = 0; set < _shape.Sets; set++)
                {
                    var source = output
                        + ((((((long)row * _shape.OutputWidth) + column) * _shape.Sets) + set) * _shape.ValueWidth);
                    TStorage.Write(
                        source, _output + _shape.Output(band.Image, band.First + row, column, set),
                        (long)width * _shape.ValueWidth);
                }
            }
        }
    }

    private struct Workspace
    {
        /// <summary>The band's outputs, <c>[rows, W', sets, values]</c>; they may be part of the output itself.</summary>
        public T* Output;

        /// <summary>Where the first head of a vector of scores begins in them: found once, as it takes divisions.</summary>
        public T* BlockOutput;

        /// <summary>Products of each channel, then exponentials.</summary>
        public T* Planes;

        /// <summary>A plane's sums over windows' columns, where tables are flat.</summary>
        public T* RowSums;

        /// <summary>One over the denominators, <c>[rows, padded W', lanes]</c>.</summary>
        public T* Reciprocals;

        /// <summary>What transforms need.</summary>
        public T* Spectral;

        /// <summary>The largest scores; a vector.</summary>
        public T* Largest;

        /// <summary>A vector of ones.</summary>
        public T* Ones;

        /// <summary>The sums of two tiles of windows, or of one window's channels.</summary>
        public T* Sums;
    }
}
