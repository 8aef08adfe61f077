using LocalAttention.Core.Specification;
using LocalAttention.Verification;
using NUnit.Framework;
using static TorchSharp.torch;

namespace Samples.Verification;

/// <summary>Layers of this library and a function of one's own, verified in a suite of NUnit.</summary>
[TestFixture]
public class LayerTests
{
    private static readonly Attention[] Attentions =
        [new WindowAttention(4, 2) { Shifted = true }, new NeighbourhoodAttention(3, 2), new SlideAttention(3, 2)];

    [TestCaseSource(nameof(Attentions))]
    public void EveryPropertyHolds(Attention attention) =>
        Verifier.Holds(Verifier.Of(attention, channels: 8, new ImageSize(8, 8)));

    [Test]
    public void ANormOverTheWholeMapSeesTooMuch()
    {
        var norm = Verifier.Of(
            "norm over the map", Signature.Tokens(4, 6, 6), Promise.Pointwise, map => map - map.mean([1, 2], keepdim: true));

        var report = Verifier.All(norm);

        Assert.That(report.IsSound, Is.False);
        Assert.That(TextReport.Render(report), Does.Contain("locality does not hold"));
    }
}
