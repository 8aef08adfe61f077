using LocalAttention.Core.Backbones;
using LocalAttention.Core.Data;
using TorchSharp;

namespace LocalAttention.Core.Training;

/// <summary>How well a model does on a data set.</summary>
/// <param name="Accuracy">The share of images whose largest logit is that of their label.</param>
/// <param name="Loss">The mean cross entropy, without smoothing.</param>
/// <param name="Images">The number of images.</param>
public readonly record struct EvaluationResult(double Accuracy, double Loss, long Images);

/// <summary>Runs models on data sets, without gradients and without stochastic depth.</summary>
public static class Evaluation
{
    /// <summary>Accuracy and loss on a data set.</summary>
    /// <param name="model">The model; afterwards it is in the mode in which it came.</param>
    /// <param name="dataset">The images, normalised as the data set says.</param>
    /// <param name="batchSize">Images at a time.</param>
    /// <param name="cancellation">Ends the evaluation between two batches.</param>
    /// <exception cref="ArgumentException">There is no image, or the model takes others or has too few classes.</exception>
    /// <exception cref="OperationCanceledException">The evaluation was cancelled.</exception>
    public static EvaluationResult Of(
        Backbone model, ImageDataset dataset, int batchSize = 500, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(dataset);
        dataset.EnsureSuits(model.Architecture, nameof(dataset));
        double loss = 0;
        long correct = 0;
        ForEachBatch(model, dataset, batchSize, (logits, labels) =>
        {
            var sum = torch.nn.functional.cross_entropy(logits, labels, reduction: torch.nn.Reduction.Sum);
            loss += sum.to(torch.ScalarType.Float64).item<double>();
            correct += logits.argmax(1).eq(labels).sum().ToInt64();
        }, cancellation);
        return new EvaluationResult((double)correct / dataset.Count, loss / dataset.Count, dataset.Count);
    }

    /// <summary>The logits of each image of a data set.</summary>
    /// <param name="model">The model; afterwards it is in the mode in which it came.</param>
    /// <param name="dataset">The images, normalised as the data set says.</param>
    /// <param name="batchSize">Images at a time.</param>
    /// <returns><c>[N, Classes]</c> in main memory.</returns>
    public static torch.Tensor Logits(Backbone model, ImageDataset dataset, int batchSize = 500)
    {
        using var scope = torch.NewDisposeScope();
        var pieces = new List<torch.Tensor>();
        ForEachBatch(model, dataset, batchSize, (logits, _) => pieces.Add(logits.cpu().MoveToOtherDisposeScope(scope)));
        return torch.cat(pieces, 0).MoveToOuterDisposeScope();
    }

    private static void ForEachBatch(
        Backbone model,
        ImageDataset dataset,
        int batchSize,
        Action<torch.Tensor, torch.Tensor> visit,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        var training = model.training;
        model.eval();
        try
        {
            using var noGradient = torch.no_grad();
            var reference = model.parameters().First();
            for (long start = 0; start < dataset.Count; start += batchSize)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = torch.NewDisposeScope();
                var size = Math.Min(batchSize, dataset.Count - start);
                var images = dataset.Images.narrow(0, start, size).to(reference.device);
                var labels = dataset.Labels.narrow(0, start, size).to(reference.device);
                visit(model.forward(dataset.Normalization.Apply(images, reference.dtype)), labels);
            }
        }
        finally
        {
            model.train(training);
        }
    }
}
