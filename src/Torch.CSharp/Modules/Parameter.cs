using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>A tensor that a module trains: as a field of a module it is registered as a parameter.</summary>
public class Parameter : Tensor
{
    /// <summary>Takes over <paramref name="data"/>, which becomes empty, together with its place in its dispose scope.</summary>
    public Parameter(Tensor data, bool requires_grad = true)
        : base(data.with_requires_grad(requires_grad).MoveHandle(), register: false)
        => DisposeScope.ReplaceWith(data, this);
}
