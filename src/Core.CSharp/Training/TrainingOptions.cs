namespace LocalAttention.Core.Training;

/// <summary>How a model is trained: AdamW, a cosine schedule with linear warm-up, and augmentation.</summary>
public sealed record TrainingOptions
{
    /// <summary>How often each image is seen.</summary>
    public int Epochs { get; init; } = 10;

    /// <summary>Images of a step; the last step of an epoch takes what is left.</summary>
    public int BatchSize { get; init; } = 128;

    /// <summary>The largest learning rate, reached when the warm-up ends.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>The learning rate that the cosine falls to.</summary>
    public double MinimumLearningRate { get; init; }

    /// <summary>Epochs in which the learning rate rises linearly; a part of one is allowed.</summary>
    public double WarmupEpochs { get; init; }

    /// <summary>Steps in which the learning rate rises linearly; none: as <see cref="WarmupEpochs"/> says.</summary>
    public int? WarmupSteps { get; init; }

    /// <summary>
    /// The decay of weights (decoupled, arXiv 1711.05101); what the official code leaves out of it is left out: see
    /// <see cref="WeightDecay"/>.
    /// </summary>
    public double Decay { get; init; } = 0.05;

    /// <summary>The memory of the gradient's mean.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>The memory of the gradient's square.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>What is added to the denominator of the update.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>The largest L2 norm of all gradients together; larger ones are scaled down to it. None: no limit.</summary>
    public double? ClipNorm { get; init; } = 1;

    /// <summary>The share of the target that is spread evenly over all classes (arXiv 1512.00567).</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>The parameter of the beta distribution that images are mixed with (arXiv 1710.09412); 0: no mixing.</summary>
    public double MixupAlpha { get; init; }

    /// <summary>Zeros on each side of an image before a piece of its old size is cut out at random; 0: no cropping.</summary>
    public int CropPadding { get; init; }

    /// <summary>Whether every second image, at random, is mirrored left to right.</summary>
    public bool HorizontalFlip { get; init; }

    /// <summary>What all random numbers of the training follow from.</summary>
    public long Seed { get; init; }

    /// <summary>Images of a batch in evaluation.</summary>
    public int EvaluationBatchSize { get; init; } = 500;

    /// <summary>The file that the training can be resumed from; none: it is not written.</summary>
    public string? CheckpointPath { get; init; }

    /// <summary>Epochs between writing <see cref="CheckpointPath"/>; it is always written at the end.</summary>
    public int CheckpointEvery { get; init; } = 1;

    /// <summary>Steps between writing <see cref="CheckpointPath"/> within an epoch; none: only at ends of epochs.</summary>
    public int? CheckpointEverySteps { get; init; }

    /// <summary>
    /// The recipe of QnA-ViT on ImageNet (<c>configs/imagenet_qna.py</c> of the official code), as far as its
    /// augmentations are here: mixup and label smoothing. Its images are flipped too.
    /// </summary>
    public static TrainingOptions QnAViT { get; } = new()
    {
        Epochs = 300,
        BatchSize = 1024,
        LearningRate = 5e-4,
        WarmupEpochs = 5,
        ClipNorm = null,
        LabelSmoothing = 0.1,
        MixupAlpha = 0.8,
        HorizontalFlip = true,
    };

    /// <summary>
    /// The recipe of Slide-Swin on ImageNet (<c>config.py</c> of the official code), as far as its augmentations are here.
    /// Its learning rates are for 512 images a step; scale them with <see cref="BatchSize"/>.
    /// </summary>
    public static TrainingOptions SlideSwin { get; } = new()
    {
        Epochs = 300,
        BatchSize = 512,
        LearningRate = 5e-4,
        MinimumLearningRate = 5e-6,
        WarmupEpochs = 20,
        ClipNorm = 5,
        LabelSmoothing = 0.1,
        MixupAlpha = 0.8,
        HorizontalFlip = true,
    };

    /// <summary>A copy in which the given properties are replaced.</summary>
    public TrainingOptions With(
        int? epochs = null,
        int? batchSize = null,
        double? learningRate = null,
        double? minimumLearningRate = null,
        double? warmupEpochs = null,
        int? warmupSteps = null,
        double? decay = null,
        double? beta1 = null,
        double? beta2 = null,
        double? epsilon = null,
        double? clipNorm = null,
        double? labelSmoothing = null,
        double? mixupAlpha = null,
        int? cropPadding = null,
        bool? horizontalFlip = null,
        long? seed = null,
        int? evaluationBatchSize = null,
        string? checkpointPath = null,
        int? checkpointEvery = null,
        int? checkpointEverySteps = null) => this with
        {
            Epochs = epochs ?? Epochs,
            BatchSize = batchSize ?? BatchSize,
            LearningRate = learningRate ?? LearningRate,
            MinimumLearningRate = minimumLearningRate ?? MinimumLearningRate,
            WarmupEpochs = warmupEpochs ?? WarmupEpochs,
            WarmupSteps = warmupSteps ?? WarmupSteps,
            Decay = decay ?? Decay,
            Beta1 = beta1 ?? Beta1,
            Beta2 = beta2 ?? Beta2,
            Epsilon = epsilon ?? Epsilon,
            ClipNorm = clipNorm ?? ClipNorm,
            LabelSmoothing = labelSmoothing ?? LabelSmoothing,
            MixupAlpha = mixupAlpha ?? MixupAlpha,
            CropPadding = cropPadding ?? CropPadding,
            HorizontalFlip = horizontalFlip ?? HorizontalFlip,
            Seed = seed ?? Seed,
            EvaluationBatchSize = evaluationBatchSize ?? EvaluationBatchSize,
            CheckpointPath = checkpointPath ?? CheckpointPath,
            CheckpointEvery = checkpointEvery ?? CheckpointEvery,
            CheckpointEverySteps = checkpointEverySteps ?? CheckpointEverySteps,
        };

    /// <summary>A copy whose gradients are not clipped.</summary>
    public TrainingOptions WithoutClipNorm() => this with { ClipNorm = null };

    /// <summary>The mistakes in these options, each with its value and what would be right; empty: none.</summary>
    public IReadOnlyList<string> Check()
    {
        var mistakes = new List<string>();
        void Require(bool right, string name, object? value, string remedy)
        {
            if (!right)
                mistakes.Add($"{name} is {value ?? "none"}; it must be {remedy}");
        }
        Require(Epochs >= 1, nameof(Epochs), Epochs, "1 or more");
        Require(BatchSize >= 1, nameof(BatchSize), BatchSize, "1 or more");
        Require(double.IsFinite(LearningRate) && LearningRate > 0, nameof(LearningRate), LearningRate, "above 0");
        Require(
            MinimumLearningRate >= 0 && MinimumLearningRate <= LearningRate,
            nameof(MinimumLearningRate), MinimumLearningRate, $"between 0 and {nameof(LearningRate)}, {LearningRate}");
        Require(double.IsFinite(WarmupEpochs) && WarmupEpochs >= 0, nameof(WarmupEpochs), WarmupEpochs, "0 or more");
        Require(WarmupSteps is null or >= 0, nameof(WarmupSteps), WarmupSteps, "0 or more");
        Require(double.IsFinite(Decay) && Decay >= 0, nameof(Decay), Decay, "0 or more");
        Require(Beta1 is >= 0 and < 1, nameof(Beta1), Beta1, "at least 0 and below 1");
        Require(Beta2 is >= 0 and < 1, nameof(Beta2), Beta2, "at least 0 and below 1");
        Require(double.IsFinite(Epsilon) && Epsilon >= 0, nameof(Epsilon), Epsilon, "0 or more");
        Require(ClipNorm is null or (> 0 and < double.PositiveInfinity), nameof(ClipNorm), ClipNorm, "above 0 and finite, or none");
        Require(LabelSmoothing is >= 0 and < 1, nameof(LabelSmoothing), LabelSmoothing, "at least 0 and below 1");
        Require(double.IsFinite(MixupAlpha) && MixupAlpha >= 0, nameof(MixupAlpha), MixupAlpha, "0 or more");
        Require(CropPadding >= 0, nameof(CropPadding), CropPadding, "0 or more");
        Require(EvaluationBatchSize >= 1, nameof(EvaluationBatchSize), EvaluationBatchSize, "1 or more");
        Require(CheckpointEvery >= 1, nameof(CheckpointEvery), CheckpointEvery, "1 or more");
        Require(CheckpointEverySteps is null or >= 1, nameof(CheckpointEverySteps), CheckpointEverySteps, "1 or more, or none");
        return mistakes;
    }

    /// <exception cref="ArgumentException">There is a mistake; the message lists all.</exception>
    internal void EnsureValid(string argument)
    {
        if (Check() is { Count: > 0 } mistakes)
        {
            throw new ArgumentException(
                $"the training options have {mistakes.Count} mistake(s): {string.Join("; ", mistakes)}", argument);
        }
    }
}
