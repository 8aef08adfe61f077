using LocalAttention.Core.Data;
using TorchSharp;

namespace LocalAttention.Core.Training;

/// <summary>A step's images and targets.</summary>
/// <param name="Images"><c>[B, C, H, W]</c>.</param>
/// <param name="Labels"><c>[B]</c>.</param>
/// <param name="MixedLabels">The labels of the images that were mixed in; none without mixing.</param>
/// <param name="Share">The share of the first images.</param>
internal readonly record struct Batch(
    torch.Tensor Images, torch.Tensor Labels, torch.Tensor? MixedLabels = null, double Share = 1);

/// <summary>
/// Random crops and flips on bytes, then normalisation, then mixup, each for the whole batch at once. All follows from the
/// options' seed and the step.
/// </summary>
internal sealed class Augmentation(TrainingOptions options, Normalization normalization)
{
    /// <param name="images">Bytes, <c>[B, C, H, W]</c>.</param>
    /// <param name="labels">64-bit integers, <c>[B]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <param name="step">The step, counted from 0.</param>
    public Batch Apply(torch.Tensor images, torch.Tensor labels, torch.ScalarType dtype, long step)
    {
        var random = new SeededRandom(options.Seed, SeededRandom.Use.Augmentation, step);
        var moved = options.CropPadding > 0 || options.HorizontalFlip ? Move(images, random) : images;
        var normalized = normalization.Apply(moved, dtype);
        if (options.MixupAlpha <= 0)
            return new Batch(normalized, labels);

        // As in timm, which the official recipes use: one share for the batch, each image with its mirror in the batch.
        var share = random.NextBeta(options.MixupAlpha);
        var mixed = normalized.mul(share).add_(normalized.flip(0).mul_(1 - share));
        return new Batch(mixed, labels, labels.flip(0), share);
    }

    /// <summary>Crops and flips as one gather: each pixel says which pixel of the padded image it takes.</summary>
    private torch.Tensor Move(torch.Tensor images, SeededRandom random)
    {
        using var scope = torch.NewDisposeScope();
        var (count, channels, height, width) = (images.shape[0], images.shape[1], images.shape[2], images.shape[3]);
        long padding = options.CropPadding;
        var padded = padding == 0 ? images : torch.nn.functional.pad(images, [padding, padding, padding, padding]);
        var paddedWidth = width + (2 * padding);
        var sources = new long[count * height * width];
        var next = 0;
        for (long image = 0; image < count; image++)
        {
            var top = random.NextBelow((2 * padding) + 1);
            var left = random.NextBelow((2 * padding) + 1);
            var flip = options.HorizontalFlip && random.NextBelow(2) == 1;
            for (long y = 0; y < height; y++)
            {
                var row = ((y + top) * paddedWidth) + left;
                for (long x = 0; x < width; x++)
                    sources[next++] = row + (flip ? width - 1 - x : x);
            }
        }
        var index = torch.tensor(sources, dtype: torch.ScalarType.Int64)
            .view(count, 1, height * width)
            .expand(count, channels, height * width)
            .to(images.device);
        return padded.flatten(2).gather(2, index).view(count, channels, height, width).MoveToOuterDisposeScope();
    }
}
