using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using static TorchSharp.torch;

namespace LocalAttention.Core.Export;

/// <summary>
/// Query-and-attend as nodes; what <see cref="QnALayer"/> computes. What follows from the learned queries alone is computed when
/// the file is written: the matrix of all scores, the position table, the scale.
/// </summary>
/// <remarks>
/// <c>exp(score + position)</c> is a factor of the token times one of its place in the window, so that a softmax's sums over
/// windows are convolutions (arXiv 2112.11435, section 4.2). In float32 that holds while scores of a map differ by less than
/// exponentials can span. Layer norms bound by how much they can differ, whatever the image; where the bound is too high, scores
/// and values are gathered for every window instead, which is exact for any score and takes several times as long.
/// </remarks>
internal sealed class QnANodes
{
    // exp(-80) to exp(60) are numbers of float32 with room for a window's sum of them times values.
    private const double LargestRange = 140;
    private const double LowestExponent = 80;

    private readonly OnnxGraph _graph;
    private readonly ModelPart _part;
    private readonly QnAAttention _attention;
    private readonly QnALayer _layer;
    private readonly WindowGrid _windows;
    private readonly int _sets;
    private readonly long _width;
    private readonly OnnxValue _map;
    private readonly OnnxValue _scores;
    private readonly OnnxValue _values;

    private QnANodes(
        OnnxGraph graph, ModelPart part, QnAAttention attention, OnnxValue map, int stride, int upsampling, bool pooling)
    {
        (_graph, _part, _attention, _map) = (graph, part, attention, map);
        _layer = part.Layer<QnALayer>();
        _windows = new WindowGrid(attention.Window, stride, pooling ? 0 : (attention.Window - 1) / 2);
        _sets = upsampling * upsampling;
        _width = part.Parameter("query").size(1);
        _scores = graph.At("scores").Linear(
            part.NameOf("scores"), map, map.Width, Columns, () => _layer.InferenceTables().Keys,
            attention.Bias ? () => _layer.InferenceTables().KeyBias! : null);
        _values = graph.At("to_v").Linear(part["to_v"], map);
    }

    private int Heads => _attention.Heads;

    private int AllQueries => _sets * _attention.Queries;

    private long Columns => (long)AllQueries * Heads;

    private long HeadWidth => _width / Heads;

    private long Height => _windows.CountAlong(_map.Shape[1]);

    private long Breadth => _windows.CountAlong(_map.Shape[2]);

    /// <summary><c>[B, H, W, C_in]</c> to <c>[B, H', W', C_out]</c>.</summary>
    /// <param name="graph">The graph, at the attention's place.</param>
    /// <param name="part">The layer's parameters.</param>
    /// <param name="attention">What the layer does.</param>
    /// <param name="norm">The layer norm that the map comes from.</param>
    /// <param name="map">What enters the layer.</param>
    /// <param name="stride">Step between queries.</param>
    /// <param name="upsampling">How many times larger each side becomes.</param>
    /// <param name="pooling">Whether windows stay inside the map.</param>
    public static OnnxValue Of(
        OnnxGraph graph,
        ModelPart part,
        QnAAttention attention,
        ModelPart norm,
        OnnxValue map,
        int stride = 1,
        int upsampling = 1,
        bool pooling = false)
    {
        var nodes = new QnANodes(graph, part, attention, map, stride, upsampling, pooling);
        var range = Range(nodes._layer, norm.Parameter("weight"));
        var aggregated = range < LargestRange ? nodes.Convolved(range) : nodes.Gathered();
        return graph.At("to_out").Linear(part["to_out"], nodes.Arranged(aggregated, upsampling));
    }

    /// <summary>
    /// The most by which two logits of a query can differ: normalised tokens are vectors of a length of at most √C times the
    /// norm's weights, and no more than twice that apart.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="normWeight">The weights of the layer norm before it, <c>[C]</c>.</param>
    internal static double Range(QnALayer layer, Tensor normWeight)
    {
        using var scope = NewDisposeScope();
        var (keys, _, position, _) = layer.InferenceTables();
        var scores = (keys * normWeight).norm(1, keepdim: false, p: 2) * (2 * Math.Sqrt(normWeight.size(0)));
        var places = position is null ? zeros_like(scores) : position.amax([0]) - position.amin([0]);
        return (scores + places).max().to(ScalarType.Float64).item<double>();
    }

    /// <summary>By convolutions: <c>[B, H', W', sets, F]</c>.</summary>
    private OnnxValue Convolved(double range)
    {
        var (height, breadth, places) = (_map.Shape[1], _map.Shape[2], Height * Breadth);
        var scores = _graph.ChannelsFirst(_scores);
        var below = _graph.Subtract(scores, _graph.Largest(scores, 2, 3));
        if (range > LowestExponent)
        {
            below = _graph.Add(below, _graph.Number(range - LowestExponent));
        }
        var exponentials = _graph.Each("Exp", below);
        var weighted = _graph.Reshape(
            _graph.Multiply(
                _graph.Reshape(exponentials, OnnxValue.FromBatch, AllQueries, Heads, 1, height * breadth),
                _graph.Reshape(_graph.ChannelsFirst(_values), OnnxValue.FromBatch, 1, Heads, HeadWidth, height * breadth)),
            OnnxValue.FromBatch, AllQueries * _width, height, breadth);

        var totals = WindowSums(_graph.At("totals"), "position_factors", exponentials, 1, PositionFactors);
        var sums = WindowSums(_graph.At("sums"), "scaled_position_factors", weighted, HeadWidth, () =>
            _layer.InferenceTables().Scale is { } scale ? PositionFactors() * scale : PositionFactors());
        var perQuery = _graph.Divide(
            _graph.Reshape(sums, OnnxValue.FromBatch, AllQueries, Heads, HeadWidth, places),
            _graph.Reshape(totals, OnnxValue.FromBatch, AllQueries, Heads, 1, places));
        var perSet = _graph.Sum(
            _graph.Reshape(perQuery, OnnxValue.FromBatch, _sets, _attention.Queries, _width, Height, Breadth), 2);
        return _graph.Transpose(perSet, 0, 3, 4, 1, 2);
    }

    /// <summary>Each channel's sum over every window, its tokens times the factors of their places.</summary>
    /// <param name="graph">The graph, at the sum's place.</param>
    /// <param name="name">The factors' name.</param>
    /// <param name="map"><c>[B, columns·repeats, H, W]</c>.</param>
    /// <param name="repeats">Channels of a column.</param>
    /// <param name="factors">Factors, <c>[k², columns]</c>.</param>
    private OnnxValue WindowSums(OnnxGraph graph, string name, OnnxValue map, long repeats, Func<Tensor> factors)
    {
        var (channels, side) = (Columns * repeats, _windows.Side);
        var kernel = graph.Weight(_part.NameOf(name), [channels, 1, side, side], () =>
            factors().t().repeat_interleave(repeats, 0).reshape(channels, 1, side, side));
        return graph.Convolve(map, kernel, bias: null, _windows.Stride, _windows.Padding, (int)channels);
    }

    /// <summary>What a place in the window multiplies exponentials by, 1 at most: <c>[k², columns]</c>.</summary>
    private Tensor PositionFactors()
    {
        var (keys, _, position, _) = _layer.InferenceTables();
        return position is null
            ? ones(_windows.Area, Columns, dtype: keys.dtype, device: keys.device)
            : (position - position.amax([0], keepdim: true)).exp();
    }

    /// <summary>By a softmax of what every window sees: <c>[B, H', W', sets, F]</c>.</summary>
    private OnnxValue Gathered()
    {
        var (area, side) = (_windows.Area, _windows.Side);
        var logits = _graph.Reshape(
            _graph.Transpose(Windows(_graph.At("scores"), _scores, double.NegativeInfinity), 0, 2, 4, 5, 1, 3),
            OnnxValue.FromBatch, Height, Breadth, Columns, area);
        if (_attention.Position != PositionBias.None)
        {
            logits = _graph.Add(
                logits, _graph.Weight(_part.NameOf("position"), [Columns, area], () => _layer.InferenceTables().Position!.t()));
        }
        var weights = _graph.Softmax(logits);
        if (_attention.Scale != AttentionScale.None)
        {
            var perPlace = _attention.Scale is AttentionScale.Normal or AttentionScale.Ones ? area : 1;
            weights = _graph.Multiply(
                weights, _graph.Weight(_part.NameOf("scale"), [Columns, perPlace], () => _layer.InferenceTables().Scale!.t()));
        }

        // The sum over queries, and a head's weight beside each of its channels, are one product: [B, k, H', k, W', sets·F].
        var apart = _graph.Transpose(
            _graph.Reshape(weights, OnnxValue.FromBatch, Height, Breadth, Columns, side, side), 0, 4, 1, 5, 2, 3);
        var spread = _graph.MatrixProduct(apart, _graph.Constant("channels of heads", [Columns, _sets * _width], Spread()));
        var gathered = Windows(_graph.At("values"), _values, 0);
        var products = _graph.Multiply(
            _graph.Reshape(spread, OnnxValue.FromBatch, side, Height, side, Breadth, _sets, _width),
            _graph.Reshape(gathered, OnnxValue.FromBatch, side, Height, side, Breadth, 1, _width));
        return _graph.Sum(products, 1, 3);
    }

    /// <summary>What each window sees: <c>[B, k, H', k, W', C]</c>.</summary>
    private OnnxValue Windows(OnnxGraph graph, OnnxValue map, double outside)
    {
        long[] Places(long length) =>
        [
            .. from place in Enumerable.Range(0, _windows.Side)
               from window in Enumerable.Range(0, (int)_windows.CountAlong(length))
               select (long)place + ((long)window * _windows.Stride)
        ];

        var padding = _windows.Padding;
        var extended = graph.Pad(map, 1, padding, padding, padding, padding, outside);
        var rows = graph.Gather(extended, 1, Places(map.Shape[1]), (int)Height);
        return graph.Gather(rows, 3, Places(map.Shape[2]), (int)Breadth);
    }

    /// <summary>1 where a column is of the set and head of a channel: <c>[sets·Nq·h, sets·F]</c>.</summary>
    private float[] Spread()
    {
        var spread = new float[Columns * _sets * _width];
        for (var column = 0; column < Columns; column++)
        {
            var (set, head) = (column / (_attention.Queries * Heads), column % Heads);
            var first = (((long)column * _sets) + set) * _width;
            spread.AsSpan((int)(first + (head * HeadWidth)), (int)HeadWidth).Fill(1);
        }
        return spread;
    }

    /// <summary>From <c>[B, H, W, u², F]</c> to tokens <c>[B, H·u, W·u, F]</c>.</summary>
    private OnnxValue Arranged(OnnxValue aggregated, int upsampling)
    {
        var squares = upsampling == 1
            ? aggregated
            : _graph.Transpose(
                _graph.Reshape(aggregated, OnnxValue.FromBatch, Height, Breadth, upsampling, upsampling, _width), 0, 1, 3, 2, 4, 5);
        return _graph.Reshape(squares, OnnxValue.FromBatch, Height * upsampling, Breadth * upsampling, _width);
    }
}
