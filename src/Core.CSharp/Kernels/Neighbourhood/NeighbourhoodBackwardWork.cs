using System.Numerics;

namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>A thread's scratch memory in the backward pass; rows and planes of keys stand in rings of <c>k</c>.</summary>
internal unsafe struct NeighbourhoodBackwardWork<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>Where tokens stand in the projected map.</summary>
    public NeighbourhoodTokens Tokens;

    /// <summary>Where tokens stand in the output.</summary>
    public NeighbourhoodTokens OutputTokens;

    /// <summary>Planes of keys and of values, <c>[k, d, Reach, lanes]</c>.</summary>
    public T* TurnedKeys, TurnedValues;

    /// <summary>Rows of keys, and slopes of keys and values: <c>[k, sequences of a group, Extended, PaddedDepth]</c>.</summary>
    public T* Keys, KeySlopes, ValueSlopes;

    /// <summary>One row of queries, scaled, and of slopes of the output: planes <c>[d, Segment, lanes]</c>, and rows.</summary>
    public T* TurnedQueries, TurnedSlopes, Queries, Slopes;

    /// <summary>Weights of four queries of each lane and slopes of their scores, <c>[k², 4, lanes]</c>.</summary>
    public T* Weights, ScoreSlopes;

    /// <summary>Slopes of four queries.</summary>
    public T* Mixtures;

    /// <summary>Slopes of a group's biases, laid out as these.</summary>
    public T* BiasSlopes;

    /// <summary>The planes and rows of a window, in its order.</summary>
    public T** WindowTurnedKeys, WindowTurnedValues, WindowKeys, WindowKeySlopes, WindowValueSlopes;

    /// <summary>Takes the memory.</summary>
    public static NeighbourhoodBackwardWork<T> Take(in NeighbourhoodShape shape, bool hasBiases)
    {
        var (window, block) = (shape.Window, NeighbourhoodShape.Block);
        var (planes, rows) = ((long)window * shape.KeyPlane, (long)window * shape.RowSize);
        var scores = (long)shape.Area * block * shape.Lanes;
        var biases = hasBiases ? shape.BiasSize : 0;
        var scratch = Scratch.Begin(
            (2 * NeighbourhoodTokens.Bytes(shape)) + (2 * Scratch.Size<T>(planes)) + (3 * Scratch.Size<T>(rows))
            + (2 * Scratch.Size<T>(shape.QueryPlane)) + (2 * Scratch.Size<T>(shape.RowSize)) + (2 * Scratch.Size<T>(scores))
            + Scratch.Size<T>(block * shape.PaddedDepth) + Scratch.Size<T>(biases) + (5 * Scratch.Size<nint>(window)));
        return new NeighbourhoodBackwardWork<T>
        {
            Tokens = NeighbourhoodTokens.Take(shape, scratch),
            OutputTokens = NeighbourhoodTokens.Take(shape, scratch),
            TurnedKeys = scratch.Take<T>(planes),
            TurnedValues = scratch.Take<T>(planes),
            Keys = scratch.Take<T>(rows),
            KeySlopes = scratch.Take<T>(rows),
            ValueSlopes = scratch.Take<T>(rows),
            TurnedQueries = scratch.Take<T>(shape.QueryPlane),
            TurnedSlopes = scratch.Take<T>(shape.QueryPlane),
            Queries = scratch.Take<T>(shape.RowSize),
            Slopes = scratch.Take<T>(shape.RowSize),
            Weights = scratch.Take<T>(scores),
            ScoreSlopes = scratch.Take<T>(scores),
            Mixtures = scratch.Take<T>(block * shape.PaddedDepth),
            BiasSlopes = scratch.Take<T>(biases),
            WindowTurnedKeys = (T**)scratch.Take<nint>(window),
            WindowTurnedValues = (T**)scratch.Take<nint>(window),
            WindowKeys = (T**)scratch.Take<nint>(window),
            WindowKeySlopes = (T**)scratch.Take<nint>(window),
            WindowValueSlopes = (T**)scratch.Take<nint>(window),
        };
    }

    /// <summary>Says in which place of the rings a row of the window stands.</summary>
    public readonly void Point(in NeighbourhoodShape shape, int row, int slot)
    {
        WindowTurnedKeys[row] = TurnedKeys + ((long)slot * shape.KeyPlane);
        WindowTurnedValues[row] = TurnedValues + ((long)slot * shape.KeyPlane);
        WindowKeys[row] = Keys + ((long)slot * shape.RowSize);
        WindowKeySlopes[row] = KeySlopes + ((long)slot * shape.RowSize);
        WindowValueSlopes[row] = ValueSlopes + ((long)slot * shape.RowSize);
    }
}
