using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using LocalAttention.Core.Layers;
using LocalAttention.Core.Specification;
using TorchSharp;
using static TorchSharp.torch;

namespace LocalAttention.Core.Analysis;

/// <summary>What a kind of attention reaches.</summary>
/// <param name="Kind">The kind, as <see cref="Attention.Kind"/> names it.</param>
/// <param name="Rate">Multiply-accumulates a second between its projections.</param>
public sealed record AttentionRate(string Kind, double Rate);

/// <summary>
/// What this machine reaches in float32 inference under the backend in force, measured once on a map of 28×28 tokens: enough
/// to estimate the time of any model of the zoo.
/// </summary>
/// <param name="Threads">Threads that computed.</param>
/// <param name="MatrixRate">Multiply-accumulates a second of linear layers.</param>
/// <param name="ConvolutionRate">Multiply-accumulates a second of strided 3×3 convolutions.</param>
/// <param name="DepthwiseRate">Multiply-accumulates a second of depthwise 3×3 convolutions.</param>
/// <param name="MemoryRate">Bytes a second that norms and sums of maps read and write.</param>
/// <param name="Attention">The rates of each kind of attention.</param>
public sealed record MachineProfile(
    int Threads,
    double MatrixRate,
    double ConvolutionRate,
    double DepthwiseRate,
    double MemoryRate,
    ValueList<AttentionRate> Attention)
{
    private const int Side = 28;
    private const int Channels = 192;
    private const int Heads = 6;
    private const double SecondsOfProbe = 0.05;

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The rate of a kind of attention.</summary>
    /// <exception cref="ArgumentException">The profile does not have it.</exception>
    public double RateOf(string kind) =>
        Attention.FirstOrDefault(rate => rate.Kind == kind)?.Rate
        ?? throw new ArgumentException(
            $"the profile has no rate of '{kind}' attention; measure it again, it has {string.Join(", ", Attention.Select(rate => rate.Kind))}");

    /// <summary>Measures this machine, which takes about a second. Nothing else should run meanwhile.</summary>
    /// <remarks>Each rate is that of the fastest of some runs: the machine's, not that of what disturbs it.</remarks>
    public static MachineProfile Measure()
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        var map = rand(1, Side, Side, Channels);
        var tokens = (double)Side * Side;
        var linear = new[] { (Channels, 4 * Channels), (4 * Channels, Channels) }
            .Select(shape => nn.Linear(shape.Item1, shape.Item2)).ToArray();
        var matrix = 8 * tokens * Channels * Channels
            / Best(() => _ = Projection.Apply(linear[1], Projection.Apply(linear[0], map)));

        var strided = new StridedConvolutionLayer(new StridedConvolution(), Channels);
        var convolution = 9 * (tokens / 4) * Channels * 2 * Channels / Best(() => strided.call(map));
        var depthwise = nn.Conv2d(4 * Channels, 4 * Channels, 3, padding: 1, groups: 4 * Channels);
        var hidden = rand(1, Side, Side, 4 * Channels).permute(0, 3, 1, 2);
        var depthwiseRate = 9 * tokens * 4 * Channels / Best(() => depthwise.call(hidden));

        var norm = nn.LayerNorm(Channels);
        var large = rand(4, 2 * Side, 2 * Side, Channels);
        // Both maps are read, and their sum and its norm written.
        var memory = 4.0 * 4 * large.NumberOfElements / Best(() => _ = Normalisation.Add(norm, large, large));
        var rates = Probes().Select(attention => new AttentionRate(attention.Kind, OfAttention(attention, map, matrix, convolution)));
        return new MachineProfile(get_num_threads(), matrix, convolution, depthwiseRate, memory, ValueList.From(rates));
    }

    /// <summary>The profile as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>A profile from what <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="ArgumentException">The text is no profile; the message says why.</exception>
    public static MachineProfile FromJson(string json)
    {
        try
        {
            var profile = JsonSerializer.Deserialize<MachineProfile>(json, Options)
                ?? throw new JsonException("the text is null");
            double[] rates =
                [profile.MatrixRate, profile.ConvolutionRate, profile.DepthwiseRate, profile.MemoryRate, .. profile.Attention.Select(rate => rate.Rate)];
            return rates.All(rate => rate > 0 && double.IsFinite(rate))
                ? profile
                : throw new JsonException("every rate must be a number above 0");
        }
        catch (JsonException mistake)
        {
            throw new ArgumentException($"this is no machine profile: {mistake.Message}; write one by ToJson", nameof(json), mistake);
        }
    }

    /// <summary>One attention of each kind, as the zoo has them.</summary>
    private static Attention[] Probes() =>
    [
        new QnAAttention(3, 12), new SlideAttention(3, Heads), new WindowAttention(7, Heads), new GlobalAttention(Heads),
        new SpatialReductionAttention(4, 3), new PooledAttention(7, 3), new CrossShapedAttention(2, Heads),
        new NeighbourhoodAttention(7, Heads), new NeighbourhoodAttention(7, Heads) { Dilation = 2 },
    ];

    /// <summary>What is left of a layer's time without its projections, which matrices' rate tells.</summary>
    private static double OfAttention(Attention attention, Tensor map, double matrix, double convolution)
    {
        var layer = attention.Build(Channels);
        layer.eval();
        (layer as SlideLayer)?.merge_shifts();
        var cost = AttentionCost.Of(attention, new MapShape(ImageSize.Square(Side), Channels), classTokens: 0, mergedShifts: true);
        var (own, convolved) = LatencyEstimate.Divide(attention, cost);
        var seconds = Best(() => layer.call(map));
        var left = seconds - (cost.Projection / matrix) - (convolved / convolution);
        // At least a tenth of it is the attention's own, whatever noise says.
        return own / Math.Max(left, seconds / 10);
    }

    private static double Best(Action work)
    {
        var (best, begin) = (double.PositiveInfinity, Stopwatch.GetTimestamp());
        for (var run = 0; run < 3 || Stopwatch.GetElapsedTime(begin).TotalSeconds < SecondsOfProbe; run++)
        {
            using var scope = NewDisposeScope();
            var start = Stopwatch.GetTimestamp();
            work();
            best = run == 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }
}
