using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// Dilated Neighborhood Attention Transformer: <see cref="Nat"/> in which every second block of the first three stages takes
/// its window from the whole map (DiNAT, arXiv 2209.15001). Values only; <c>Build</c> makes the model.
/// </summary>
public static class DiNAT
{
    /// <summary>The largest steps that a window of 7 takes on maps of 56, 28, 14 and 7 tokens.</summary>
    private static readonly int[] Dilations = [8, 4, 2, 1];

    /// <summary>19,984,174 parameters, 2.7 GFLOPs at 224×224.</summary>
    public static Architecture Mini { get; } =
        Nat.Create("dinat-mini", 64, [3, 4, 6, 5], [2, 4, 8, 16], 3, dilations: Dilations, dropPath: 0.2);

    /// <summary>27,901,582 parameters, 4.3 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } =
        Nat.Create("dinat-tiny", 64, [3, 4, 18, 5], [2, 4, 8, 16], 3, dilations: Dilations, dropPath: 0.2);

    /// <summary>50,719,681 parameters, 7.8 GFLOPs at 224×224. Unlike <see cref="Nat.Small"/> it has no layer scale.</summary>
    public static Architecture Small { get; } =
        Nat.Create("dinat-small", 96, [3, 4, 18, 5], [3, 6, 12, 24], 2, dilations: Dilations, dropPath: 0.3);

    /// <summary>89,769,652 parameters, 13.7 GFLOPs at 224×224.</summary>
    public static Architecture Base { get; } = Nat.Create(
        "dinat-base", 128, [3, 4, 18, 5], [4, 8, 16, 32], 2, dilations: Dilations, layerScale: 1e-5, dropPath: 0.5);

    /// <summary>200,943,514 parameters, 30.5 GFLOPs at 224×224.</summary>
    public static Architecture Large { get; } =
        Nat.Create("dinat-large", 192, [3, 4, 18, 5], [6, 12, 24, 48], 2, dilations: Dilations, dropPath: 0.35);
}
