/// What validation says of a broken architecture, word for word.
module LocalAttention.Core.Tests.ValidationTexts

open System
open System.Text.RegularExpressions
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification

let private withBlocks (blocks: Block list) (stage: Stage) =
    stage.With(blocks = ValueList.From blocks)

let private oneStage (stage: Stage) =
    Architecture("small", PatchStem(4, 8), ValueList.From [ stage ], AveragePoolHead 10)
        .With(resolution = ImageSize.Square 32)

let private oneBlock block =
    oneStage (Stage(ValueList.From [ block ]))

/// One block of the attention, on a map of 8×8×8.
let private attention (attention: Attention) = oneBlock (Block attention)

let private plain = attention (WindowAttention(4, 2))

/// One block and the transition, on a map of 8×8×8.
let private transition (transition: Transition) =
    oneStage (plain.Stages[0].With(transition = transition))

let private qna = QnAAttention(3, 2)
let private slide = SlideAttention(3, 2)

let private inBlock =
    [ attention (WindowAttention(4, 3)), "3 heads do not divide 8 channels; use 2 or 4 heads."
      attention (GlobalAttention 7), "7 heads do not divide 8 channels; use 4 or 8 heads."
      attention (slide.With(heads = 9)), "9 heads do not divide 8 channels; use 8 heads."
      attention (qna.With(heads = 0)), "heads: 0; use at least 1."
      attention (GlobalAttention 70_000), "heads: 70000; use at most 65536."
      attention (qna.With(window = 4)), "qna window: 4 is even, so it has no centre; use 3 or 5."
      attention (qna.With(window = 0)), "qna window: 0; use at least 1."
      attention (qna.With(window = 1024)), "qna window: 1024; use at most 1023."
      attention (slide.With(window = 6)), "slide window: 6 is even, so it has no centre; use 5 or 7."
      attention (slide.With(window = -3)), "slide window: -3; use at least 1."
      attention (WindowAttention(0, 2)), "window: 0; use at least 1."
      attention (SpatialReductionAttention(0, 2)), "reduction: 0; use at least 1."
      attention (PooledAttention(0, 2)), "pool: 0; use at least 1."
      attention (CrossShapedAttention(0, 2)), "stripe: 0; use at least 1."
      attention (CrossShapedAttention(2, 1)),
      "1 heads cannot be halved between the two directions of stripes; use 2 heads, or another even number."
      attention (NeighbourhoodAttention(4, 2)),
      "neighbourhood window: 4 is even, so it has no centre; use 3 or 5."
      attention (NeighbourhoodAttention(3, 2, Dilation = 0)), "dilation: 0; use at least 1."
      attention(WindowAttention(4, 2)).With(head = ClassTokenHead 10),
      "window attention needs each token's place, and the class token has none; use global attention or a reduction of 1 in the last stage, or a head without a class token."
      oneBlock(Block(GlobalAttention 2, MlpConvolution = MlpConvolution.Depthwise))
          .With(head = ClassTokenHead 10),
      "the MLP's convolution needs each token's place, and the class token has none; use a plain MLP in the last stage, or a head without a class token."
      attention(SpatialReductionAttention(3, 2)).With(sizePolicy = SizePolicy.Exact),
      "the map of 8×8 is not a multiple of a reduction by 3, and the size policy is exact; use 6×6 or 9×9, or let the size policy pad."
      attention(CrossShapedAttention(3, 2)).With(sizePolicy = SizePolicy.Exact),
      "the map of 8×8 is not a multiple of stripes of 3, and the size policy is exact; use 6×6 or 9×9, or let the size policy pad."
      attention(NeighbourhoodAttention(5, 2, Dilation = 2)).With(sizePolicy = SizePolicy.Exact),
      "a neighbourhood of 5 tokens, 2 apart, does not fit a map of 8×8, and the size policy is exact; use a map of at least 10×10, a smaller window or dilation, or let the size policy pad."
      attention (qna.With(queries = 0)), "queries: 0; use at least 1."
      attention (qna.With(queries = 1025)), "queries: 1025; use at most 1024."
      attention (qna.With(width = 0)), "qna width: 0; use at least 1."
      attention (qna.With(width = 6, heads = 4)), "4 heads do not divide 6 channels; use 3 or 6 heads."
      attention (qna.With(scale = AttentionScale.PositiveNegative, heads = 1, queries = 3)),
      "the positive-negative scale halves 3 queries × 1 heads, an odd number; use 4 queries, an even number of heads, or another scale."
      attention (qna.With(norm = LargestNorm 0.0)),
      "the queries' largest norm is 0; use a number above 0, such as 1."
      attention (qna.With(norm = LargestNorm Double.NaN)),
      "the queries' largest norm is NaN; use a number above 0, such as 1."
      attention (slide.With(scale = 0.0)),
      "the slide scale is 0; use a finite factor other than 0, or none for 1/√d."
      attention (slide.With(window = 17, padding = EdgePadding.Reflect)),
      "reflect padding of 8 for a slide window of 17 on a map of 8×8 must be less than the shorter side; use a window of at most 15, zero or replicate padding, or a larger map."
      attention (slide.With(window = 19, padding = EdgePadding.Circular)),
      "circular padding of 9 for a slide window of 19 on a map of 8×8 must be at most the shorter side; use a window of at most 17, zero or replicate padding, or a larger map."
      oneBlock (Block(slide, MlpRatio = 0.0)),
      "the MLP ratio is 0; use a number above 0 and up to 256, such as 4."
      oneBlock (Block(slide, MlpRatio = Double.NaN)),
      "the MLP ratio is NaN; use a number above 0 and up to 256, such as 4."
      oneBlock (Block(slide, MlpRatio = 0.1)),
      "an MLP ratio of 0.1 leaves no hidden channel of 8; use a ratio of at least 0.125."
      oneBlock (Block(slide, LayerScale = Double.NaN)),
      "the layer scale is NaN; use a finite number, such as 1e-5, or none." ]
    |> List.map (fun (architecture, text) -> architecture, [ "stage 1, block 1: " + text ])

let private inWhole =
    [ plain.With(name = " "), "the name is empty; give it one, such as 'qna-small'."
      plain.With(stages = ValueList.From []), "it has no stage; add at least one stage with a block."
      plain.With(imageChannels = 0), "image channels: 0; use at least 1."
      plain.With(resolution = ImageSize(0, 32)), "image height: 0; use at least 1."
      plain.With(resolution = ImageSize(32, 40_000)), "image width: 40000; use at most 32768."
      plain.With(dropPath = 1.0), "the drop path rate is 1; use a rate from 0 to below 1, such as 0.1."
      plain.With(dropPath = Double.NaN),
      "the drop path rate is NaN; use a rate from 0 to below 1, such as 0.1."
      plain.With(conventions = Conventions(NormEpsilon = 0.0)),
      "the norm's epsilon is 0; use a small positive number, such as 1e-5."
      plain.With(conventions = Conventions(EmbeddingNormEpsilon = Nullable 1.0)),
      "the embedding norm's epsilon is 1; use a small positive number, such as 1e-5."
      // 3·16·65536 + 65536 + 2·65536 of the stem; 2·(2·65536), 4·65536² + 4·65536, 2·65536·16777216 + 16777216
      // + 65536 of the block; 2·65536, 65536·10 + 10 of the head.
      oneBlock(Block(GlobalAttention 1, MlpRatio = 256.0)).With(stem = PatchStem(4, 65_536)),
      "2,216,224,620,554 parameters; make it smaller: at most 100,000,000,000." ]
    |> List.map (fun (architecture, text) -> architecture, [ "whole model: " + text ])

let private convolutions (convolutions: Convolution list) =
    plain.With(stem = ConvolutionStem(ValueList.From convolutions))

let private elsewhere =
    [ plain.With(stages = ValueList.From [ plain.Stages[0]; Stage(ValueList.From []) ]),
      "stage 2: it has no block and no transition; add a block or remove the stage."
      plain.With(stem = PatchStem(0, 8)), "stem: patch size: 0; use at least 1."
      plain.With(stem = PatchStem(4, 0)), "stem: channels: 0; use at least 1."
      plain.With(stem = PatchStem(4, 100_000)), "stem: channels: 100000; use at most 65536."
      convolutions [], "stem: it has no convolution; add at least one."
      convolutions [ Convolution(3, 2, 8); Convolution(2, 2, 8) ],
      "stem, convolution 2: kernel: 2 is even, so it has no centre; use 1 or 3."
      convolutions [ Convolution(3, 0, 8) ], "stem, convolution 1: stride: 0; use at least 1."
      convolutions [ Convolution(3, 1, 0); Convolution(3, 1, 8) ],
      "stem, convolution 1: channels: 0; use at least 1."
      transition (StridedConvolution(Kernel = 4)),
      "stage 1, transition: kernel: 4 is even, so it has no centre, and is not the stride of 2; use 3 or 5, or a stride of 4."
      transition(StridedConvolution(Kernel = 2))
          .With(sizePolicy = SizePolicy.Exact, resolution = ImageSize(12, 4)),
      "stage 1, transition: the map of 3×1 is not a multiple of patches of 2×2, and the size policy is exact; use 4×2, or let the size policy pad."
      transition(PatchMerging())
          .With(
              head = ClassTokenHead 10,
              stages =
                  ValueList.From
                      [ Stage(ValueList.From [ Block(GlobalAttention 2) ], Transition = PatchMerging()) ]
          ),
      "stage 1, transition: it would leave the class token behind, which has no place on the map; end the last stage without a transition, or use a head without a class token."
      plain.With(
          stem = ConvolutionStem(ValueList.From [ Convolution(9, 4, 8, Padding = Nullable 0) ]),
          resolution = ImageSize(8, 32)
      ),
      "stem: a kernel of 9 with 0 zeros on each side does not fit a map of 8×32; use a padding of 4, or a larger image."
      transition (StridedConvolution(Stride = 0)), "stage 1, transition: stride: 0; use at least 1."
      transition (PatchMerging(Channels = 0)), "stage 1, transition: channels after it: 0; use at least 1."
      transition (QnADownsampling(QnAAttention(3, 3))),
      "stage 1, transition: 3 heads do not divide 16 channels; use 2 or 4 heads."
      transition (QnADownsampling(qna, Stride = 2000)), "stage 1, transition: stride: 2000; use at most 1023."
      transition (QnADownsampling(qna, MlpRatio = -1.0)),
      "stage 1, transition: the MLP ratio is -1; use a number above 0 and up to 256, such as 4."
      transition (QnAUpsampling(qna, Factor = 0)),
      "stage 1, transition: upsampling factor: 0; use at least 1."
      transition(QnAUpsampling(qna, Factor = 1000)).With(resolution = ImageSize(200, 32)),
      "stage 1, transition: its map would have a side of 50000 tokens; upsample less: to at most 32768."
      plain.With(head = AveragePoolHead -1), "head: classes: -1; use at least 0."
      plain.With(head = QnAPoolHead(10, 3)), "head: 3 heads do not divide 8 channels; use 2 or 4 heads."
      plain.With(head = QnAPoolHead(10, 2), resolution = ImageSize(32, 16)),
      "head: QnA pooling needs a square map and the last one is 8×4; use a square resolution or average pooling."
      plain.With(head = QnAPoolHead(10, 2), resolution = ImageSize.Square 8192),
      "head: QnA pooling over a map of 2048×2048; pool a map of at most 1023×1023."
      plain.With(sizePolicy = SizePolicy.Exact, resolution = ImageSize(30, 32)),
      "stem: the image of 30×32 is not a multiple of patches of 4×4, and the size policy is exact; use 28×32 or 32×32, or let the size policy pad."
      plain.With(sizePolicy = SizePolicy.Exact, resolution = ImageSize(24, 32)),
      "stage 1, block 1: the map of 6×8 is not a multiple of windows of 4×4, and the size policy is exact; use 4×8 or 8×8, or let the size policy pad."
      transition(PatchMerging()).With(sizePolicy = SizePolicy.Exact, resolution = ImageSize(12, 4)),
      "stage 1, transition: the map of 3×1 is not a multiple of patch merging's 2×2, and the size policy is exact; use 4×2, or let the size policy pad." ]
    |> List.map (fun (architecture, text) -> architecture, [ text ])

let private severalAtOnce =
    [ plain.With(
          name = "",
          stem = PatchStem(0, 12),
          stages =
              ValueList.From
                  [ Stage(
                        ValueList.From [ Block(qna.With(window = 2, heads = 5)); Block(GlobalAttention 12) ]
                    )
                    Stage(ValueList.From [ Block(slide.With(heads = 11), MlpRatio = -1.0) ]) ],
          head = AveragePoolHead -2
      ),
      [ "whole model: the name is empty; give it one, such as 'qna-small'."
        "stem: patch size: 0; use at least 1."
        "stage 1, block 1: qna window: 2 is even, so it has no centre; use 1 or 3."
        "stage 1, block 1: 5 heads do not divide 12 channels; use 4 or 6 heads."
        "stage 2, block 1: 11 heads do not divide 12 channels; use 6 or 12 heads."
        "stage 2, block 1: the MLP ratio is -1; use a number above 0 and up to 256, such as 4."
        "head: classes: -2; use at least 0." ] ]

let private row (architecture: Architecture, expected: string list) =
    testCase (String.concat " | " expected)
    <| fun () ->
        let found = Validation.Check architecture |> Seq.map string |> List.ofSeq
        Expect.equal found expected "the problems"

let private thrown =
    testCase "the exception names the architecture and lists every problem"
    <| fun () ->
        let message architecture =
            try
                Validation.EnsureValid architecture
                "nothing was thrown"
            with :? SpecificationException as refused ->
                refused.Message

        Expect.equal
            (message (attention (GlobalAttention 3)))
            "'small': stage 1, block 1: 3 heads do not divide 8 channels; use 2 or 4 heads."
            "one problem"

        Expect.equal
            (message (attention(GlobalAttention 3).With(imageChannels = 0)))
            (String.concat
                Environment.NewLine
                [ "'small' has 2 mistakes:"
                  "  whole model: image channels: 0; use at least 1."
                  "  stage 1, block 1: 3 heads do not divide 8 channels; use 2 or 4 heads." ])
            "two problems"

        Expect.equal (message plain) "nothing was thrown" "no problem"

let private imageSizes =
    testCase "an image size that the model does not take"
    <| fun () ->
        let check (architecture: Architecture) size =
            Validation.CheckSize(architecture, size) |> Seq.map string |> List.ofSeq

        Expect.equal (check plain (ImageSize(30, 75))) [] "padding takes any size"

        Expect.equal
            (check plain (ImageSize(-1, 40_000)))
            [ "image: image height: -1; use at least 1."
              "image: image width: 40000; use at most 32768." ]
            "sides out of range"

        Expect.equal
            (check (plain.With(head = QnAPoolHead(10, 2))) (ImageSize.Square 64))
            [ "head: QnA pooling was declared for a last map of 8×8 and would get 16×16; use images of 32×32, or average pooling, which takes any size." ]
            "another map for the pooling"

        Expect.equal
            (check (attention (slide.With(window = 5, padding = EdgePadding.Reflect))) (ImageSize(8, 32)))
            [ "stage 1, block 1: reflect padding of 2 for a slide window of 5 on a map of 2×8 must be less than the shorter side; use a window of at most 3, zero or replicate padding, or a larger map." ]
            "a map too small for the padding"

let private nearestHeads =
    testProperty "the heads that validation proposes divide the channels, and none nearer does"
    <| Prop.forAll (Arb.fromGen (Gen.zip (Gen.choose (1, 60)) (Gen.choose (1, 70)))) (fun (channels, heads) ->
        let refused =
            oneBlock(Block(GlobalAttention heads)).With(stem = PatchStem(4, channels))
            |> Validation.Check
            |> List.ofSeq

        match refused with
        | [] -> Expect.equal (channels % heads) 0 "heads that are not refused divide"
        | problems ->
            Expect.notEqual (channels % heads) 0 "heads that are refused do not divide"

            let proposed =
                [ for number in Regex.Matches(problems.Head.Remedy, "[0-9]+") -> int number.Value ]

            let dividing = Picking.divisors channels

            let nearest =
                [ yield!
                      dividing
                      |> List.filter (fun divisor -> divisor < heads)
                      |> List.tryLast
                      |> Option.toList
                  yield! dividing |> List.tryFind (fun divisor -> divisor > heads) |> Option.toList ]

            Expect.equal proposed nearest "the nearest divisors below and above")

/// The tests of this file.
let tests =
    testList
        "validation"
        [ testList "in a block" (List.map row inBlock)
          testList "in the whole" (List.map row inWhole)
          testList "elsewhere" (List.map row elsewhere)
          testList "several at once" (List.map row severalAtOnce)
          thrown
          imageSizes
          nearestHeads
          testProperty "an architecture made to be valid has no problem"
          <| Prop.forAll (Arbitraries.Architecture()) (fun architecture ->
              Expect.equal (Validation.Check architecture |> List.ofSeq) [] "no problem") ]
