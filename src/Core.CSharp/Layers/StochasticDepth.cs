using static TorchSharp.torch;

namespace LocalAttention.Core.Layers;

/// <summary>
/// Leaves a residual branch out of a random part of the images while training (arXiv 1603.09382), and divides it by the
/// probability of being kept in the others, so that its mean stays. In evaluation it does nothing.
/// </summary>
internal sealed class StochasticDepth : nn.Module<Tensor, Tensor>
{
    private readonly double _rate;

    /// <param name="rate">The probability of leaving a branch out, from 0 to below 1.</param>
    public StochasticDepth(double rate)
        : base(nameof(StochasticDepth))
    {
        _rate = rate;
        RegisterComponents();
    }

    /// <summary>From a branch <c>[B, …]</c> to the same shape.</summary>
    public override Tensor forward(Tensor branch)
    {
        if (!training || _rate == 0)
        {
            return branch;
        }
        var perImage = new long[branch.ndim];
        Array.Fill(perImage, 1);
        perImage[0] = branch.size(0);
        var kept = empty(perImage, dtype: branch.dtype, device: branch.device).bernoulli_(1 - _rate);
        return branch * kept / (1 - _rate);
    }
}
