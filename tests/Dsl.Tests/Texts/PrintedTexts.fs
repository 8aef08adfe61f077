/// What values look like, word for word.
module LocalAttention.Dsl.Tests.PrintedTexts

open System
open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Dsl

let private same (actual: string) (lines: string list) =
    Expect.equal actual (String.Join(Environment.NewLine, lines)) "the text"

let private printed name (actual: unit -> string) lines =
    testCase name <| fun () -> same (actual ()) lines

let private small =
    backbone "small" (patchify 4 32)
    |> stages
        [ stage (2 * qna 3 |> heads 4) |> downsample (qna 3 |> heads 8)
          stage ((swinBlocks 4 7 |> heads 8) + (slide 3 |> heads 8))
          |> downsample (convolve 3, channels = 96)
          stage (globalAttention |> heads 8) ]
    |> head (classify 10)

let private wrong =
    backbone "wrong" (patchify 4 90)
    |> stages
        [ stage (2 * qna 4 |> heads 8) |> downsample merge
          stage (0 * slide 3 |> heads 4)
          stage (3 * slide 3 |> heads 7)
          stage ((slide 3 |> heads 7) + (window 7 |> heads 9) + (slide 3 |> heads 7)) ]
    |> head (classify 10)
    |> imageSize 32

let private tables =
    [ printed
          "an architecture"
          (fun () -> Printing.architecture small)
          [ "small: images of 224×224×3, 10 classes"
            "┌─────────┬───────────────────────────────┬────────┬───────┬──────────┬────────────┐"
            "│ part    │ layers                        │ window │ heads │   output │ parameters │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ stem    │ patch                         │    4×4 │       │ 56×56×32 │      1,632 │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ stage 1 │ 2 × qna                       │    3×3 │     4 │ 56×56×32 │     23,520 │"
            "│         │ qna downsampling              │    3×3 │     8 │ 28×28×64 │     43,936 │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ stage 2 │ 2 × (window + shifted window) │    7×7 │     8 │ 28×28×64 │    205,344 │"
            "│         │ slide                         │    3×3 │     8 │ 28×28×64 │     51,496 │"
            "│         │ convolution                   │    3×3 │       │ 14×14×96 │     55,488 │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ stage 3 │ global                        │        │     8 │ 14×14×96 │    111,840 │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ head    │ average pool                  │        │       │ 14×14×96 │      1,162 │"
            "├─────────┼───────────────────────────────┼────────┼───────┼──────────┼────────────┤"
            "│ total   │                               │        │       │          │    494,418 │"
            "└─────────┴───────────────────────────────┴────────┴───────┴──────────┴────────────┘" ]

      printed
          "a wrong architecture"
          (fun () -> Printing.architecture wrong)
          [ "wrong: images of 32×32×3, 10 classes"
            "┌─────────┬───────────────┬────────┬───────┬─────────┬────────────┐"
            "│ part    │ layers        │ window │ heads │  output │ parameters │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ stem    │ patch         │    4×4 │       │  8×8×90 │      4,590 │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ stage 1 │ 2 × qna       │    4×4 │     8 │  8×8×90 │    181,204 │"
            "│         │ patch merging │        │       │ 4×4×180 │     65,520 │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ stage 3 │ 3 × slide     │    3×3 │     7 │ 4×4×180 │  1,187,109 │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ stage 4 │ slide         │    3×3 │     7 │ 4×4×180 │    395,703 │"
            "│         │ window        │    7×7 │     9 │ 4×4×180 │    392,661 │"
            "│         │ slide         │    3×3 │     7 │ 4×4×180 │    395,703 │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ head    │ average pool  │        │       │ 4×4×180 │      2,170 │"
            "├─────────┼───────────────┼────────┼───────┼─────────┼────────────┤"
            "│ total   │               │        │       │         │  2,624,660 │"
            "└─────────┴───────────────┴────────┴───────┴─────────┴────────────┘"
            "This cannot be built. 4 mistakes:"
            "  stage 2: it has no block and no transition; add a block or remove the stage."
            "  stage 1, blocks 1, 2: qna window: 4 is even, so it has no centre; use 3 or 5."
            "  stage 1, blocks 1, 2: 8 heads do not divide 90 channels; use 6 or 9 heads."
            "  stage 3, blocks 1 to 3; stage 4, blocks 1, 3: 7 heads do not divide 180 channels; use 6 or 9 heads." ]

      printed
          "an architecture without stages"
          (fun () ->
              Printing.architecture (backbone "bare" (patchify 4 8) |> imageSize (32, 64) |> imageChannels 1))
          [ "bare: images of 32×64×1, pooled features"
            "┌───────┬──────────────┬────────┬───────┬────────┬────────────┐"
            "│ part  │ layers       │ window │ heads │ output │ parameters │"
            "├───────┼──────────────┼────────┼───────┼────────┼────────────┤"
            "│ stem  │ patch        │    4×4 │       │ 8×16×8 │        152 │"
            "├───────┼──────────────┼────────┼───────┼────────┼────────────┤"
            "│ head  │ average pool │        │       │ 8×16×8 │         16 │"
            "├───────┼──────────────┼────────┼───────┼────────┼────────────┤"
            "│ total │              │        │       │        │        168 │"
            "└───────┴──────────────┴────────┴───────┴────────┴────────────┘"
            "This cannot be built. 1 mistake:"
            "  whole model: it has no stage; add at least one stage with a block." ]

      printed
          "a comparison"
          (fun () -> Printing.comparison [ Swin.tiny; wrong; small |> named "another" ])
          [ "┌───────────┬────────────────────────────┬────────┬──────────┬────────────┬────────────┐"
            "│ name      │ attention                  │ blocks │ last map │ parameters │ state      │"
            "├───────────┼────────────────────────────┼────────┼──────────┼────────────┼────────────┤"
            "│ swin-tiny │ window                     │     12 │  7×7×768 │ 28,288,354 │ builds     │"
            "│ wrong     │ qna, slide, window         │      8 │  4×4×180 │  2,624,660 │ 4 mistakes │"
            "│ another   │ qna, window, slide, global │      8 │ 14×14×96 │    494,418 │ builds     │"
            "└───────────┴────────────────────────────┴────────┴──────────┴────────────┴────────────┘" ]

      printed
          "a comparison of nothing"
          (fun () -> Printing.comparison [])
          [ "┌──────┬───────────┬────────┬──────────┬────────────┬───────┐"
            "│ name │ attention │ blocks │ last map │ parameters │ state │"
            "├──────┼───────────┼────────┼──────────┼────────────┼───────┤"
            "└──────┴───────────┴────────┴──────────┴────────────┴───────┘" ] ]

let private several =
    [ for numbers, text in
          [ [ 1 ], "block 1"
            [ 1; 2 ], "blocks 1, 2"
            [ 1; 2; 3 ], "blocks 1 to 3"
            [ 2; 3; 4; 5 ], "blocks 2 to 5"
            [ 1; 3 ], "blocks 1, 3"
            [ 1; 2; 4 ], "blocks 1, 2, 4" ] do
          printed
              $"a mistake in {text}"
              (fun () ->
                  Printing.problems
                      [ for number in numbers ->
                            Problem($"stage 2, block {number}", "it is wrong", "make it right") ])
              [ "1 mistake:"; $"  stage 2, {text}: it is wrong; make it right." ]

      printed
          "one mistake in several stages, and another"
          (fun () ->
              Printing.problems
                  [ Problem("stage 1, block 1", "it is wrong", "make it right")
                    Problem("stage 1, block 2", "it is wrong", "make it right")
                    Problem("stem", "it is small", "make it large")
                    Problem("stage 3, block 4", "it is wrong", "make it right") ])
          [ "2 mistakes:"
            "  stage 1, blocks 1, 2; stage 3, block 4: it is wrong; make it right."
            "  stem: it is small; make it large." ]

      printed
          "one mistake in blocks and in their transition"
          (fun () ->
              Printing.problems
                  [ Problem("stage 1, block 1", "it is wrong", "make it right")
                    Problem("stage 1, transition", "it is wrong", "make it right") ])
          [ "1 mistake:"
            "  stage 1, block 1; stage 1, transition: it is wrong; make it right." ]

      printed "no mistake" (fun () -> Printing.problems []) [ "no mistakes" ] ]

let private rows =
    [ for text, row in
          [ "qna 3×3, heads not given yet", string (qna 3)
            "2 × qna 3×3, heads not given yet, queries 4", string (2 * qna 3 |> queries 4) ] do
          printed text (fun () -> row) [ text ]

      for blocks, lines in
          [ (qna 3 |> heads 1).Text, [ "qna 3×3, 1 head" ]
            (3 * qna 3 |> heads 8).Text, [ "3 × qna 3×3, 8 heads" ]
            (0 * qna 3 |> heads 8).Text, [ "no block" ]
            (3 * globalAttention |> heads 8).Text, [ "3 × global, 8 heads" ]
            ((2 * qna 3 |> heads 8) + (slide 3 |> heads 4) + (qna 3 |> heads 8)).Text,
            [ "2 × qna 3×3, 8 heads"; "slide 3×3, 4 heads"; "qna 3×3, 8 heads" ]
            (qna 5
             |> heads 8
             |> queries 4
             |> width 16
             |> attentionScale AttentionScale.PositiveNegative
             |> position PositionBias.Contextual
             |> scalePosition true
             |> queryNorm (largestNorm 2.0)
             |> biases true
             |> mlpRatio 2.5
             |> layerScale 1e-5)
                .Text,
            [ "qna 5×5, 8 heads, queries 4, width 16, scale positive negative, position contextual, scaled position bias, query norm at most 2, biases, MLP ratio 2.5, layer scale 1E-05" ]
            (qna 3 |> heads 2 |> queryNorm freeNorm).Text, [ "qna 3×3, 2 heads, query norm free" ]
            (qna 3 |> heads 2 |> queryNorm unitNormHeld).Text,
            [ "qna 3×3, 2 heads, query norm unit, held in the gradient" ]
            (slide 3
             |> heads 2
             |> padding EdgePadding.Circular
             |> deformed false
             |> qkvBias false
             |> logitScale 0.5)
                .Text,
            [ "slide 3×3, 2 heads, padding circular, no deformed path, no qkv bias, scale 0.5" ]
            (shifted (window 7)
             |> heads 2
             |> qkvOrder QkvOrder.HeadMajor
             |> biases false
             |> relativeBias false)
                .Text,
            [ "window 7×7, 2 heads, shifted, order head major, no qkv bias, no projection bias, no position bias" ]
            (globalAttention |> heads 2 |> qkvOrder QkvOrder.HeadMajor |> biases false).Text,
            [ "global, 2 heads, order head major, no qkv bias, no projection bias" ]
            (globalAttention |> locallyEnhanced |> heads 2).Text, [ "global, 2 heads, locally enhanced" ]
            (neighbourhood 7 |> heads 2).Text, [ "neighbourhood 7×7, 2 heads" ]
            (dilated 8 (neighbourhood 7) |> heads 2 |> biases false |> relativeBias false).Text,
            [ "dilated neighbourhood 7×7, 2 heads, dilation 8, no qkv bias, no position bias" ]
            (crossShaped 2 |> heads 4 |> biases false).Text, [ "cross-shaped 2, 4 heads, no qkv bias" ]
            (spatialReduction 8
             |> heads 1
             |> qkvBias false
             |> mlpConvolution MlpConvolution.Depthwise)
                .Text,
            [ "reduction 8×8, 1 head, no qkv bias, MLP convolution depthwise" ]
            (pooledAttention 7
             |> heads 1
             |> qkvBias false
             |> mlpConvolution MlpConvolution.DepthwiseAfterRelu)
                .Text,
            [ "pooled 7×7, 1 head, no qkv bias, MLP convolution depthwise after relu" ] ] do
          printed lines.Head (fun () -> blocks) lines

      testCase "blocks print as their text by any way"
      <| fun () ->
          let blocks = 2 * qna 3 |> heads 8
          Expect.equal (string blocks) blocks.Text "as a string"
          Expect.equal (sprintf "%A" blocks) blocks.Text "in F# Interactive"

      testCase "a block, an attention"
      <| fun () ->
          let block = slide 3 |> heads 4 |> mlpRatio 2.0 |> toBlocks |> List.exactlyOne
          Expect.equal (Printing.block block) "slide 3×3, 4 heads, MLP ratio 2" "a block"
          Expect.equal (Printing.attention block.Attention) "slide 3×3, 4 heads" "an attention" ]

let private stageTexts =
    [ for change, text in
          [ downsample merge, "then patch merging"
            downsample (merge, channels = 24), "then patch merging, channels 24"
            downsample (convolve 3), "then convolution 3×3, stride 2"
            downsample (convolve 3, bias = true), "then convolution 3×3, stride 2, bias"
            downsample (patches 2, channels = 24), "then patches 2×2, channels 24, bias"
            downsample (qna 3 |> heads 8), "then downsampling by 2 with qna 3×3, 8 heads"
            downsample (
                qna 3 |> heads 8 |> layerScale 0.1,
                stride = 3,
                channels = 24,
                skip = SkipPath.AveragePool
            ),
            "then downsampling by 3 with qna 3×3, 8 heads, layer scale 0.1, channels 24, skip average pool"
            upsample (qna 3 |> heads 8, factor = 4), "then upsampling by 4 with qna 3×3, 8 heads" ] do
          printed
              text
              (fun () -> Printing.stage (stage (2 * slide 3 |> heads 4) |> change))
              [ "2 × slide 3×3, 4 heads"; text ]

      printed
          "a stage with an embedding of places and a norm"
          (fun () ->
              Printing.stage (
                  stage (2 * spatialReduction 8 |> heads 1)
                  |> positions
                  |> normed
                  |> downsample (patches 2)
              ))
          [ "an embedding of places"
            "2 × reduction 8×8, 1 head"
            "a norm"
            "then patches 2×2, bias" ]

      printed
          "a stage without a transition"
          (fun () -> Printing.stage (stage (slide 3 |> heads 4)))
          [ "slide 3×3, 4 heads" ] ]

let private options =
    [ for value, text in
          [ recipe,
            "10 epochs, batches of 128, learning rate 0.001, weight decay 0.05, gradients clipped to 1, seed 0"
            recipe
            |> epochs 1
            |> warmupEpochs 0.5
            |> weightDecay 0.0
            |> minimumLearningRate 1e-5
            |> labelSmoothing 0.1
            |> mixup 0.8
            |> randomCrop 2
            |> horizontalFlip
            |> seed 7L
            |> checkpoint "a.safetensors",
            "1 epoch, batches of 128, learning rate 0.001, falling to 1E-05, epochs of warm-up 0.5, gradients clipped to 1, label smoothing 0.1, mixup 0.8, random crops by 2, horizontal flips, seed 7, checkpoint a.safetensors"
            recipe |> batchSize 0,
            "10 epochs, batches of 0, learning rate 0.001, weight decay 0.05, gradients clipped to 1, seed 0, wrong: BatchSize is 0; it must be 1 or more" ] do
          printed text[..30] (fun () -> Printing.options value) [ text ] ]

let private others =
    [ testCase "a training's epochs"
      <| fun () ->
          let result =
              TrainingResult(
                  ValueList.From
                      [ EpochResult(
                            1,
                            1.25,
                            0.5,
                            Nullable(EvaluationResult(1.0, 0.625, 256L)),
                            TimeSpan.FromSeconds 75.0
                        )
                        EpochResult(2, 0.75, 0.75, Nullable(), TimeSpan.FromHours 1.5) ],
                  false,
                  null
              )

          same
              (Printing.training result)
              [ "┌───────┬────────┬──────────┬───────────┬───────────────┬─────────┐"
                "│ epoch │   loss │ accuracy │ test loss │ test accuracy │    time │"
                "├───────┼────────┼──────────┼───────────┼───────────────┼─────────┤"
                "│     1 │ 1.2500 │   50.00% │    0.6250 │       100.00% │ 0:01:15 │"
                "│     2 │ 0.7500 │   75.00% │           │               │ 1:30:00 │"
                "└───────┴────────┴──────────┴───────────┴───────────────┴─────────┘" ]

      testCase "one part of a model"
      <| fun () ->
          Expect.equal
              (trace Swin.tiny |> List.map Printing.layer |> List.truncate 2)
              [ "stem: patch, 224×224×3 to 56×56×96, 4,896 parameters"
                "stage 1, block 1: window, 56×56×96 to 56×56×96, 112,347 parameters" ]
              "layers" ]

/// The tests of this file.
let tests =
    testList
        "word for word"
        [ testList "tables" tables
          testList "mistakes" several
          testList "blocks" rows
          testList "stages" stageTexts
          testList "training options" options
          testList "others" others ]
