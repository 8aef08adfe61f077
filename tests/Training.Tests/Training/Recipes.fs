/// What a training is told: which weights decay, how fast it learns, and options that make no sense.
module LocalAttention.Training.Tests.Recipes

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Core.Training
open LocalAttention.Core.Tests
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.OfficialFiles
open TorchSharp

/// The rules of the official codes, on the names of their files.
let private decaysOfficially naming (name: string) (shape: int array) =
    match naming with
    | ParameterNaming.Flax ->
        // configs/imagenet_qna.py: optim_wd_ignore
        let last = Array.last (name.Split '/')
        not (List.contains last [ "attn_scale_weights"; "rpe_bias"; "absolute_pos_embedding" ])
    | _ ->
        // optimizer.py: vectors and biases; the models' own list: relative_position_bias_table
        shape.Length > 1
        && not (name.EndsWith ".bias")
        && not (name.Contains "relative_position_bias_table")

let private groups =
    [ for file, architecture in MicroArchitectures.all do
          testCase $"{file}: as the official code's names say"
          <| fun () ->
              use model = architecture.Build(seed = 1L)
              let official = Safetensors.read (parametersPath file)
              let naming = architecture.Conventions.Naming

              let outcomes =
                  [ for name, parameter in namedParameters model ->
                        let stored = ParameterNames.InFile(architecture, name, naming).Name
                        let decays = WeightDecay.AppliesTo(architecture, name, parameter.shape.Length)

                        Expect.equal
                            decays
                            (decaysOfficially naming stored official[stored].Shape)
                            $"decay of {stored}"

                        decays ]

              Expect.containsAll outcomes [ true; false ] "some should decay and some not" ]

/// The other families' models list what does not decay beside vectors and biases.
let private families =
    [ for architecture, listed in
          [ Pvt.Tiny, [ "cls_token" ]
            PvtV2.B0, []
            CSwin.Tiny, []
            Nat.Mini, [ "rpb" ]
            SlidePvt.Tiny, [ "cls_token"; "relative_position_bias_table" ] ] do
          testCase architecture.Name
          <| fun () ->
              use model = architecture.Build()

              for name, parameter in namedParameters model do
                  let last = Array.last (name.Split '.')
                  let rank = parameter.shape.Length

                  Expect.equal
                      (WeightDecay.AppliesTo(architecture, name, rank))
                      (rank > 1 && last <> "bias" && not (List.contains last listed))
                      $"decay of {name}"

      testCase "embeddings of places decay in PVT alone, whose list does not have them"
      <| fun () ->
          let decays naming =
              WeightDecay.AppliesTo(
                  Pvt.Tiny.With(conventions = Conventions(Naming = naming)),
                  "layers.0.pos_embed",
                  3
              )

          Expect.isTrue (decays ParameterNaming.Pvt) "PVT"

          for other in [ ParameterNaming.PyTorch; ParameterNaming.CSwin; ParameterNaming.Nat ] do
              Expect.isFalse (decays other) $"{other}" ]

/// A step on an image whose loss has no gradient by the other parameters shows decay alone; here: what differs between
/// a step with decay and one without is what decays, by rate times decay of itself.
let private applied =
    testList
        "a step lets what should decay decay, and nothing else"
        [ for name, architecture in [ "tiny", still; "tiny-qna-vit", flax ] do
              testCase name
              <| fun () ->
                  use _ = torch.NewDisposeScope()

                  let after decay =
                      use model = architecture.Build(dtype = torch.ScalarType.Float64, seed = 1L)
                      enliven 1 model
                      let before = parametersOf model
                      let options = TrainingOptions(Decay = decay)

                      use optimization =
                          new Optimization(model, options, LearningRateSchedule(0.01, 0.01, 0L, 1L))

                      let labels = torch.tensor [| 0L; 1L |]

                      optimization.Step(input architecture torch.ScalarType.Float64, labels, 0L)
                      |> ignore

                      before, parametersOf model

                  let before, plain = after 0.0
                  let _, decayed = after 0.1

                  for KeyValue(name, values) in before do
                      let share =
                          if name.EndsWith "dep_conv.weight" then
                              Expect.equal decayed[name].Elements values.Elements "frozen shifts stay"
                              0.0
                          elif WeightDecay.AppliesTo(architecture, name, values.Shape.Length) then
                              0.001
                          else
                              0.0

                      let difference = NdArray.map2 (-) plain[name] decayed[name]
                      within 1e-12 1e-3 difference (NdArray.map ((*) share) values) $"the decay of {name}" ]

let private schedule =
    testCase "the learning rate rises linearly and falls by half a cosine"
    <| fun () ->
        let rates = LearningRateSchedule(2.0, 0.5, 4L, 12L)

        let expected =
            [ 0.5
              1.0
              1.5
              2.0
              for step in 0..8 do
                  0.5 + 1.5 * 0.5 * (1.0 + cos (Math.PI * float step / 8.0)) ]

        for step, rate in List.indexed expected do
            Expect.floatClose Accuracy.veryHigh (rates.At step) rate $"the rate of step {step}"

        Expect.equal (rates.At 12L) 0.5 "at the end"
        Expect.equal (rates.At 1000L) 0.5 "after the end"
        Expect.equal (LearningRateSchedule(2.0, 0.5, 0L, 12L).At 0L) 2.0 "without a rise"
        Expect.equal (LearningRateSchedule(2.0, 0.5, 12L, 12L).At 11L) 2.0 "all rise"

let private ofOptions =
    testCase "warm-up in epochs, in steps, and longer than the training"
    <| fun () ->
        let warmup (options: TrainingOptions) =
            LearningRateSchedule.For(options, 40L, 10L)

        Expect.equal
            (warmup (TrainingOptions(LearningRate = 0.1)))
            (LearningRateSchedule(0.1, 0.0, 0L, 40L))
            "none"

        Expect.equal
            (warmup (TrainingOptions(LearningRate = 0.1, MinimumLearningRate = 0.01, WarmupEpochs = 1.26)))
            (LearningRateSchedule(0.1, 0.01, 13L, 40L))
            "a part of an epoch"

        Expect.equal
            (warmup (TrainingOptions(LearningRate = 0.1, WarmupEpochs = 2.0, WarmupSteps = 3)))
            (LearningRateSchedule(0.1, 0.0, 3L, 40L))
            "steps go before epochs"

        Expect.equal
            (warmup (TrainingOptions(LearningRate = 0.1, WarmupEpochs = 9.0)))
            (LearningRateSchedule(0.1, 0.0, 40L, 40L))
            "longer than all"

let private falling =
    testProperty "the rate stays between the limits, rises in the warm-up and falls after it"
    <| fun (PositiveInt warmup) (PositiveInt rest) ->
        let warmup, rest = warmup % 50, rest % 50
        let rates = LearningRateSchedule(1.0, 0.1, int64 warmup, int64 (warmup + rest))
        let all = [ for step in 0 .. warmup + rest -> rates.At step ]
        Expect.isAscending all[.. warmup - 1] "the warm-up"
        Expect.isDescending all[warmup..] "the cosine"
        Expect.all all (fun rate -> rate > 0.0 && rate <= 1.0) "the limits"

let private mistakes =
    testCase "options that make no sense are all listed"
    <| fun () ->
        let options =
            TrainingOptions(
                Epochs = 0,
                BatchSize = -1,
                LearningRate = infinity,
                MinimumLearningRate = -1.0,
                WarmupEpochs = nan,
                WarmupSteps = -1,
                Decay = -0.1,
                Beta1 = 1.0,
                Beta2 = nan,
                Epsilon = -1.0,
                ClipNorm = infinity,
                LabelSmoothing = 1.0,
                MixupAlpha = infinity,
                CropPadding = -1,
                EvaluationBatchSize = 0,
                CheckpointEvery = 0,
                CheckpointEverySteps = 0
            )

        let expected =
            [ "Epochs is 0; it must be 1 or more"
              "BatchSize is -1; it must be 1 or more"
              "LearningRate is Infinity; it must be above 0"
              "MinimumLearningRate is -1; it must be between 0 and LearningRate, Infinity"
              "WarmupEpochs is NaN; it must be 0 or more"
              "WarmupSteps is -1; it must be 0 or more"
              "Decay is -0.1; it must be 0 or more"
              "Beta1 is 1; it must be at least 0 and below 1"
              "Beta2 is NaN; it must be at least 0 and below 1"
              "Epsilon is -1; it must be 0 or more"
              "ClipNorm is Infinity; it must be above 0 and finite, or none"
              "LabelSmoothing is 1; it must be at least 0 and below 1"
              "MixupAlpha is Infinity; it must be 0 or more"
              "CropPadding is -1; it must be 0 or more"
              "EvaluationBatchSize is 0; it must be 1 or more"
              "CheckpointEvery is 0; it must be 1 or more"
              "CheckpointEverySteps is 0; it must be 1 or more, or none" ]

        Expect.sequenceEqual (options.Check()) expected "the mistakes"
        use data = images 4
        use model = tiny.Build(seed = 1L)
        let list = String.concat "; " expected

        refused $"the training options have 17 mistake(s): {list}" (fun () ->
            (new Trainer(model, data, options = options)).Dispose())

        for recipe in [ TrainingOptions(); TrainingOptions.QnAViT; TrainingOptions.SlideSwin ] do
            Expect.isEmpty (recipe.Check()) "the recipes have none"

let private withChanges =
    testCase "With changes what it is given and nothing else"
    <| fun () ->
        let options = TrainingOptions.SlideSwin
        Expect.equal (options.With()) options "nothing"

        Expect.equal
            (options.With(
                epochs = 3,
                batchSize = 7,
                clipNorm = 2.0,
                seed = 9L,
                checkpointPath = "x",
                horizontalFlip = false
            ))
            (TrainingOptions(
                Epochs = 3,
                BatchSize = 7,
                LearningRate = 5e-4,
                MinimumLearningRate = 5e-6,
                WarmupEpochs = 20.0,
                ClipNorm = 2.0,
                LabelSmoothing = 0.1,
                MixupAlpha = 0.8,
                HorizontalFlip = false,
                Seed = 9L,
                CheckpointPath = "x"
            ))
            "six of them"

/// The tests of this file.
let tests =
    testList
        "recipes"
        [ testList "decay" groups
          testList "decay of other families" families
          applied
          schedule
          ofOptions
          falling
          mistakes
          withChanges ]
