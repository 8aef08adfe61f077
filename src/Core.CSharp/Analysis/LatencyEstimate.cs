using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Analysis;

/// <summary>The time of one part of a model.</summary>
/// <param name="Place">Where it stands, as <see cref="LayerTrace.Place"/> says.</param>
/// <param name="Seconds">What it takes.</param>
public sealed record PartLatency(string Place, double Seconds);

/// <summary>
/// An estimate of how long a forward pass takes on a machine: of each layer its multiply-accumulates over the rate that the
/// machine reaches in layers of its kind, or its bytes over the memory's rate, whichever is longer; norms, activations and
/// sums by their bytes.
/// </summary>
/// <remarks>
/// It knows no shapes beyond that: small matrices that reach less, maps that fit a cache, and the time between operators are
/// in no rate. <c>eng/latency.fsx</c> holds it against measured times of the zoo.
/// </remarks>
/// <param name="Parts">The parts in the order in which an image passes through them.</param>
public sealed record LatencyEstimate(ValueList<PartLatency> Parts)
{
    private const double Float = sizeof(float);

    /// <summary>Seconds of one forward pass.</summary>
    public double Seconds => Parts.Sum(part => part.Seconds);

    /// <summary>The estimate for a batch in float32, without gradients, shifts merged.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="batch">Images at once.</param>
    /// <param name="image">The image's size; none: the architecture's resolution.</param>
    public static LatencyEstimate Of(Architecture architecture, MachineProfile machine, int batch = 1, ImageSize? image = null)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        return new(ValueList.From(Walk.Through(architecture, image ?? architecture.Resolution)
            .Select(part => new PartLatency(part.Place, SecondsOf(part, machine, batch)))));
    }

    /// <summary>
    /// The multiply-accumulates of an attention that its own kernel does, and those of the convolution that makes its keys
    /// fewer.
    /// </summary>
    internal static (double Own, double Convolution) Divide(Attention attention, MultiplyAccumulates cost) =>
        attention is SpatialReductionAttention or PooledAttention
            ? (cost.Attention, cost.Convolution)
            : (cost.Attention + cost.Convolution, 0);

    private static double SecondsOf(Part part, MachineProfile machine, double batch)
    {
        var cost = MultiplyAccumulates.Of(part, mergedShifts: true);
        double inputs = batch * part.Input.Tokens * part.Input.Channels, outputs = batch * part.Output.Tokens * part.Output.Channels;
        return part switch
        {
            BlockPart block => OfBlock(block, cost, machine, batch),
            TransitionPart { Transition: QnADownsampling or QnAUpsampling } transition =>
                OfQnA(transition, cost, machine, batch, inputs, outputs),
            StemPart or TransitionPart =>
                Longest(batch * cost.Convolution, machine.ConvolutionRate, inputs + outputs, machine)
                + Longest(batch * cost.Projection, machine.MatrixRate, inputs + outputs, machine)
                + Passing(2 * outputs, machine),
            EmbeddingPart or NormPart => Passing(2 * outputs, machine),
            HeadPart => Passing(2 * inputs, machine) + (batch * cost.Total / machine.MatrixRate),
            _ => throw new InvalidOperationException($"unknown part {part.GetType()}"),
        };
    }

    private static double OfBlock(BlockPart part, MultiplyAccumulates cost, MachineProfile machine, double batch)
    {
        var (block, channels) = (part.Block, part.Map.Channels);
        var ofAttention = AttentionCost.Of(block.Attention, part.Map, part.ClassTokens, mergedShifts: true);
        var (own, reduction) = Divide(block.Attention, ofAttention);
        double map = batch * part.Tokens * channels, hidden = batch * part.Tokens * block.HiddenChannels(channels);
        return Longest(batch * ofAttention.Projection, machine.MatrixRate, 6 * map, machine)
            + Longest(batch * own, machine.RateOf(RateName(block.Attention, part.Map)), 4 * map, machine)
            + (batch * reduction / machine.ConvolutionRate)
            + Longest(batch * cost.Mlp, machine.MatrixRate, 2 * (map + hidden), machine)
            + Longest(batch * (cost.Convolution - ofAttention.Convolution), machine.DepthwiseRate, 0, machine)
            // Two norms read and write a map, one of them a sum too; the activation its hidden layer; a sum at the end.
            + Passing((9 * map) + (2 * hidden), machine);
    }

    /// <summary>A window over the whole map is as attention to all tokens, reduction by 1 too.</summary>
    private static string RateName(Attention attention, MapShape map) => attention switch
    {
        WindowAttention window when window.Covers(map.Size) => "global",
        SpatialReductionAttention { Reduction: 1 } => "global",
        _ => attention.Kind,
    };

    private static double OfQnA(
        TransitionPart part, MultiplyAccumulates cost, MachineProfile machine, double batch, double inputs, double outputs) =>
        Longest(batch * cost.Projection, machine.MatrixRate, (2 * inputs) + (2 * outputs), machine)
        + Longest(batch * cost.Convolution, machine.MatrixRate, inputs + outputs, machine)
        + Longest(batch * cost.Attention, machine.RateOf("qna"), inputs + outputs, machine)
        + (batch * cost.Mlp / machine.MatrixRate)
        + Passing((2 * inputs) + (15 * outputs), machine);

    private static double Longest(double products, double rate, double elements, MachineProfile machine) =>
        products == 0 ? 0 : Math.Max(products / rate, Passing(elements, machine));

    private static double Passing(double elements, MachineProfile machine) => Float * elements / machine.MemoryRate;
}
