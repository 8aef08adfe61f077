using LocalAttention.Bench.Works;
using LocalAttention.Core.Backbones;
using LocalAttention.Core.Specification;

namespace LocalAttention.Bench.Roofline;

/// <summary>What a work must take on a machine at least: its passes one after another, each at its own bound.</summary>
/// <param name="Operations">Floating-point operations.</param>
/// <param name="Bytes">Bytes over the memory bus.</param>
/// <param name="Seconds">The shortest time.</param>
public sealed record WorkFloor(double Operations, double Bytes, double Seconds)
{
    private const double BytesOfAdamWPerParameter = 7 * sizeof(float);

    /// <summary>The floor of a work.</summary>
    public static WorkFloor Of(Work work, MachinePeak peak)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentNullException.ThrowIfNull(peak);
        var passes = Passes(work.Subject).ToList();
        // AdamW reads the parameter, its gradient and both moments, and writes all but the gradient.
        var optimizer = work is { Training: true, Subject.IsModel: true }
            ? BytesOfAdamWPerParameter * passes.Sum(pass => pass.Parameters)
            : 0;
        return new WorkFloor(
            passes.Sum(pass => pass.Operations(work.Training)),
            passes.Sum(pass => pass.Bytes(work.Training)) + optimizer,
            passes.Sum(pass => pass.FloorSeconds(peak, work.Training)) + (optimizer / peak.BytesPerSecond));
    }

    private static IEnumerable<Pass> Passes(Subject subject)
    {
        var images = (int)subject.Shape[0];
        if (subject.IsModel)
        {
            var architecture = new[] { SlideSwin.Tiny, Swin.Tiny, QnAViT.Tiny }.Single(known => known.Name == subject.Kind);
            return ModelPasses.Of(architecture, images);
        }
        var (size, channels) = (new ImageSize((int)subject.Shape[1], (int)subject.Shape[2]), (int)subject.Shape[3]);
        Attention attention = subject.Kind switch
        {
            "slide" => new SlideAttention(subject.Window, subject.Heads),
            "neighbourhood" => new NeighbourhoodAttention(subject.Window, subject.Heads),
            _ => new QnAAttention(subject.Window, subject.Heads),
        };
        return LayerPasses.Of(attention, images, size, channels, channels);
    }
}
