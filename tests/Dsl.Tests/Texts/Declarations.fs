/// The published models written in the language itself are those of the zoo; parts are the records that they stand for.
module LocalAttention.Dsl.Tests.Declarations

open System
open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl

let private qnaVitTiny =
    backbone "qna-vit-tiny" (patchify 4 64 |> patchBias false |> patchNorm false)
    |> stages
        [ stage (2 * qna 3 |> heads 8) |> downsample (qna 3 |> heads 16)
          stage (3 * qna 3 |> heads 16) |> downsample (qna 3 |> heads 32)
          stage ((4 * localWindow 14 |> heads 8) + (2 * qna 3 |> heads 32))
          |> downsample (qna 3 |> heads 64)
          stage (2 * localWindow 7 |> heads 16) ]
    |> head (classify 1000)
    |> dropPath 0.05
    |> conventions flax

let private swinTiny =
    backbone "swin-tiny" (patchify 4 96)
    |> stages
        [ stage (swinBlocks 2 7 |> heads 3) |> downsample merge
          stage (swinBlocks 2 7 |> heads 6) |> downsample merge
          stage (swinBlocks 6 7 |> heads 12) |> downsample merge
          // Maps of 7×7 are one window: none is shifted.
          stage (2 * window 7 |> heads 24) ]
    |> head (classify 1000)
    |> dropPath 0.2

/// The official configuration, whose windows of stages 3 and 4 are the maps.
let private slideSwinTiny =
    backbone "slide-swin-tiny" (patchify 4 96)
    |> stages
        [ stage (2 * slide 3 |> heads 3) |> downsample merge
          stage (2 * slide 3 |> heads 6) |> downsample merge
          stage (6 * window 14 |> heads 12) |> downsample merge
          stage (2 * window 7 |> heads 24) ]
    |> head (classify 1000)
    |> dropPath 0.2

let private pvtTiny =
    let stageOf reduction count ratio =
        stage (2 * spatialReduction reduction |> heads count |> mlpRatio ratio)
        |> positions

    backbone "pvt-tiny" (patchify 4 64)
    |> stages
        [ stageOf 8 1 8.0 |> downsample (patches 2, channels = 128)
          stageOf 4 2 8.0 |> downsample (patches 2, channels = 320)
          stageOf 2 5 4.0 |> downsample (patches 2, channels = 512)
          stageOf 1 8 4.0 ]
    |> head (classifyByToken 1000)
    |> dropPath 0.1
    |> conventions pvt

let private pvtV2Linear =
    let stageOf count blocks ratio =
        stage (
            blocks * pooledAttention 7
            |> heads count
            |> mlpRatio ratio
            |> mlpConvolution MlpConvolution.DepthwiseAfterRelu
        )

    let narrowing channels =
        normed >> downsample (convolve 3, channels = channels, bias = true)

    backbone "pvt-v2-b2-li" (convolutions [ 7, 4, 64 ] |> convolutionBias true)
    |> stages
        [ stageOf 1 3 8.0 |> narrowing 128
          stageOf 2 4 8.0 |> narrowing 320
          stageOf 5 6 4.0 |> narrowing 512
          stageOf 8 3 4.0 ]
    |> head (classify 1000)
    |> dropPath 0.1
    |> conventions pvt

let private cswinTiny =
    let down = downsample (convolve 3, bias = true)

    backbone "cswin-tiny" (convolutions [ 7, 4, 64 ] |> convolutionPadding 2 |> convolutionBias true)
    |> stages
        [ stage (crossShaped 1 |> heads 2) |> down
          stage (2 * crossShaped 2 |> heads 4) |> down
          stage (21 * crossShaped 7 |> heads 8) |> down
          stage (globalAttention |> locallyEnhanced |> heads 16) ]
    |> head (classify 1000)
    |> dropPath 0.2
    |> conventions cswin

let private dinatMini =
    let near = neighbourhood 7
    let pair step = near + dilated step near
    let ratio blocks = blocks |> mlpRatio 3.0
    let down = downsample (convolve 3)

    backbone "dinat-mini" (convolutions [ 3, 2, 32; 3, 2, 64 ] |> plainBetween |> convolutionBias true)
    |> stages
        [ stage (pair 8 + near |> heads 2 |> ratio) |> down
          stage (2 * pair 4 |> heads 4 |> ratio) |> down
          stage (3 * pair 2 |> heads 8 |> ratio) |> down
          // Maps of 7×7 are one window: none is dilated.
          stage (5 * near |> heads 16 |> ratio) ]
    |> head (classify 1000)
    |> dropPath 0.2
    |> conventions nat

let private models =
    [ for declared, published in
          [ qnaVitTiny, QnAViT.tiny
            qnaVitTiny |> everyQna (windowSize 7) |> named "qna-vit-tiny-7x7", QnAViT.tiny7x7
            swinTiny, Swin.tiny
            slideSwinTiny, SlideSwin.tiny
            pvtTiny, Pvt.tiny
            pvtV2Linear, PvtV2.b2Linear
            cswinTiny, CSwin.tiny
            dinatMini, DiNAT.mini ] do
          testCase published.Name
          <| fun () -> Expect.equal declared published "declared in the language" ]

let private papersMove =
    testCase "the paper's move: Slide Attention in the first two stages of Swin"
    <| fun () ->
        let moved = Swin.tiny |> inStages [ 1; 2 ] (attention (slide 3))

        for number, stage in Seq.indexed moved.Stages do
            for block in stage.Blocks do
                match block.Attention with
                | Slide slide when number < 2 -> Expect.equal slide.Window 3 "its window"
                | Window _ when number >= 2 -> ()
                | other -> failtest $"stage {number + 1} has {other}"

        let row =
            Data.rows "zoo.csv"
            |> List.find (fun row -> row["name"] = "slide_swin_tiny_window7")

        Expect.equal (parameters moved) (int64 row["parameters"]) "parameters"
        Expect.equal (trainableParameters moved) (int64 row["trainable_parameters"]) "trainable parameters"

let private zoo =
    [ testCase "the lists agree, and every model is right"
      <| fun () ->
          Expect.equal Zoo.list [ for entry in Zoo.all -> entry.Name ] "names"
          Expect.equal (Zoo.families |> List.map _.Name |> List.head) "qna-vit" "the first family"

          for entry in Zoo.all do
              Expect.equal (Zoo.get entry.Name) entry.Architecture "found by name"
              Expect.equal (Zoo.tryGet entry.Name) (Ok entry.Architecture) "as a value"
              Expect.equal (Zoo.entry entry.Name) entry "with its figures"
              Expect.contains Zoo.families entry.Family "its family"
              Expect.equal (validate entry.Architecture) (Ok entry.Architecture) "right"

      testCase "modules hold the models of the zoo"
      <| fun () ->
          for model, name in
              [ Swin.tiny, "swin-tiny"
                Pvt.large, "pvt-large"
                PvtV2.b2Linear, "pvt-v2-b2-li"
                CSwin.base_, "cswin-base"
                Nat.mini, "nat-mini"
                DiNAT.mini, "dinat-mini"
                SlideSwin.tinyWindow7, "slide-swin-tiny-window7"
                SlidePvt.tiny, "slide-pvt-tiny"
                SlidePvtV2.b5, "slide-pvt-v2-b5"
                SlideCSwin.small, "slide-cswin-small"
                SlideNat.miniStage1, "slide-nat-mini-s1" ] do
              Expect.equal model (Zoo.get name) name

      testCase "patterns choose by name, families by value"
      <| fun () ->
          Expect.equal
              (Zoo.find "*swin-t*" |> List.map _.Name)
              [ "swin-tiny"
                "cswin-tiny"
                "slide-swin-tiny"
                "slide-swin-tiny-window7"
                "slide-cswin-tiny"
                "qna-swin-tiny"
                "qna-cswin-tiny" ]
              "by name"

          Expect.equal
              (Zoo.all |> List.filter (fun entry -> entry.Family = ZooFamily.SlidePvt))
              (List.map
                  Zoo.entry
                  [ "slide-pvt-tiny"; "slide-pvt-small"; "slide-pvt-medium"; "slide-pvt-large" ])
              "by family"

          Expect.isEmpty (Zoo.find "resnet*") "none"

      testCase "figures of papers are theirs, not ours"
      <| fun () ->
          let entry = Zoo.entry "slide-pvt-v2-b2"
          Expect.equal entry.Paper (PaperFigures(22.8, 4.2, 82.7)) "what the paper says"
          Expect.equal (parameters entry.Architecture) 23606475L "what the model has"

      testCase "a name that is not there is told, with the nearest that are"
      <| fun () ->
          match Zoo.tryGet "swin-huge" with
          | Ok model -> failtest $"{model.Name} was found"
          | Error problem ->
              Expect.equal
                  (string problem)
                  "zoo: there is no model 'swin-huge'; the nearest names are swin-base, swin-tiny, cswin-base."
                  "" ]

/// The move of the Slide paper, on every backbone that it was made on.
let private slideMove =
    [ for slide in Zoo.all do
          if slide.IsDerived && slide.Name.StartsWith "slide" then
              testCase $"{slide.Name} is one rewrite away"
              <| fun () ->
                  let backbone =
                      slide.Name.Substring(6).Replace("-window7", "").Replace("-s12", "").Replace("-s1", "")

                  let stages = if slide.Name.EndsWith "-s1" then [ 1 ] else [ 1; 2 ]

                  Expect.equal
                      (Zoo.get backbone
                       |> inStages stages (attention (LocalAttention.Dsl.Attentions.slide 3))
                       |> named slide.Name)
                      slide.Architecture
                      "the same value" ]

let private transitionOf (change: Stage -> Stage) =
    (stage (slide 3 |> heads 2) |> change).Transition

let private down = QnAAttention(3, 8)

let private transitions: (string * (Stage -> Stage) * Transition) list =
    [ "downsample (qna 3)", downsample (qna 3 |> heads 8), QnADownsampling down
      "with options",
      downsample (qna 3 |> heads 8, stride = 3, channels = 24, skip = SkipPath.AveragePool),
      QnADownsampling(down, Stride = 3, Channels = Nullable 24, Skip = SkipPath.AveragePool)
      "with an MLP and a layer scale",
      downsample (qna 3 |> heads 8 |> mlpRatio 2.0 |> layerScale 0.1),
      QnADownsampling(down, MlpRatio = 2.0, LayerScale = Nullable 0.1)
      "downsample merge", downsample merge, PatchMerging()
      "to 24 channels", downsample (merge, channels = 24), PatchMerging(Channels = Nullable 24)
      "downsample (convolve 5)", downsample (convolve 5), StridedConvolution(Kernel = 5)
      "by 4 to 24 channels",
      downsample (convolve 5, stride = 4, channels = 24),
      StridedConvolution(Kernel = 5, Stride = 4, Channels = Nullable 24)
      "by a record with its own stride and channels",
      downsample (StridedConvolution(Stride = 3, Channels = Nullable 24)),
      StridedConvolution(Stride = 3, Channels = Nullable 24)
      "merging with its own channels",
      downsample (PatchMerging(Channels = Nullable 24)),
      PatchMerging(Channels = Nullable 24)
      "by a convolution with a bias",
      downsample (convolve 3, bias = true),
      StridedConvolution(Kernel = 3, Bias = true)
      "by a record with its own bias",
      downsample (StridedConvolution(Bias = true)),
      StridedConvolution(Bias = true)
      "downsample (patches 2)",
      downsample (patches 2),
      StridedConvolution(Kernel = 2, Stride = 2, Bias = true)
      "patches without a bias",
      downsample (patches 4, bias = false, channels = 24),
      StridedConvolution(Kernel = 4, Stride = 4, Channels = Nullable 24)
      "upsample (qna 3)", upsample (qna 3 |> heads 8), QnAUpsampling down
      "by 3 to 24 channels",
      upsample (qna 3 |> heads 8 |> layerScale 0.1, factor = 3, channels = 24),
      QnAUpsampling(down, Factor = 3, Channels = Nullable 24, LayerScale = Nullable 0.1)
      "transition", transition (PatchMerging(Channels = Nullable 5)), PatchMerging(Channels = Nullable 5) ]

let private stagesAndHeads =
    [ for name, change, expected in transitions do
          testCase name
          <| fun () -> Expect.equal (transitionOf change) expected "the record"

      testCase "a later transition replaces an earlier one, and noTransition removes it"
      <| fun () ->
          Expect.equal
              (transitionOf (downsample merge >> upsample (qna 3 |> heads 8)))
              (QnAUpsampling down)
              "later"

          Expect.isNull (transitionOf (downsample merge >> noTransition)) "none"

      testCase "an embedding of places and a norm stay where the transition goes"
      <| fun () ->
          let around = stage (slide 3 |> heads 2) |> positions |> normed
          Expect.equal (around |> downsample merge |> noTransition) around "the stage"

          Expect.equal
              around
              (Stage((stage (slide 3 |> heads 2)).Blocks, PositionEmbedding = true, Norm = true))
              "the record"

      testCase "andThen adds blocks before the transition"
      <| fun () ->
          let added =
              stage (2 * qna 3 |> heads 8)
              |> downsample merge
              |> andThen (window 7 |> heads 4)

          let whole =
              stage ((2 * qna 3 |> heads 8) + (window 7 |> heads 4)) |> downsample merge

          Expect.equal added whole "the stage"

      testCase "a stage of its transition alone"
      <| fun () ->
          Expect.equal
              (noBlocks |> upsample (qna 3 |> heads 8))
              (Stage(ValueList.From [], Transition = QnAUpsampling down))
              "the stage"

      testCase "stems and heads are their records"
      <| fun () ->
          Expect.equal
              (convolutions [ 3, 2, 24; 5, 1, 48 ])
              (ConvolutionStem(ValueList.From [ Convolution(3, 2, 24); Convolution(5, 1, 48) ]))
              "convolutions"

          Expect.equal
              (convolutions [ 7, 4, 24 ]
               |> convolutionPadding 2
               |> convolutionBias true
               |> plainBetween)
              (ConvolutionStem(
                  ValueList.From [ Convolution(7, 4, 24, Padding = 2) ],
                  Bias = true,
                  ActivatedBetween = false
              ))
              "convolutions with options"

          Expect.equal (patchify 4 96) (PatchStem(4, 96)) "patches"
          Expect.equal (classify 10) (AveragePoolHead 10) "classes"
          Expect.equal (classifyByToken 10) (ClassTokenHead 10) "by a class token"
          Expect.equal pooledFeatures (AveragePoolHead 0) "features"
          Expect.equal (classifyByQna (10, heads = 4)) (QnAPoolHead(10, 4)) "by QnA"

          Expect.equal
              (classifyByQna (10, heads = 4, queries = 3, skip = false))
              (QnAPoolHead(10, 4, Queries = 3, Skip = false))
              "by QnA, with options" ]

/// The tests of this file.
let tests =
    testList
        "declarations"
        [ testList "published models" models
          papersMove
          testList "zoo" zoo
          testList "the papers' moves" slideMove
          testList "parts" stagesAndHeads ]
