/// Refinements of whole backbones, of stems and of training options: the same laws.
module LocalAttention.Dsl.Tests.WholeLaws

open System
open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Dsl
open LocalAttention.Dsl.Tests.Refinement

let private everyCase<'case when 'case: struct and 'case :> Enum and 'case: (new: unit -> 'case)> () =
    Enum.GetValues<'case>() |> List.ofArray

let private small =
    backbone "small" (patchify 4 32)
    |> stages [ stage (2 * qna 3 |> heads 4) |> downsample (qna 3 |> heads 8) ]

/// Conventions and the head's classes can be refined alone, so they are read alone.
let private read (architecture: Architecture) =
    let parts = properties architecture

    [ over (properties architecture.Conventions) (parts |> Map.remove "Conventions" |> Map.remove "Head")
      |> Map.add "Classes" (box architecture.Head.Classes)
      |> Map.add "Head" (box (architecture.Head.WithClasses 0)) ]

let private headOf text (value: Head) =
    settingAll text [ "Head", box (value.WithClasses 0); "Classes", box value.Classes ] (head value)

let private conventionsOf text (value: Conventions) =
    settingAll text (Map.toList (properties value)) (conventions value)

let private architectures =
    laws
        small
        read
        [ setting "named" "Name" [ "one"; "other" ] named
          setting "stem" "Stem" [ patchify 2 16 :> Stem; convolutions [ 3, 2, 24; 3, 1, 48 ] ] stem
          [ for rows in [ []; [ stage (slide 3 |> heads 2) ] ] ->
                settingAll $"stages {rows}" [ "Stages", box (ValueList.From rows) ] (stages rows) ]
          [ headOf "head (classify 10)" (classify 10)
            headOf "head pooledFeatures" pooledFeatures
            headOf "head (classifyByToken 10)" (classifyByToken 10)
            headOf "head (classifyByQna …)" (classifyByQna (5, heads = 4, queries = 3, skip = false)) ]
          setting "classes" "Classes" [ 0; 10 ] classes
          setting "imageChannels" "ImageChannels" [ 1; 3 ] imageChannels
          setting "imageSize" "Resolution" [ ImageSize.Square 32; ImageSize(64, 96) ] (fun size ->
              if size.IsSquare then
                  imageSize size.Height
              else
                  imageSize (size.Height, size.Width))
          setting "dropPath" "DropPath" [ 0.0; 0.2 ] dropPath
          setting "sizePolicy" "SizePolicy" (everyCase ()) sizePolicy
          [ conventionsOf "conventions pytorch" pytorch
            conventionsOf "conventions flax" flax
            conventionsOf "conventions pvt" pvt
            conventionsOf "conventions cswin" cswin
            conventionsOf "conventions nat" nat ]
          setting "activation" "Activation" (everyCase ()) activation
          setting "normEpsilon" "NormEpsilon" [ 1e-5; 1e-6 ] normEpsilon
          setting "embeddingNormEpsilon" "EmbeddingNormEpsilon" [ 1e-5; 1e-6 ] embeddingNormEpsilon
          setting "initialization" "Initialization" (everyCase ()) initialization
          setting "parameterNaming" "Naming" (everyCase ()) parameterNaming ]

let private patchStems =
    // The patch's size and channels are arguments of `patchify`, so no refinement sets them.
    let read (patches: PatchStem) =
        [ properties patches |> Map.remove "PatchSize" |> Map.remove "Channels" ]

    laws
        (patchify 4 32)
        read
        [ setting "patchBias" "Bias" [ true; false ] patchBias
          setting "patchNorm" "Norm" [ true; false ] patchNorm ]

/// What is left to the record's own `With`: it is seldom changed.
let private withoutRefinement =
    [ "WarmupSteps"
      "Beta1"
      "Beta2"
      "Epsilon"
      "EvaluationBatchSize"
      "CheckpointEvery"
      "CheckpointEverySteps" ]

let private convolutional =
    // Kernels, strides and channels are arguments of `convolutions`.
    let read (stem: ConvolutionStem) =
        let paddings =
            [ for convolution in stem.Convolutions -> convolution.Padding ] |> List.distinct

        [ properties stem
          |> Map.remove "Convolutions"
          |> Map.add "Padding" (box (List.exactlyOne paddings)) ]

    laws
        (convolutions [ 7, 4, 32; 3, 2, 48 ])
        read
        [ setting "convolutionBias" "Bias" [ true; false ] convolutionBias
          setting "convolutionPadding" "Padding" [ 0; 2 ] convolutionPadding
          [ settingAll "plainBetween" [ "ActivatedBetween", false ] plainBetween ] ]

let private stageParts =
    let next: Transition list =
        [ PatchMerging(); StridedConvolution(Bias = true, Channels = 24) ]

    laws
        (stage (2 * qna 3 |> heads 4))
        (properties >> Map.remove "Blocks" >> List.singleton)
        [ [ settingAll "positions" [ "PositionEmbedding", true ] positions ]
          [ settingAll "normed" [ "Norm", true ] normed ]
          settingAll "noTransition" [ "Transition", null ] noTransition
          :: setting "transition" "Transition" next transition ]

let private training =
    let read (options: TrainingOptions) =
        [ List.foldBack Map.remove withoutRefinement (properties options) ]

    laws
        recipe
        read
        [ setting "epochs" "Epochs" [ 1; 4 ] epochs
          setting "batchSize" "BatchSize" [ 32; 64 ] batchSize
          setting "learningRate" "LearningRate" [ 1e-3; 2e-3 ] learningRate
          setting "minimumLearningRate" "MinimumLearningRate" [ 0.0; 1e-5 ] minimumLearningRate
          setting "warmupEpochs" "WarmupEpochs" [ 0.0; 0.5 ] warmupEpochs
          setting "weightDecay" "Decay" [ 0.0; 0.1 ] weightDecay
          setting "beta2" "Beta2" [ 0.95; 0.99 ] beta2
          setting "clipNorm" "ClipNorm" [ 1.0; 5.0 ] clipNorm
          setting "labelSmoothing" "LabelSmoothing" [ 0.0; 0.1 ] labelSmoothing
          setting "mixup" "MixupAlpha" [ 0.0; 0.8 ] mixup
          setting "randomCrop" "CropPadding" [ 0; 4 ] randomCrop
          [ settingAll "horizontalFlip" [ "HorizontalFlip", true ] horizontalFlip ]
          setting "seed" "Seed" [ 0L; 7L ] seed
          setting "checkpoint" "CheckpointPath" [ "a.safetensors"; "b.safetensors" ] checkpoint ]

/// The tests of this file.
let tests =
    testList
        "wholes"
        [ testList "architectures" architectures
          testList "patches" patchStems
          testList "convolutions" convolutional
          testList "stages" stageParts
          testList "training options" training ]
