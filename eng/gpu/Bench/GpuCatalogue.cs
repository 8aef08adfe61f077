using LocalAttention.Bench.Works;
using static TorchSharp.torch;

namespace LocalAttention.Gpu.Bench;

/// <summary>Something measured.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Subject">What runs.</param>
/// <param name="Training">Whether the backward pass belongs to it.</param>
/// <param name="Element">The element type.</param>
/// <param name="Rivals">What it is compared with.</param>
internal sealed record GpuWork(
    string Name, Subject Subject, bool Training, ScalarType Element, IReadOnlyList<GpuRival> Rivals);

/// <summary>What a work is compared with.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">What <c>peers.py</c> calls it.</param>
/// <param name="Target">How many times faster ours has to be; none: reported alone.</param>
/// <param name="Compiled">Whether by torch.compile.</param>
/// <param name="Same">Whether it computes what ours does, so that results are compared.</param>
internal sealed record GpuRival(string Name, string Kind, double? Target = null, bool Compiled = false, bool Same = true);

/// <summary>Everything that is measured, with the targets.</summary>
internal static class GpuCatalogue
{
    /// <summary>In the order of measurement.</summary>
    /// <param name="rehearsal">On small maps, in float32, without models.</param>
    public static IReadOnlyList<GpuWork> Of(bool rehearsal)
    {
        var all = All(rehearsal ? ScalarType.Float32 : ScalarType.BFloat16);
        return rehearsal
            ? [.. all.Where(work => !work.Subject.IsModel).Select(Small)]
            : all;
    }

    // Targets are a device's.
    private static GpuWork Small(GpuWork work) => work with
    {
        Subject = work.Subject with { Shape = [2, 14, 14, work.Subject.Shape[3]] },
        Rivals = [.. work.Rivals.Select(rival => rival with { Target = null })],
    };

    private static List<GpuWork> All(ScalarType element)
    {
        var works = new List<GpuWork>();
        void Layer(string kind, long channels, int heads, int window, bool training, params GpuRival[] rivals) => works.Add(
            new GpuWork(
                $"{kind}-{window}x{window}-{(training ? "training" : "forward")}",
                new Subject(kind, [128, 56, 56, channels], heads, window), training, element, rivals));
        void Model(string kind, params GpuRival[] rivals) => works.Add(
            new GpuWork($"{kind}-forward", new Subject(kind, [128, 3, 224, 224]), false, element, rivals));

        GpuRival Official(double? target = null) => new("official", "slide", target);
        GpuRival OfficialCompiled(double? target = null) => new("official, compiled", "slide", target, Compiled: true);
        var merged = new GpuRival("cuDNN depthwise, merged", "slide-merged");
        Layer("slide", 96, 3, 3, false, Official(10), OfficialCompiled(3), merged);
        Layer("slide", 96, 3, 3, true, Official(8), OfficialCompiled());
        Layer("slide", 96, 3, 5, false, Official(10), OfficialCompiled(3), merged);
        Layer("slide", 96, 3, 7, false, Official(10), OfficialCompiled(3), merged);

        GpuRival Composite(double? target = null) => new("composite", "qna", target);
        var compositeCompiled = new GpuRival("composite, compiled", "qna", Compiled: true);
        GpuRival Sasa(double? target) => new("SASA", "unfold", target, Same: false);
        Layer("qna", 64, 8, 3, false, Composite(5), compositeCompiled);
        Layer("qna", 64, 8, 7, false, Composite(5), compositeCompiled, Sasa(10));
        Layer("qna", 64, 8, 3, true, Composite(5), compositeCompiled);
        Layer("qna", 64, 8, 7, true, Composite(5), compositeCompiled, Sasa(null));

        GpuRival[] neighbourhoods =
        [
            new("gathered", "neighbourhood"),
            new("FlexAttention", "neighbourhood-flex", 1.5),
            new("NATTEN, no bias", "neighbourhood-natten", 1.5, Same: false),
        ];
        Layer("neighbourhood", 96, 3, 3, false, neighbourhoods);
        Layer("neighbourhood", 96, 3, 7, false, neighbourhoods);
        Layer("neighbourhood", 96, 3, 13, false, neighbourhoods);
        Layer("neighbourhood", 96, 3, 7, true, neighbourhoods);

        var timm = new GpuRival("timm Swin-T", "swin-tiny-timm", 1, Same: false);
        var timmCompiled = new GpuRival("timm Swin-T, compiled", "swin-tiny-timm", Compiled: true, Same: false);
        Model("slide-swin-tiny", timm, timmCompiled, new GpuRival("official", "slide-swin-tiny"));
        Model("qna-vit-tiny", timm, timmCompiled, new GpuRival("composite", "qna-vit-tiny"));
        Model("swin-tiny", timm, timmCompiled);
        return works;
    }
}
