using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace TorchSharp.Modules;

/// <summary>target · (log target - input).</summary>
public sealed class KLDivLoss : Loss<Tensor, Tensor, Tensor>
{
    public KLDivLoss(bool log_target = true, Reduction reduction = Reduction.Mean) : base(reduction)
    {
        this.log_target = log_target;
    }

    /// <summary>Whether the target holds logarithms too.</summary>
    public bool log_target { get; }

    public override Tensor forward(Tensor input, Tensor target)
        => functional.kl_div(input, target, log_target, reduction);
}
