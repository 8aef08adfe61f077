namespace LocalAttention.Core.Specification;

/// <summary>The activation of MLPs and convolutional stems.</summary>
public enum Activation
{
    /// <summary>The exact Gaussian error linear unit, x·Φ(x): PyTorch's default.</summary>
    Gelu,

    /// <summary>Its tanh approximation: Flax's default.</summary>
    GeluTanh,

    /// <summary>max(x, 0).</summary>
    Relu,
}

/// <summary>How the weights of linear layers and convolutions start.</summary>
public enum Initialization
{
    /// <summary>Swin's: linear weights from a normal distribution of deviation 0.02, cut at ±2; convolutions as PyTorch does.</summary>
    TruncatedNormal,

    /// <summary>Flax's: variance 1/fan-in, from a normal distribution cut at two deviations.</summary>
    LecunNormal,
}

/// <summary>
/// Whose names parameters have in checkpoints, and with them which parameters the official recipe leaves out of weight
/// decay.
/// </summary>
public enum ParameterNaming
{
    /// <summary>Swin's and Slide-Transformer's, and the model's own: <c>layers.0.blocks.1.attn.qkv.weight</c>.</summary>
    PyTorch,

    /// <summary>QnA's: <c>QnAStage_0/QnA_Block_1/FusedKQnA_0/Wk</c>, kernels with their output axis last.</summary>
    Flax,

    /// <summary>PVT's and PVTv2's: <c>block1.1.attn.kv.weight</c>.</summary>
    Pvt,

    /// <summary>CSwin's: <c>stage1.1.attns.0.get_v.weight</c>.</summary>
    CSwin,

    /// <summary>NAT's and DiNAT's: <c>levels.0.blocks.1.attn.rpb</c>.</summary>
    Nat,
}

/// <summary>What the two official codebases do differently and no layer says.</summary>
public sealed record Conventions
{
    /// <summary>The ε of the layer norms of blocks, stages and heads.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>
    /// The ε of the layer norms in stems, in transitions, and inside attention with reduced keys; none: that of all others.
    /// PVT's differ.
    /// </summary>
    public double? EmbeddingNormEpsilon { get; init; }

    internal double EpsilonAroundBlocks => EmbeddingNormEpsilon ?? NormEpsilon;

    /// <summary>The activation.</summary>
    public Activation Activation { get; init; } = Activation.Gelu;

    /// <summary>How weights start.</summary>
    public Initialization Initialization { get; init; } = Initialization.TruncatedNormal;

    /// <summary>Names in checkpoints and in the decay's exclusions.</summary>
    public ParameterNaming Naming { get; init; } = ParameterNaming.PyTorch;

    /// <summary>Those of Swin and Slide-Transformer.</summary>
    public static Conventions PyTorch { get; } = new();

    /// <summary>Those of PVT and PVTv2: 1e-6 in blocks, 1e-5 around them.</summary>
    public static Conventions Pvt { get; } = new()
    {
        NormEpsilon = 1e-6,
        EmbeddingNormEpsilon = 1e-5,
        Naming = ParameterNaming.Pvt,
    };

    /// <summary>Those of CSwin.</summary>
    public static Conventions CSwin { get; } = new() { Naming = ParameterNaming.CSwin };

    /// <summary>Those of NAT and DiNAT.</summary>
    public static Conventions Nat { get; } = new() { Naming = ParameterNaming.Nat };

    /// <summary>Those of the official QnA code.</summary>
    public static Conventions Flax { get; } = new()
    {
        NormEpsilon = 1e-6,
        Activation = Activation.GeluTanh,
        Initialization = Initialization.LecunNormal,
        Naming = ParameterNaming.Flax,
    };

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Conventions With(
        double? normEpsilon = null,
        double? embeddingNormEpsilon = null,
        Activation? activation = null,
        Initialization? initialization = null,
        ParameterNaming? naming = null) => this with
        {
            NormEpsilon = normEpsilon ?? NormEpsilon,
            EmbeddingNormEpsilon = embeddingNormEpsilon ?? EmbeddingNormEpsilon,
            Activation = activation ?? Activation,
            Initialization = initialization ?? Initialization,
            Naming = naming ?? Naming,
        };
}
