using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>What a paper says of a model, rounded as it is there; none: it says nothing.</summary>
/// <param name="ParametersM">Parameters in millions.</param>
/// <param name="GFlops">Multiply-accumulates of one image of 224×224 in thousand millions, Slide's with both convolutions merged.</param>
/// <param name="Top1">Accuracy on ImageNet-1K in percent.</param>
public sealed record PaperFigures(double? ParametersM, double? GFlops, double? Top1)
{
    /// <summary>Nothing is published.</summary>
    public static PaperFigures None { get; } = new(null, null, null);
}

/// <summary>
/// A model of the zoo. Its paper's figures stand beside it and are never what this library computes: that follows from
/// <see cref="Architecture"/> alone.
/// </summary>
/// <param name="Family">The design.</param>
/// <param name="Architecture">The model as a value.</param>
/// <param name="Paper">What the paper says.</param>
/// <param name="Source">The code that the declaration follows, or that it is derived by a rewrite.</param>
/// <param name="Note">Where figures disagree, and how sure a derived model is; empty: nothing to say.</param>
public sealed record ZooEntry(ZooFamily Family, Architecture Architecture, PaperFigures Paper, string Source, string Note = "")
{
    /// <summary>The source of models that no published code declares.</summary>
    public const string Derived = "derived";

    /// <summary>The model's name.</summary>
    public string Name => Architecture.Name;

    /// <summary>Whether the model is another one with a different attention in some stages, by <see cref="Variants"/>.</summary>
    public bool IsDerived => Source == Derived;

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
