using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>The logarithm of <see cref="Softmax"/>.</summary>
public sealed class LogSoftmax : ParameterLessModule<Tensor, Tensor>
{
    internal LogSoftmax(long dim) : base(nameof(LogSoftmax)) => this.dim = dim;

    /// <summary>The dimension along which the result sums to one.</summary>
    public long dim { get; set; }

    public override Tensor forward(Tensor tensor) => nn.functional.log_softmax(tensor, dim);
}
