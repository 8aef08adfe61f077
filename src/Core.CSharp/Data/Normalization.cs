using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Data;

/// <summary>The mean and deviation of each channel, of pixels between 0 and 1: what images are brought to 0 and 1 with.</summary>
/// <param name="Mean">The mean of each channel.</param>
/// <param name="Deviation">The standard deviation of each channel, above 0.</param>
public sealed record Normalization(ValueList<double> Mean, ValueList<double> Deviation)
{
    /// <summary>Those of ImageNet, which the official recipes use.</summary>
    public static Normalization ImageNet { get; } = new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

    /// <summary>Measures a set of images.</summary>
    /// <param name="images">Bytes, <c>[N, C, H, W]</c>.</param>
    public static Normalization Of(torch.Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = torch.NewDisposeScope();
        var channels = images.shape[1];
        var sum = torch.zeros([channels], dtype: torch.ScalarType.Float64);
        var squares = torch.zeros([channels], dtype: torch.ScalarType.Float64);
        // In pieces, so that the pixels need not all be wide numbers at once.
        const long piece = 4096;
        for (long start = 0; start < images.shape[0]; start += piece)
        {
            using var inner = torch.NewDisposeScope();
            var bytes = images.narrow(0, start, Math.Min(piece, images.shape[0] - start));
            var pixels = bytes.to(torch.ScalarType.Float64).div(255.0);
            sum.add_(pixels.sum([0L, 2L, 3L]));
            squares.add_(pixels.mul(pixels).sum([0L, 2L, 3L]));
        }
        var count = (double)Math.Max(1, images.NumberOfElements / Math.Max(1, channels));
        var mean = new double[channels];
        var deviation = new double[channels];
        for (var c = 0; c < channels; c++)
        {
            mean[c] = sum[c].ToDouble() / count;
            var variance = (squares[c].ToDouble() / count) - (mean[c] * mean[c]);
            // A channel that never changes is only shifted.
            deviation[c] = variance > 1e-12 ? Math.Sqrt(variance) : 1;
        }
        return new Normalization(ValueList.From(mean), ValueList.From(deviation));
    }

    /// <summary>Bytes to numbers of mean 0 and deviation 1.</summary>
    /// <param name="images">Bytes, <c>[B, C, H, W]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns><c>[B, C, H, W]</c> of <paramref name="dtype"/>, on the images' device.</returns>
    public torch.Tensor Apply(torch.Tensor images, torch.ScalarType dtype)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = torch.NewDisposeScope();
        torch.Tensor PerChannel(double[] values) =>
            torch.tensor(values, dtype: dtype, device: images.device).view(1, values.Length, 1, 1);
        var factor = Mean.Select((_, c) => 1 / (255 * Deviation[c])).ToArray();
        var shift = Mean.Select((mean, c) => -mean / Deviation[c]).ToArray();
        return images.to(dtype).mul_(PerChannel(factor)).add_(PerChannel(shift)).MoveToOuterDisposeScope();
    }
}
