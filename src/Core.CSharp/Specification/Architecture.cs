namespace LocalAttention.Core.Specification;

/// <summary>What is done where a map's size is not a multiple of a patch, of a window, or of the 2×2 of patch merging.</summary>
public enum SizePolicy
{
    /// <summary>
    /// The map is padded with zeros at the bottom and the right: of an image for patches, of tokens for merging, and for
    /// windows with tokens that are masked, so that none attends to them; they are cut off again afterwards.
    /// </summary>
    Pad,

    /// <summary>Such a size is refused.</summary>
    Exact,
}

/// <summary>
/// A hierarchical vision backbone as a value: a stem, stages of blocks, and a head. It holds no tensor; two that are
/// written alike are equal; <see cref="SpecificationJson"/> reads and writes it.
/// </summary>
/// <param name="Name">The model's name, as tables and files show it.</param>
/// <param name="Stem">From the image to the first map.</param>
/// <param name="Stages">The stages, first to last.</param>
/// <param name="Head">From the last map to the logits.</param>
public sealed record Architecture(string Name, Stem Stem, ValueList<Stage> Stages, Head Head)
{
    /// <summary>Channels of the image: 3 for colour, 1 for grey.</summary>
    public int ImageChannels { get; init; } = 3;

    /// <summary>
    /// The image size that the model is declared for. Another size is taken too, wherever no parameter depends on it and
    /// <see cref="SizePolicy"/> admits it.
    /// </summary>
    public ImageSize Resolution { get; init; } = ImageSize.Square(224);

    /// <summary>
    /// The rate of stochastic depth at the last block (arXiv 1603.09382); it rises linearly from 0 at the first.
    /// </summary>
    public double DropPath { get; init; }

    /// <summary>What is done with sizes that do not divide.</summary>
    public SizePolicy SizePolicy { get; init; } = SizePolicy.Pad;

    /// <summary>What the official codebases do differently.</summary>
    public Conventions Conventions { get; init; } = Conventions.PyTorch;

    /// <summary>A copy in which the given properties are replaced.</summary>
    public Architecture With(
        string? name = null,
        Stem? stem = null,
        ValueList<Stage>? stages = null,
        Head? head = null,
        int? imageChannels = null,
        ImageSize? resolution = null,
        double? dropPath = null,
        SizePolicy? sizePolicy = null,
        Conventions? conventions = null) => this with
        {
            Name = name ?? Name,
            Stem = stem ?? Stem,
            Stages = stages ?? Stages,
            Head = head ?? Head,
            ImageChannels = imageChannels ?? ImageChannels,
            Resolution = resolution ?? Resolution,
            DropPath = dropPath ?? DropPath,
            SizePolicy = sizePolicy ?? SizePolicy,
            Conventions = conventions ?? Conventions,
        };
}
