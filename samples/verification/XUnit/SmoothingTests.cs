using LocalAttention.Verification;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace Samples.Verification;

/// <summary>
/// Each token and a projection of the mean of the 3×3 tokens around it; zeros lie beyond the border. <c>[B, H, W, C]</c>.
/// </summary>
internal sealed class Smoothing : nn.Module<Tensor, Tensor>
{
    private readonly Linear proj;

    public Smoothing(long channels)
        : base(nameof(Smoothing))
    {
        proj = nn.Linear(channels, channels);
        RegisterComponents();
    }

    public override Tensor forward(Tensor map)
    {
        using var scope = NewDisposeScope();
        var means = nn.functional.avg_pool2d(map.permute(0, 3, 1, 2), 3, 1, 1);
        return (map + proj.call(means.permute(0, 2, 3, 1))).MoveToOuterDisposeScope();
    }
}

/// <summary>A layer of one's own, verified in a suite of xUnit.</summary>
public class SmoothingTests
{
    private static readonly Subject Smoothing = Verifier.Of(
        "smoothing", Signature.Tokens(4, 7, 6), Promise.Window(3), () => new Smoothing(4));

    [Fact]
    public void EveryPropertyHolds() => Verifier.Holds(Smoothing);

    [Fact]
    public void AWindowOfOneTokenIsNotEnough()
    {
        var narrow = Verifier.Of("smoothing", Signature.Tokens(4, 7, 6), Promise.Pointwise, () => new Smoothing(4));

        var found = Assert.Throws<VerificationException>(() => Verifier.Holds(narrow));

        Assert.Contains("locality", found.Message, StringComparison.Ordinal);
    }
}
