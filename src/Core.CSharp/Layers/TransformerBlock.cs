using LocalAttention.Core.Specification;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// A pre-norm transformer block:
/// <code>
/// x ← x + drop(γ₁ · attention(norm₁(x)))
/// x ← x + drop(γ₂ · mlp(norm₂(x)))
/// </code>
/// with the layer scales γ (arXiv 2103.17239) and stochastic depth (arXiv 1603.09382) where the block has them.
/// <c>[B, H, W, C]</c> to the same shape.
/// </summary>
/// <remarks>Parameters: <c>norm1</c>, <c>attn</c>, <c>norm2</c>, <c>mlp</c>, <c>gamma_1</c>, <c>gamma_2</c>.</remarks>
public sealed class TransformerBlock : nn.Module<Tensor, Tensor>
{
    private readonly StochasticDepth _stochasticDepth;

    private readonly LayerNorm norm1;
    private readonly nn.Module<Tensor, Tensor> attn;
    private readonly LayerNorm norm2;
    private readonly Mlp mlp;
    private readonly Parameter? gamma_1;
    private readonly Parameter? gamma_2;

    /// <summary>A block with freshly initialised parameters: float32, on the CPU.</summary>
    /// <param name="block">What the block is.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="dropPath">The rate of stochastic depth.</param>
    /// <param name="sizePolicy">What is done with maps that windows do not divide.</param>
    /// <param name="conventions">Norm, activation and how weights start; none: PyTorch's.</param>
    /// <param name="place">Where the block stands, as messages name it.</param>
    /// <exception cref="ArgumentException">The attention does not fit the channels.</exception>
    public TransformerBlock(
        Block block,
        int channels,
        double dropPath = 0,
        SizePolicy sizePolicy = SizePolicy.Pad,
        Conventions? conventions = null,
        string place = "block")
        : base(nameof(TransformerBlock))
    {
        ArgumentNullException.ThrowIfNull(block);
        conventions ??= Conventions.PyTorch;
        _stochasticDepth = new StochasticDepth(dropPath);
        norm1 = nn.LayerNorm(channels, conventions.NormEpsilon);
        attn = block.Attention.Build(channels, sizePolicy, conventions, place);
        norm2 = nn.LayerNorm(channels, conventions.NormEpsilon);
        mlp = new Mlp(channels, block.HiddenChannels(channels), conventions, block.MlpConvolution);
        gamma_1 = LayerScale.Of(block.LayerScale, channels);
        gamma_2 = LayerScale.Of(block.LayerScale, channels);
        RegisterComponents();
    }

    /// <summary>The block's attention.</summary>
    public nn.Module<Tensor, Tensor> Attention => attn;

    /// <summary>Both branches in turn.</summary>
    /// <param name="map"><c>[B, H, W, C]</c>.</param>
    /// <returns><c>[B, H, W, C]</c>.</returns>
    /// <exception cref="ArgumentException">
    /// The map has another rank, width, element type, device or size than the attention takes.
    /// </exception>
    public override Tensor forward(Tensor map)
    {
        using var scope = NewDisposeScope();
        var branch = _stochasticDepth.call(LayerScale.Apply(attn.call(Normalisation.Apply(norm1, map)), gamma_1));
        var (attended, normalised) = Normalisation.Add(norm2, map, branch);
        var mixed = attended + _stochasticDepth.call(LayerScale.Apply(mlp.call(normalised), gamma_2));
        return mixed.MoveToOuterDisposeScope();
    }
}
