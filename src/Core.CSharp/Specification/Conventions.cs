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
    /// <summary>Swin's and Slide-Transformer's: <c>layers.0.blocks.1.attn.qkv.weight</c>.</summary>
    PyTorch,

    /// <summary>QnA's: <c>QnAStage_0/QnA_Block_1/FusedKQnA_0/Wk</c>, kernels with their output axis last.</summary>
    Flax,
}

/// <summary>What the two official codebases do differently and no layer says.</summary>
public sealed record Conventions
{
    /// <summary>The ε of every layer norm.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>The activation.</summary>
    public Activation Activation { get; init; } = Activation.Gelu;

    /// <summary>How weights start.</summary>
    public Initialization Initialization { get; init; } = Initialization.TruncatedNormal;

    /// <summary>Names in checkpoints and in the decay's exclusions.</summary>
    public ParameterNaming Naming { get; init; } = ParameterNaming.PyTorch;

    /// <summary>Those of Swin and Slide-Transformer.</summary>
    public static Conventions PyTorch { get; } = new();

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
        Activation? activation = null,
        Initialization? initialization = null,
        ParameterNaming? naming = null) => this with
        {
            NormEpsilon = normEpsilon ?? NormEpsilon,
            Activation = activation ?? Activation,
            Initialization = initialization ?? Initialization,
            Naming = naming ?? Naming,
        };
}
