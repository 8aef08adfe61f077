namespace LocalAttention.Bench.Works;

/// <summary>Everything that is measured, with the targets for two cores with AVX-512, in float32.</summary>
public static class Catalogue
{
    /// <summary>In the order of measurement.</summary>
    public static IReadOnlyList<Work> All { get; } =
    [
        Layer("slide-3x3-forward", Slide(3), training: false, "official", 30, 12),
        Layer("slide-3x3-training", Slide(3), training: true, "official", 12, 8, memory: 8),
        Layer("slide-5x5-forward", Slide(5), training: false, "official", 20, null),
        Layer("slide-7x7-forward", Slide(7), training: false, "official", 12, null),
        Layer("qna-3x3-forward", QnA(3), training: false, "composite", 4, null),
        With(
            Layer("qna-7x7-forward", QnA(7), training: false, "composite", 5, null),
            new Rival("unfold", Unfold(7), Place.PyTorch, new Target(60)),
            new Rival("unfold", Unfold(7), Place.TunedPyTorch)),
        With(
            Layer("qna-15x15-forward", QnA(15), training: false, "composite", null, null),
            new Rival("qna-3x3-forward", QnA(3), Place.Here, new Target(2.5, AtMost: true))),
        Layer("qna-3x3-training", QnA(3), training: true, "composite", 4, null),
        With(
            Layer("qna-7x7-training", QnA(7), training: true, "composite", 4, null),
            new Rival("unfold", Unfold(7), Place.PyTorch, MemoryTarget: 10)),
        Layer("neighbourhood-3x3-forward", Neighbourhood(3), training: false, "gathered", null, null),
        Layer("neighbourhood-7x7-forward", Neighbourhood(7), training: false, "gathered", null, null),
        Layer("neighbourhood-7x7-training", Neighbourhood(7), training: true, "gathered", null, null),
        With(
            Model("slide-swin-tiny-forward", "slide-swin-tiny", training: false, "official", 7, 4),
            new Rival("swin-tiny", Images("swin-tiny", 8), Place.TunedPyTorch, new Target(1))),
        Model("qna-vit-tiny-forward", "qna-vit-tiny", training: false, "composite", 4, 2),
        Model("swin-tiny-forward", "swin-tiny", training: false, "composite", null, 1.3),
        Model("slide-swin-tiny-training", "slide-swin-tiny", training: true, "official", 5, null),
        Model("qna-vit-tiny-training", "qna-vit-tiny", training: true, "composite", 2.5, null),
    ];

    private static Subject Slide(int window) => new("slide", [8, 56, 56, 96], Heads: 3, window);

    private static Subject Neighbourhood(int window) => new("neighbourhood", [8, 56, 56, 96], Heads: 3, window);

    private static Subject QnA(int window) => new("qna", [8, 56, 56, 64], Heads: 8, window);

    private static Subject Unfold(int window) => QnA(window) with { Kind = "unfold" };

    private static Subject Images(string model, int count) => new(model, [count, 3, 224, 224]);

    /// <summary>A layer against its peer as it comes and tuned, with a target for each.</summary>
    private static Work Layer(
        string name, Subject subject, bool training, string peer, double? target, double? tuned, double? memory = null) =>
        new(name, subject, training,
        [
            new Rival(peer, subject, Place.PyTorch, Bound(target), memory),
            new Rival(peer, subject, Place.TunedPyTorch, Bound(tuned)),
        ]);

    private static Work Model(string name, string model, bool training, string peer, double? target, double? tuned) =>
        Layer(name, Images(model, training ? 4 : 8), training, peer, target, tuned);

    private static Work With(Work work, params Rival[] more) => work with { Rivals = [.. work.Rivals, .. more] };

    private static Target? Bound(double? ratio) => ratio is { } bound ? new Target(bound) : null;
}
