using System.Numerics;
using static TorchSharp.torch;

namespace LocalAttention.Core.Kernels.QnA;

/// <summary>
/// What belongs to the positions of a window, for every column of scores: the bias <c>P</c>, the scale <c>A</c>, and, for
/// windows whose scores are exponentiated once for all, <c>e^{P − max P}</c> and its product with <c>A</c>.
/// </summary>
internal readonly unsafe struct QnATables<T> : IDisposable
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly Tensor? _positions;
    private readonly Tensor _scales;
    private readonly Tensor _products;

    /// <summary>Lays the tables out.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="position"><c>P [k², columns]</c>, or none.</param>
    /// <param name="scale"><c>A [k² or 1, columns]</c>; 0 in columns that only pad.</param>
    public QnATables(in QnAShape shape, Tensor? position, Tensor scale)
    {
        var dtype = typeof(T) == typeof(double) ? ScalarType.Float64 : ScalarType.Float32;
        var (area, columns) = (shape.Area, shape.Columns);
        _positions = position?.to_type(dtype).contiguous();
        _scales = scale.to_type(dtype).contiguous();
        _products = empty(2, area, columns, dtype: dtype);
        Position = _positions is null ? null : TensorPointer.Of<T>(_positions);
        Scale = TensorPointer.Of<T>(_scales);
        ScaleStride = scale.size(0) == 1 ? 0 : columns;
        Exponentials = TensorPointer.Of<T>(_products);
        Products = Exponentials + ((long)area * columns);
        IsFlat = Position is null && ScaleStride == 0;
        Spread = T.Zero;
        for (var column = 0; column < columns; column++)
        {
            var (lowest, highest) = (T.Zero, T.Zero);
            if (Position is not null)
            {
                (lowest, highest) = (T.PositiveInfinity, T.NegativeInfinity);
                for (var offset = 0; offset < area; offset++)
                {
                    var bias = Position[((long)offset * columns) + column];
                    (lowest, highest) = (T.Min(lowest, bias), T.Max(highest, bias));
                }
            }
            Spread = T.Max(Spread, highest - lowest);
            for (var offset = 0; offset < area; offset++)
            {
                var place = ((long)offset * columns) + column;
                Exponentials[place] = Position is null ? T.One : T.Exp(Position[place] - highest);
                var factor = Scale[(offset * ScaleStride) + column];
                Products[place] = Exponentials[place] * factor;
                // A factor that is no number makes the spread none either: then no exponential is shared.
                Spread += factor - factor;
            }
        }
    }

    /// <summary><c>P [k², columns]</c>, or none.</summary>
    public T* Position { get; }

    /// <summary><c>A</c>: a row of columns, <see cref="ScaleStride"/> apart.</summary>
    public T* Scale { get; }

    /// <summary>Elements from one position's scales to the next's: 0 where all are equal.</summary>
    public long ScaleStride { get; }

    /// <summary><c>e^{P − max P} [k², columns]</c>.</summary>
    public T* Exponentials { get; }

    /// <summary><c>e^{P − max P} · A [k², columns]</c>.</summary>
    public T* Products { get; }

    /// <summary>Whether all positions of a window count alike.</summary>
    public bool IsFlat { get; }

    /// <summary>The largest difference of two biases of a column; NaN where a bias or a scale is not finite.</summary>
    public T Spread { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _positions?.Dispose();
        _scales.Dispose();
        _products.Dispose();
    }
}
