using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Training;

/// <summary>Everything a training needs to go on, but for its tensors: what a checkpoint's metadata holds.</summary>
/// <param name="Options">The options.</param>
/// <param name="Images">Images of the training set.</param>
/// <param name="StepsTaken">Steps taken.</param>
/// <param name="Epochs">The epochs that ended.</param>
/// <param name="Running">The sums of the epoch that has not.</param>
internal sealed record TrainingState(
    TrainingOptions Options, long Images, long StepsTaken, ValueList<EpochResult> Epochs, RunningSums Running)
{
    public const string Key = "local_attention.training";

    private static readonly MetadataJson<TrainingState> Json = new("the training", depth: 16);

    public string Write() => Json.Write(this);

    /// <exception cref="CheckpointException">The file holds no training, or a damaged one.</exception>
    public static TrainingState Read(SafetensorsFile file)
    {
        if (!file.Metadata.TryGetValue(Key, out var json))
        {
            throw new CheckpointException(
                file.Path,
                $"the metadata holds no training (key '{Key}'); this is a model alone: load it and start a new training");
        }
        var state = Json.Read(file.Path, json);
        if (state.Options.Check() is { Count: > 0 } mistakes)
        {
            throw new CheckpointException(
                file.Path,
                $"the options of the training in the metadata are wrong: {string.Join("; ", mistakes)}");
        }
        if (state.StepsTaken < 0 || state.Images < 1)
        {
            throw new CheckpointException(
                file.Path,
                $"the training in the metadata has {state.StepsTaken} steps and {state.Images} images; "
                + "both must be numbers of something");
        }
        return state;
    }
}

/// <summary>What an epoch's mean loss and accuracy are made of.</summary>
/// <param name="Loss">The sum of the losses of all images seen.</param>
/// <param name="Correct">Images that were right.</param>
/// <param name="Images">Images seen.</param>
internal readonly record struct RunningSums(double Loss, long Correct, long Images)
{
    public double MeanLoss => Images == 0 ? 0 : Loss / Images;

    public double Accuracy => Images == 0 ? 0 : (double)Correct / Images;

    public RunningSums Plus(StepResult step) =>
        new(Loss + (step.Loss * step.Images), Correct + step.Correct, Images + step.Images);
}
