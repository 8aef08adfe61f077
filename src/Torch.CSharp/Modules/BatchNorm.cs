using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>
/// (x - mean) / √(variance + eps) · weight + bias for each channel: with the statistics of the batch in training, with
/// the running ones otherwise.
/// </summary>
public abstract class BatchNorm : NormBase
{
    public BatchNorm(long num_features, double eps, double momentum, bool affine, bool track_running_stats, Device? device, ScalarType? dtype, string name)
        : base(num_features, eps, momentum, affine, track_running_stats, device, dtype, name) { }

    public override Tensor forward(Tensor input)
    {
        ValidateInputDimensions(input);
        var share = momentum ?? 0.0;
        if (training && track_running_stats && num_batches_tracked is { } batches)
        {
            batches.add_(1);
            share = momentum ?? 1.0 / batches.item<long>();
        }
        var fromBatch = training || (running_mean is null && running_var is null);
        var keepsStatistics = !training || track_running_stats;
        return nn.functional.batch_norm(
            input, keepsStatistics ? running_mean : null, keepsStatistics ? running_var : null, affine ? weight : null, bias, fromBatch, share, eps);
    }
}
