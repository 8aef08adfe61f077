using System.Numerics;
using System.Runtime.CompilerServices;
using LocalAttention.Core.Kernels.Simd;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// Sums over large windows in time that does not grow with the window: as products of spectra, over tiles of 64×64
/// positions. Two channels are one complex plane, for their table is the same and real: its spectrum multiplies both.
/// </summary>
/// <remarks>
/// A transform's rounding is that of its whole tile, not of the window: <see cref="Suits"/> says where that is harmless. The
/// time of a tile is that of direct sums over a window of about 7×7.
/// </remarks>
internal readonly unsafe struct QnASpectra<T> : IDisposable
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>The smallest window for which transforms are faster than sums.</summary>
    private const int SmallestSide = 9;

    /// <summary>
    /// How many times a window's own magnitude the tile's may be: the largest error of a transform of 64² numbers is some 12
    /// units in the last place of the tile's norm, so that 64 leaves 4·10⁻⁵ at worst in single precision, and some 10⁻⁶ for
    /// errors of random sign.
    /// </summary>
    private const double LargestRatio = 64;

    /// <summary>How many times a channel's magnitude that of the channel which shares its transform may be.</summary>
    private const double LargestPair = 8;

    private const int Side = FourierTransform.Length;

    /// <summary>
    /// Columns from one row to the next: one more than a row has, so that a column's elements do not all fall in the same
    /// set of the cache.
    /// </summary>
    private const int Pitch = Side + 1;

    private readonly QnAShape _shape;
    private readonly Tensor _spectra;

    private QnASpectra(in QnAShape shape, Tensor spectra) => (_shape, _spectra) = (shape, spectra);

    /// <summary>Whether a layer's windows are summed so.</summary>
    public static bool Serves(in QnAShape shape, in QnATables<T> tables) =>
        shape.Stride == 1 && !tables.IsFlat && shape.Side >= SmallestSide && shape.Side <= Side / 2
        && shape.OutputHeight > shape.Side && shape.OutputWidth > shape.Side;

    /// <summary>Elements of working memory.</summary>
    public static long WorkSize(in QnAShape shape) => 2L * Side * Pitch * shape.Lanes;

    /// <summary>
    /// Windows of a tile along a side of the map: all, where the positions that a circular sum would confuse lie outside the
    /// map, else as many as see 64 positions.
    /// </summary>
    public static int WindowsAlong(in QnAShape shape, int length) =>
        length + shape.Padding <= Side && length == ((length + (2 * shape.Padding) - shape.Side) / shape.Stride) + 1
            ? length
            : Side - shape.Side + 1;

    /// <summary>The spectra of the tables' products, conjugated and divided by the 64² that transforms there and back leave.</summary>
    public static QnASpectra<T> Of(in QnAShape shape, in QnATables<T> tables)
    {
        var dtype = typeof(T) == typeof(double) ? ScalarType.Float64 : ScalarType.Float32;
        var spectra = zeros(shape.Blocks, WorkSize(shape), dtype: dtype);
        var kernel = new Transform(shape, tables, TensorPointer.Of<T>(spectra));
        Kernel.Run<Transform, T>(kernel, shape.Blocks);
        return new QnASpectra<T>(shape, spectra);
    }

    /// <inheritdoc/>
    public void Dispose() => _spectra?.Dispose();

    /// <summary>
    /// Whether transforms of a band's channel are as good as sums: its numbers are finite, none stands out, and no window's
    /// denominator is small beside the tile.
    /// </summary>
    /// <param name="tables">The tables.</param>
    /// <param name="block">The vector of scores.</param>
    /// <param name="exponentials">The staged exponentials.</param>
    /// <param name="count">How many elements they are.</param>
    /// <param name="reciprocals">One over the denominators of the band's windows.</param>
    /// <param name="rows">Rows of windows.</param>
    public bool Suits<TLanes, TVector>(
        in QnATables<T> tables, int block, T* exponentials, long count, T* reciprocals, int rows)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var norm = SumOfSquares<TLanes, TVector>(exponentials, count, lanes);
        var weight = SumOfSquares<TLanes, TVector>(
            tables.Products + (block * lanes), (long)_shape.Area * _shape.Columns, _shape.Columns);
        var largest = TLanes.Zero;
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < _shape.OutputWidth; column++)
            {
                largest = TLanes.Max(largest, TLanes.Load(reciprocals + ((((long)row * _shape.PaddedWidth) + column) * lanes)));
            }
        }
        var ratio = TLanes.Multiply(TLanes.Multiply(norm, weight), TLanes.Multiply(largest, largest));
        return TLanes.Largest(ratio) <= T.CreateTruncating(LargestRatio * LargestRatio);
    }

    /// <summary>Whether no element of a plane stands out, nor is infinite or NaN.</summary>
    /// <param name="plane">The plane.</param>
    /// <param name="count">How many elements it has.</param>
    /// <param name="inside">How many vectors of them lie inside the map.</param>
    /// <param name="squares">Receives the sums of the elements' squares; a vector.</param>
    public static bool IsEven<TLanes, TVector>(T* plane, long count, long inside, T* squares)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var sum = SumOfSquares<TLanes, TVector>(plane, count, TLanes.Count);
        TLanes.Store(sum, squares);
        var peak = TLanes.Zero;
        for (var index = 0L; index < count; index += TLanes.Count)
        {
            peak = TLanes.Max(peak, TLanes.Abs(TLanes.Load(plane + index)));
        }
        var most = TLanes.Multiply(sum, TLanes.Broadcast(T.CreateTruncating(LargestRatio * LargestRatio / inside)));
        return T.IsFinite(TLanes.Sum(sum)) && NoneExceeds<TLanes, TVector>(TLanes.Multiply(peak, peak), most);
    }

    /// <summary>
    /// Whether two channels may share a transform: the larger one's rounding falls on both, so that neither may be much
    /// smaller.
    /// </summary>
    /// <param name="first">The sums of the first channel's squares; a vector.</param>
    /// <param name="second">The second's.</param>
    public static bool AreAlike<TLanes, TVector>(T* first, T* second)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var (left, right) = (TLanes.Load(first), TLanes.Load(second));
        var most = TLanes.Multiply(TLanes.Broadcast(T.CreateTruncating(LargestPair * LargestPair)), TLanes.Min(left, right));
        return NoneExceeds<TLanes, TVector>(TLanes.Max(left, right), most);
    }

    private static bool NoneExceeds<TLanes, TVector>(TVector values, TVector most)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct =>
        TLanes.Largest(TLanes.WhereLess(most, values, TLanes.Broadcast(T.One), TLanes.Zero)) <= T.Zero;

    /// <summary>
    /// The sums of a tile of windows for two channels: <paramref name="work"/> then holds, row by row and
    /// <see cref="RowSize"/> apart, the first channel's, and in its second half the second's.
    /// </summary>
    /// <param name="block">The vector of scores.</param>
    /// <param name="first">The first channel's plane, from the tile's first column on.</param>
    /// <param name="second">The second's, or none.</param>
    /// <param name="rowSize">Elements from one row of a plane to the next.</param>
    /// <param name="stagedRows">Rows of the planes.</param>
    /// <param name="stagedColumns">Columns of the planes, from the tile's first on.</param>
    /// <param name="windowRows">Rows of windows.</param>
    /// <param name="work">Working memory.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Sum<TLanes, TVector>(
        int block, T* first, T* second, long rowSize, int stagedRows, int stagedColumns, int windowRows, T* work)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var lanes = _shape.Lanes;
        var pitch = (long)Pitch * lanes;
        var real = work;
        var imaginary = work + (Side * pitch);
        var columns = Math.Min(stagedColumns, Side);
        for (var row = 0; row < Side; row++)
        {
            var targetReal = real + (row * pitch);
            var targetImaginary = imaginary + (row * pitch);
            CopyRow(row < stagedRows ? first + (row * rowSize) : null, targetReal, columns);
            CopyRow(row < stagedRows && second is not null ? second + (row * rowSize) : null, targetImaginary, columns);
            FourierTransform.Apply<TLanes, TVector, T>(targetReal, targetImaginary, lanes, 8 * lanes);
        }
        for (var column = 0; column < Side; column++)
        {
            FourierTransform.Apply<TLanes, TVector, T>(real + (column * lanes), imaginary + (column * lanes), pitch, 8 * pitch);
        }
        var spectrum = TensorPointer.Of<T>(_spectra) + (block * WorkSize(_shape));
        Multiply<TLanes, TVector>(real, imaginary, spectrum, spectrum + (Side * pitch), Side * pitch);
        for (var column = 0; column < Side; column++)
        {
            FourierTransform.Apply<TLanes, TVector, T>(imaginary + (column * lanes), real + (column * lanes), 8 * pitch, pitch);
        }
        for (var row = 0; row < windowRows; row++)
        {
            FourierTransform.Apply<TLanes, TVector, T>(imaginary + (row * pitch), real + (row * pitch), 8 * lanes, lanes);
        }
    }

    /// <summary>Elements from one row of sums to the next.</summary>
    public static long RowSize(in QnAShape shape) => (long)Pitch * shape.Lanes;

    /// <summary>Elements from the first channel's sums to the second's.</summary>
    public static long SecondChannel(in QnAShape shape) => (long)Side * Pitch * shape.Lanes;

    private void CopyRow(T* source, T* target, int columns)
    {
        var all = new Span<T>(target, Side * _shape.Lanes);
        if (source is null)
        {
            all.Clear();
            return;
        }
        new ReadOnlySpan<T>(source, columns * _shape.Lanes).CopyTo(all);
        all[(columns * _shape.Lanes)..].Clear();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Multiply<TLanes, TVector>(T* real, T* imaginary, T* otherReal, T* otherImaginary, long count)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        for (var index = 0L; index < count; index += TLanes.Count)
        {
            var (r, i) = (TLanes.Load(real + index), TLanes.Load(imaginary + index));
            var (s, j) = (TLanes.Load(otherReal + index), TLanes.Load(otherImaginary + index));
            TLanes.Store(TLanes.Subtract(TLanes.Multiply(r, s), TLanes.Multiply(i, j)), real + index);
            TLanes.Store(TLanes.MultiplyAdd(r, j, TLanes.Multiply(i, s)), imaginary + index);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static TVector SumOfSquares<TLanes, TVector>(T* elements, long count, long step)
        where TLanes : struct, ILanes<TVector, T>
        where TVector : struct
    {
        var sum = TLanes.Zero;
        for (var index = 0L; index < count; index += step)
        {
            var element = TLanes.Load(elements + index);
            sum = TLanes.MultiplyAdd(element, element, sum);
        }
        return sum;
    }

    /// <summary>Transforms the tables, a vector of scores each.</summary>
    private readonly struct Transform(QnAShape shape, QnATables<T> tables, T* spectra) : IKernel<T>
    {
        public void Run<TLanes, TVector>(long begin, long end)
            where TLanes : struct, ILanes<TVector, T>
            where TVector : struct
        {
            var lanes = shape.Lanes;
            var pitch = (long)Pitch * lanes;
            var scale = TLanes.Broadcast(T.CreateTruncating(1.0 / (Side * Side)));
            for (var block = begin; block < end; block++)
            {
                var real = spectra + (block * WorkSize(shape));
                var imaginary = real + (Side * pitch);
                for (var offset = 0; offset < shape.Area; offset++)
                {
                    var (row, column) = Math.DivRem(offset, shape.Side);
                    TLanes.Store(
                        TLanes.Load(tables.Products + ((long)offset * shape.Columns) + (block * lanes)),
                        real + (row * pitch) + (column * lanes));
                }
                for (var row = 0; row < shape.Side; row++)
                {
                    FourierTransform.Apply<TLanes, TVector, T>(real + (row * pitch), imaginary + (row * pitch), lanes, 8 * lanes);
                }
                for (var column = 0; column < Side; column++)
                {
                    FourierTransform.Apply<TLanes, TVector, T>(
                        real + (column * lanes), imaginary + (column * lanes), pitch, 8 * pitch);
                }
                for (var index = 0L; index < Side * pitch; index += lanes)
                {
                    TLanes.Store(TLanes.Multiply(scale, TLanes.Load(real + index)), real + index);
                    TLanes.Store(
                        TLanes.Subtract(TLanes.Zero, TLanes.Multiply(scale, TLanes.Load(imaginary + index))), imaginary + index);
                }
            }
        }
    }
}
