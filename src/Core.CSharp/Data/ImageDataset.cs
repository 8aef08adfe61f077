using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>
/// Labelled images in memory, one byte a pixel and channel. Batches are cut with one indexed copy; as a torch data set it
/// also serves data loaders, image by image.
/// </summary>
public sealed class ImageDataset : torch.utils.data.Dataset
{
    private ImageDataset(torch.Tensor images, torch.Tensor labels, ValueList<string> classes, Normalization normalization)
    {
        Images = images;
        Labels = labels;
        Classes = classes;
        Normalization = normalization;
    }

    /// <summary>The images: bytes, <c>[N, C, H, W]</c>.</summary>
    public torch.Tensor Images { get; }

    /// <summary>The class of each image: 64-bit integers, <c>[N]</c>.</summary>
    public torch.Tensor Labels { get; }

    /// <summary>The names of the classes.</summary>
    public ValueList<string> Classes { get; }

    /// <summary>What images are brought to mean 0 and deviation 1 with.</summary>
    public Normalization Normalization { get; }

    /// <summary>The number of images.</summary>
    public override long Count => Labels.shape[0];

    /// <summary>Channels of an image.</summary>
    public int Channels => (int)Images.shape[1];

    /// <summary>Height and width of the images.</summary>
    public ImageSize Size => new((int)Images.shape[2], (int)Images.shape[3]);

    /// <summary>A data set of one's own images.</summary>
    /// <param name="images">Bytes, <c>[N, C, H, W]</c>; <c>[N, H, W]</c> for grey images.</param>
    /// <param name="labels">64-bit integers, <c>[N]</c>, each from 0 to one less than the number of classes.</param>
    /// <param name="classes">The names of the classes.</param>
    /// <param name="normalization">Mean and deviation of the channels; left out: those of these images.</param>
    /// <exception cref="ArgumentException">
    /// A tensor's rank, type or size is wrong, or a label is no class; names its index and value.
    /// </exception>
    public static ImageDataset FromTensors(
        torch.Tensor images, torch.Tensor labels, IEnumerable<string> classes, Normalization? normalization = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(labels);
        var names = ValueList.From(classes);
        if (images.dtype != torch.ScalarType.Byte)
        {
            throw new ArgumentException(
                $"the images are of type {images.dtype}; they must be bytes (torch.uint8), "
                + "0 to 255", nameof(images));
        }
        if (images.shape.Length is not (3 or 4))
        {
            throw new ArgumentException(
                $"the images have shape [{string.Join(", ", images.shape)}]; it must be [N, C, H, W], or [N, "
                + "H, W] for grey ones", nameof(images));
        }
        if (labels.dtype != torch.ScalarType.Int64 || labels.shape.Length != 1)
        {
            throw new ArgumentException(
                $"the labels are {labels.dtype} of shape [{string.Join(", ", labels.shape)}]; "
                + "they must be Int64 of shape [N]", nameof(labels));
        }
        if (images.shape[0] != labels.shape[0])
        {
            throw new ArgumentException(
                $"there are {images.shape[0]} images and {labels.shape[0]} labels; "
                + "each image must have one label", nameof(labels));
        }
        if (images.NumberOfElements == 0)
        {
            throw new ArgumentException(
                $"the images have shape [{string.Join(", ", images.shape)}]; "
                + "there must be at least one pixel", nameof(images));
        }
        ClassLabels.EnsureInRange(labels, names.Count, nameof(labels));
        if (normalization is not null)
            EnsureFits(normalization, images.shape.Length == 3 ? 1 : images.shape[1]);

        // The data set owns its tensors, whatever scope they come from and end in.
        using var scope = torch.NewDisposeScope();
        var maps = (images.shape.Length == 3 ? images.unsqueeze(1) : images.alias()).contiguous();
        return new ImageDataset(
            maps.DetachFromDisposeScope(),
            labels.alias().contiguous().DetachFromDisposeScope(),
            names,
            normalization ?? Normalization.Of(maps));
    }

    /// <summary>The same images with another mean and deviation: those of the training images, for test images.</summary>
    /// <exception cref="ArgumentException">The number of channels is another, or a deviation is not above 0.</exception>
    public ImageDataset WithNormalization(Normalization normalization)
    {
        EnsureFits(normalization, Channels);
        return new ImageDataset(
            Images.alias().DetachFromDisposeScope(), Labels.alias().DetachFromDisposeScope(), Classes, normalization);
    }

    /// <summary>The images at the given positions, in their order; normalised as this set is.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A position is not in the set.</exception>
    public ImageDataset Subset(IEnumerable<long> positions)
    {
        using var scope = torch.NewDisposeScope();
        var index = Index([.. positions]);
        return new ImageDataset(
            Images.index_select(0, index).DetachFromDisposeScope(),
            Labels.index_select(0, index).DetachFromDisposeScope(),
            Classes,
            Normalization);
    }

    /// <summary>The first images.</summary>
    /// <param name="count">How many; all, if there are fewer.</param>
    public ImageDataset Take(long count) =>
        Subset(Enumerable.Range(0, (int)Math.Clamp(count, 0, Count)).Select(position => (long)position));

    /// <summary>Divides the set at random, the same way for the same seed.</summary>
    /// <param name="fraction">The part of the first set, above 0 and below 1.</param>
    /// <param name="seed">The seed.</param>
    public (ImageDataset First, ImageDataset Second) Split(double fraction, long seed = 0)
    {
        if (!(fraction > 0 && fraction < 1))
            throw new ArgumentOutOfRangeException(nameof(fraction), fraction, "the fraction must be above 0 and below 1");
        var order = new SeededRandom(seed, SeededRandom.Use.Split).Permutation(Count);
        var first = (int)Math.Clamp((long)Math.Round(fraction * Count), 0, Count);
        return (Subset(order[..first]), Subset(order[first..]));
    }

    /// <summary>Images and labels at the given positions, as they are stored.</summary>
    /// <returns>Bytes <c>[B, C, H, W]</c> and 64-bit integers <c>[B]</c>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A position is not in the set.</exception>
    public (torch.Tensor Images, torch.Tensor Labels) Batch(ReadOnlySpan<long> positions)
    {
        using var index = Index(positions);
        return (Images.index_select(0, index), Labels.index_select(0, index));
    }

    /// <summary>One image and its label, normalised: <c>data</c>, <c>[C, H, W]</c> of 32-bit floats, and <c>label</c>.</summary>
    public override Dictionary<string, torch.Tensor> GetTensor(long index)
    {
        var (images, labels) = Batch([index]);
        using (images)
        using (labels)
        using (var normalized = Normalization.Apply(images, torch.ScalarType.Float32))
        {
            return new Dictionary<string, torch.Tensor> { ["data"] = normalized.squeeze(0), ["label"] = labels.squeeze(0) };
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Images.Dispose();
            Labels.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <summary>The check that a model can learn from these images, or be evaluated on them.</summary>
    /// <exception cref="ArgumentException">There is no image, or the model takes others or has too few classes.</exception>
    internal void EnsureSuits(Architecture architecture, string argument)
    {
        if (Count == 0)
            throw new ArgumentException("the data set has no images; it must have at least one", argument);
        if (Channels != architecture.ImageChannels)
        {
            throw new ArgumentException(
                $"the images have {Channels} channels; {architecture.Name} takes {architecture.ImageChannels}", argument);
        }
        if (Classes.Count > architecture.Head.Classes)
        {
            throw new ArgumentException(
                $"the data set has {Classes.Count} classes; {architecture.Name} has logits for {architecture.Head.Classes}",
                argument);
        }
        if (Validation.CheckSize(architecture, Size) is { Count: > 0 } problems)
        {
            throw new ArgumentException(
                $"{architecture.Name} does not take images of {Size}: {string.Join(" ", problems)}", argument);
        }
    }

    private torch.Tensor Index(ReadOnlySpan<long> positions)
    {
        foreach (var position in positions)
        {
            if (position < 0 || position >= Count)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(positions), position, $"position {position} is not in the set; positions go from 0 to {Count - 1}");
            }
        }
        return torch.tensor(positions.ToArray(), dtype: torch.ScalarType.Int64);
    }

    private static void EnsureFits(Normalization normalization, long channels)
    {
        ArgumentNullException.ThrowIfNull(normalization);
        if (normalization.Mean.Count != channels || normalization.Deviation.Count != channels)
        {
            throw new ArgumentException(
                $"the normalization is for {normalization.Mean.Count} channels; "
                    + $"the images have {channels}", nameof(normalization));
        }
        if (normalization.Deviation.FirstOrDefault(deviation => !(deviation > 0), 1) is var wrong && !(wrong > 0))
            throw new ArgumentException($"a deviation is {wrong}; it must be above 0", nameof(normalization));
    }
}
