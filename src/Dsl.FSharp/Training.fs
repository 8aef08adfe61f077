namespace LocalAttention.Dsl

open System
open System.Threading
open LocalAttention.Core.Backbones
open LocalAttention.Core.Training

/// Training: options that are refined as everything else, and three functions that train.
[<AutoOpen>]
module Training =
    // ------------------------------------------------------------------------------------------ options

    /// <summary>AdamW with a cosine schedule, 10 epochs of batches of 128: what the functions below refine.</summary>
    /// <example><code lang="fsharp">recipe |> epochs 4 |> learningRate 2e-3 |> warmupEpochs 0.5</code></example>
    let recipe: TrainingOptions = TrainingOptions()

    /// The published recipe of QnA-ViT on ImageNet, as far as its augmentations are here.
    let qnaVitRecipe: TrainingOptions = TrainingOptions.QnAViT

    /// The published recipe of Slide-Swin on ImageNet, as far as its augmentations are here.
    let slideSwinRecipe: TrainingOptions = TrainingOptions.SlideSwin

    /// How often each image is seen.
    let epochs (count: int) (options: TrainingOptions) : TrainingOptions = options.With(epochs = count)

    /// Images of a step.
    let batchSize (images: int) (options: TrainingOptions) : TrainingOptions =
        options.With(batchSize = images)

    /// The largest learning rate, reached when the warm-up ends.
    let learningRate (rate: float) (options: TrainingOptions) : TrainingOptions =
        options.With(learningRate = rate)

    /// The learning rate that the cosine falls to: 0 unless said.
    let minimumLearningRate (rate: float) (options: TrainingOptions) : TrainingOptions =
        options.With(minimumLearningRate = rate)

    /// Epochs in which the learning rate rises; a part of one is allowed.
    let warmupEpochs (epochs: float) (options: TrainingOptions) : TrainingOptions =
        options.With(warmupEpochs = epochs)

    /// The decay of weights; norms, biases and what else the official code leaves out are left out.
    let weightDecay (decay: float) (options: TrainingOptions) : TrainingOptions = options.With(decay = decay)

    /// How much of the past AdamW's average of squared gradients keeps, β₂: 0.999 unless said. Short trainings want less.
    let beta2 (share: float) (options: TrainingOptions) : TrainingOptions = options.With(beta2 = share)

    /// The largest norm of all gradients together: 1 unless said.
    let clipNorm (norm: float) (options: TrainingOptions) : TrainingOptions = options.With(clipNorm = norm)

    /// The share of the target that is spread evenly over all classes.
    let labelSmoothing (share: float) (options: TrainingOptions) : TrainingOptions =
        options.With(labelSmoothing = share)

    /// Images mixed in pairs; the parameter of the beta distribution of their shares (arXiv 1710.09412).
    let mixup (alpha: float) (options: TrainingOptions) : TrainingOptions = options.With(mixupAlpha = alpha)

    /// Images moved by up to some pixels in each direction, at random.
    let randomCrop (pixels: int) (options: TrainingOptions) : TrainingOptions =
        options.With(cropPadding = pixels)

    /// Every second image mirrored, at random.
    let horizontalFlip (options: TrainingOptions) : TrainingOptions = options.With(horizontalFlip = true)

    /// What all random numbers of the training follow from.
    let seed (seed: int64) (options: TrainingOptions) : TrainingOptions = options.With(seed = seed)

    /// The file that the training is written to after each epoch and can be resumed from.
    let checkpoint (path: string) (options: TrainingOptions) : TrainingOptions =
        options.With(checkpointPath = path)

    /// The mistakes in options, each with its value and what would be right; none: they are right.
    let optionMistakes (options: TrainingOptions) : string list = List.ofSeq (options.Check())

    // ------------------------------------------------------------------------------------------ training

    let private shown (trainer: Trainer) =
        use interrupt = new CancelOnInterrupt()
        ConsoleProgress.Show(fun progress -> trainer.Run(progress, interrupt.Token))

    /// <summary>
    /// Trains a model, tests it after each epoch, and shows how it goes: a bar on a terminal, a line an epoch elsewhere.
    /// Ctrl-C ends it after the step; with a <c>checkpoint</c> it can be resumed.
    /// </summary>
    /// <example><code lang="fsharp">
    /// let model = QnAViT.tiny |> classes 10 |> imageChannels 1 |> imageSize 28 |> build
    /// let result = model |> train (recipe |> epochs 4) (fashionMnist ())
    /// </code></example>
    let train (options: TrainingOptions) (examples: Examples) (model: Backbone) : TrainingResult =
        use trainer = new Trainer(model, examples.Training, examples.Test, options)
        shown trainer

    /// <summary>The same without a word: each step and each epoch is told to a function.</summary>
    /// <example><code lang="fsharp">model |> trainTelling (fun step -> losses.Add step.StepLoss) recipe examples</code></example>
    let trainTelling
        (tell: TrainingProgress -> unit)
        (options: TrainingOptions)
        (examples: Examples)
        (model: Backbone)
        : TrainingResult =
        use trainer = new Trainer(model, examples.Training, examples.Test, options)

        let progress =
            { new IProgress<TrainingProgress> with
                member _.Report(step) = tell step }

        trainer.Run(progress, CancellationToken.None)

    /// <summary>Goes on with the training in a checkpoint, with the losses that it would have had uninterrupted.</summary>
    /// <example><code lang="fsharp">let model, result = resume "checkpoints/small.safetensors" (fashionMnist ())</code></example>
    let resume (path: string) (examples: Examples) : Backbone * TrainingResult =
        use trainer = Trainer.Resume(path, examples.Training, examples.Test)
        trainer.Model, shown trainer
