using LocalAttention.Core.Kernels;
using LocalAttention.Core.Kernels.Cuda;
using LocalAttention.Core.Kernels.QnA;
using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Query-and-attend (CVPR 2022, arXiv 2112.11435, section 4): learned queries shared by all windows.
/// <code>
/// q̂ = normalise(Q) / √d          [Nq, h, d]
/// S = x · (Wk q̂)                 [B, H, W, Nq·h], without ever forming keys
/// V = x Wv                       [B, H, W, h·d]
/// y = Σ_queries windowed softmax(S + P) · A applied to V
/// output = y Wo
/// </code>
/// Maps <c>[B, H, W, C_in]</c> to <c>[B, H', W', C_out]</c>: <c>H' = ⌈H / stride⌉</c>, one row for a window over the
/// whole map, <c>H·u</c> when upsampling.
/// </summary>
/// <remarks>
/// Parameters have the official Flax names and shapes, except that the projections are PyTorch's: <c>query</c>,
/// <c>Wk</c>, <c>Wk_b</c>, <c>to_v</c>, <c>to_out</c>, <c>attn_scale_weights</c> or <c>attn_scale_pos</c>,
/// <c>rpe_bias</c> or <c>absolute_pos_embedding</c>. When upsampling by <c>u</c> there are <c>u²</c> sets of queries,
/// each with its own bias and scale; the set <c>a·u + b</c> makes the token in row <c>a</c> and column <c>b</c> of the
/// square that a token becomes, as in pixel shuffle.
/// </remarks>
public sealed class QnALayer : nn.Module<Tensor, Tensor>, IReceivedAttention
{
    private readonly QnAAttention _attention;
    private readonly WindowGrid _windows;
    private readonly int _inputChannels;
    private readonly int _width;
    private readonly int _upsampling;
    private readonly string _place;
    private QnALayout? _layout;

    private readonly Parameter query;
    private readonly Parameter Wk;
    private readonly Parameter? Wk_b;
    private readonly Linear to_v;
    private readonly Linear to_out;
    private readonly Parameter? attn_scale_weights;
    private readonly Parameter? attn_scale_pos;
    private readonly Parameter? absolute_pos_embedding;

    // A table, or a learned map of the queries: the official code gives both this name, and a module's names are its fields'.
    private readonly object? rpe_bias;

    /// <summary>A layer with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="attention">What the layer does. Its window is odd unless <paramref name="pooling"/>.</param>
    /// <param name="inputChannels">Channels of the map that enters.</param>
    /// <param name="outputChannels">Channels of the map that leaves; none: as many as enter.</param>
    /// <param name="stride">Step between queries.</param>
    /// <param name="upsampling">How many times larger each side becomes; only with a stride of 1.</param>
    /// <param name="pooling">Whether windows stay inside the map, without padding: a window over the whole map pools it.</param>
    /// <param name="conventions">How weights start; none: as the official QnA code does.</param>
    /// <param name="place">Where the layer stands, as messages name it.</param>
    /// <exception cref="ArgumentException">Widths, heads, window, stride or factor do not fit together.</exception>
    public QnALayer(
        QnAAttention attention,
        int inputChannels,
        int? outputChannels = null,
        int stride = 1,
        int upsampling = 1,
        bool pooling = false,
        Conventions? conventions = null,
        string place = "qna")
        : base(nameof(QnALayer))
    {
        ArgumentNullException.ThrowIfNull(attention);
        var output = outputChannels ?? inputChannels;
        _attention = attention;
        _inputChannels = inputChannels;
        _width = attention.Width ?? output;
        _upsampling = upsampling;
        _place = place;
        _windows = new WindowGrid(attention.Window, stride, pooling ? 0 : (attention.Window - 1) / 2);
        RequireConsistent(pooling);

        var initialization = (conventions ?? Conventions.Flax).Initialization;
        var queries = (long)Sets * attention.Queries;
        query = nn.Parameter(empty(queries, _width));
        WeightInitialization.CutNormal(query, Math.Sqrt(1.0 / HeadWidth));
        Wk = nn.Parameter(empty(inputChannels, _width));
        WeightInitialization.Weight(Wk, inputChannels, initialization);
        Wk_b = attention.Bias ? nn.Parameter(zeros(attention.Heads, HeadWidth)) : null;
        to_v = WeightInitialization.Linear(inputChannels, _width, attention.Bias, initialization);
        to_out = WeightInitialization.Linear(_width, output, attention.Bias, initialization);

        var columns = queries * attention.Heads;
        switch (attention.Scale)
        {
            case AttentionScale.Normal:
                attn_scale_weights = nn.Parameter(randn(1, 1, _windows.Area, columns) * 0.02);
                break;
            case AttentionScale.NormalElementwise:
                attn_scale_weights = nn.Parameter(randn(1, 1, 1, columns) * 0.02);
                break;
            case AttentionScale.Ones:
                attn_scale_pos = nn.Parameter(ones([1, 1, _windows.Area, queries, attention.Heads]));
                break;
        }
        switch (attention.Position)
        {
            case PositionBias.Relative:
                rpe_bias = nn.Parameter(zeros(_windows.Area, columns));
                break;
            case PositionBias.Contextual:
                rpe_bias = new ContextualPositionBias(attention.Heads, HeadWidth, _windows.Area);
                break;
            case PositionBias.Absolute:
                absolute_pos_embedding = nn.Parameter(zeros(_windows.Area, queries, _width));
                break;
        }
        RegisterComponents();
    }

    /// <summary>What the layer does.</summary>
    public QnAAttention Attention => _attention;

    private int Sets => _upsampling * _upsampling;

    private int HeadWidth => _width / _attention.Heads;

    private QnAWindows Windows => new(_windows.Side, _windows.Stride, _windows.Padding, _upsampling);

    /// <summary>Attends.</summary>
    /// <param name="map"><c>[B, H, W, C_in]</c>.</param>
    /// <returns><c>[B, H', W', C_out]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type or device, or is smaller than a pooling window.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _inputChannels, Wk, _place);
        RequireWindow(height, width);
        using var scope = NewDisposeScope();
        var queries = NormalisedQueries();
        var output = Backends.For(map) switch
        {
            Backend.FusedCpu => Fused(map, queries),
            Backend.FusedCuda when CudaQnA.Takes(HeadWidth) => FusedOnDevice(map, queries),
            _ => Composite(map, queries),
        };
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The weight of a token is the size of what its value enters the output with, all queries together: their scales may be
    /// of either sign.
    /// </remarks>
    Tensor IReceivedAttention.Received(Tensor map)
    {
        var (_, height, width) = MapInput.Require(map, _inputChannels, Wk, _place);
        RequireWindow(height, width);
        using var scope = NewDisposeScope();
        var queries = NormalisedQueries();
        var weights = QnAAggregation.Weights(
            Scores(map, queries), PositionTable(queries), ScaleTable(map), Sets, _attention.Heads, _windows);
        return _windows.Gather(weights.abs().mean([4L, 5L]), height, width)
            .narrow(1, _windows.Padding, height).narrow(2, _windows.Padding, width).MoveToOuterDisposeScope();
    }

    private Tensor Composite(Tensor map, Tensor queries)
    {
        var aggregated = QnAAggregation.Attend(
            Scores(map, queries), to_v.call(map), PositionTable(queries), ScaleTable(map), Sets, _attention.Heads, _windows);
        return to_out.call(Arrange(aggregated));
    }

    /// <summary>
    /// The same by fused kernels: one product gives scores and values side by side, one pass aggregates them, one product
    /// follows. Weights are picked in the order of the kernel's vectors; <see cref="QnALayout"/> tells it.
    /// </summary>
    private Tensor Fused(Tensor map, Tensor queries)
    {
        if (_layout is null || !_layout.Serves(map.dtype))
        {
            _layout = QnALayout.For(Sets, _attention.Queries, _attention.Heads, HeadWidth, map.dtype);
        }
        var layout = _layout;
        var weight = cat([layout.PickColumns(KeysOfQueries(queries), 0), layout.PickValues(to_v.weight, 0)], 0);
        var bias = ScoreBias(queries) is { } scoreBias
            ? cat([layout.PickColumns(scoreBias, 0), layout.PickValues(to_v.bias!, 0)], 0)
            : null;
        var position = PositionTable(queries) is { } table ? layout.PickColumns(table, 1) : null;
        var scale = layout.PickColumns(ScaleTable(map) ?? ones(1, queries.size(0) * _attention.Heads, dtype: map.dtype), 1);
        var aggregated = FusedQnA.Attend(Projection.Apply(weight, bias, map), position, scale, layout, Windows);
        return Projection.Apply(layout.PickValues(to_out.weight, 1), to_out.bias, aggregated);
    }

    /// <summary>The same on a CUDA device, whose kernels take scores and values in their own order.</summary>
    private Tensor FusedOnDevice(Tensor map, Tensor queries)
    {
        var token = new CudaQnAToken(Sets, _attention.Queries, _attention.Heads, HeadWidth);
        var weight = token.Join(KeysOfQueries(queries), to_v.weight, 0);
        var bias = ScoreBias(queries) is { } scoreBias ? token.Join(scoreBias, to_v.bias!, 0) : null;
        var aggregated = CudaQnA.Attend(
            Projection.Apply(weight, bias, map), PositionTable(queries), ScaleTable(map), token, Windows);
        return Projection.Apply(to_out.weight, to_out.bias, aggregated);
    }

    /// <summary>q̂: <c>[sets·Nq, h, d]</c>.</summary>
    private Tensor NormalisedQueries()
    {
        var perHead = query.view(-1, _attention.Heads, HeadWidth);
        return QueryNormalisation.Apply(perHead, _attention.Norm) / Math.Sqrt(HeadWidth);
    }

    /// <summary>
    /// What follows from the parameters alone: the matrix and bias of all scores, <c>[sets·Nq·h, C_in]</c> and <c>[sets·Nq·h]</c>,
    /// the position table and the scale, <c>[k² or 1, sets·Nq·h]</c>.
    /// </summary>
    internal (Tensor Keys, Tensor? KeyBias, Tensor? Position, Tensor? Scale) InferenceTables()
    {
        var queries = NormalisedQueries();
        return (KeysOfQueries(queries), ScoreBias(queries), PositionTable(queries), ScaleTable(Wk));
    }

    /// <summary>S: the map times one matrix of all queries seen through <c>Wk</c>, <c>[B, H, W, sets·Nq·h]</c>.</summary>
    private Tensor Scores(Tensor map, Tensor queries) =>
        nn.functional.linear(map, KeysOfQueries(queries), ScoreBias(queries));

    /// <summary>Wk·q̂: <c>[sets·Nq·h, C_in]</c>.</summary>
    private Tensor KeysOfQueries(Tensor queries) =>
        einsum("qhd,chd->qhc", queries, Wk.view(_inputChannels, _attention.Heads, HeadWidth)).flatten(0, 1);

    /// <summary>What the keys' bias adds to the scores: <c>[sets·Nq·h]</c>.</summary>
    private Tensor? ScoreBias(Tensor queries) => Wk_b is null ? null : (queries * Wk_b).sum(2).flatten();

    /// <summary>P: <c>[k², sets·Nq·h]</c>.</summary>
    private Tensor? PositionTable(Tensor queries)
    {
        switch (rpe_bias)
        {
            case Parameter table:
                return _attention.ScalePositionBias ? table / Math.Sqrt(HeadWidth) : table;
            case ContextualPositionBias contextual:
                return contextual.call(queries);
            default:
                var embedding = absolute_pos_embedding?.view(_windows.Area, -1, _attention.Heads, HeadWidth);
                return embedding is null ? null : (queries * embedding).sum(3).flatten(1);
        }
    }

    /// <summary>A: <c>[k² or 1, sets·Nq·h]</c>.</summary>
    private Tensor? ScaleTable(Tensor like)
    {
        var perSet = _attention.Queries * _attention.Heads;
        return _attention.Scale switch
        {
            AttentionScale.Normal or AttentionScale.NormalElementwise => attn_scale_weights!.view(-1, Sets * perSet),
            AttentionScale.Ones => attn_scale_pos!.view(-1, Sets * perSet),
            AttentionScale.PositiveNegative => Signs(perSet, like).repeat(Sets).unsqueeze(0),
            AttentionScale.Average => full(1, Sets * perSet, 1.0 / _attention.Queries, dtype: like.dtype, device: like.device),
            _ => null,
        };
    }

    /// <summary>+1 in the first half, −1 in the second.</summary>
    private static Tensor Signs(int length, Tensor like) =>
        1 - (2 * arange(length, device: like.device).ge(length / 2).to(like.dtype));

    /// <summary>From <c>[B, H, W, u², F]</c> to tokens <c>[B, H·u, W·u, F]</c>.</summary>
    private Tensor Arrange(Tensor aggregated)
    {
        var (batch, height, width) = (aggregated.size(0), aggregated.size(1), aggregated.size(2));
        return aggregated.view(batch, height, width, _upsampling, _upsampling, _width)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(batch, height * _upsampling, width * _upsampling, _width);
    }

    private void RequireConsistent(bool pooling)
    {
        MapInput.RequireHeads(_attention.Heads, _width, _place);
        if (_attention.Window < 1 || (!pooling && _attention.Window % 2 == 0))
        {
            throw new ArgumentException(
                $"{_place}: the qna window is {_attention.Window}; use an odd number, such as {Math.Max(1, _attention.Window + 1)}");
        }
        if (_upsampling < 1 || _windows.Stride < 1 || (_upsampling > 1 && _windows.Stride > 1))
        {
            throw new ArgumentException(
                $"{_place}: a stride of {_windows.Stride} with upsampling by {_upsampling}; "
                + "use at least 1 for both, and 1 for one of them");
        }
    }

    private void RequireWindow(long height, long width)
    {
        var shortest = _attention.Window - (2 * _windows.Padding);
        if (height < shortest || width < shortest)
        {
            throw new ArgumentException(
                $"{_place}: a pooling window of {_attention.Window}×{_attention.Window} is larger than the map of {height}×{width}; "
                + "use images of the size that the model was declared for");
        }
    }
}
