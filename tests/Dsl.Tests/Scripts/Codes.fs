/// Architectures as code: what F# Interactive makes of the code is the architecture again.
module LocalAttention.Dsl.Tests.Codes

open System
open System.IO
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

/// Architectures that evaluate in one session, because starting one costs more than all of them: the zoo, valid ones and wrong
/// ones of every kind, and what is rare in those.
let private subjects =
    lazy
        (let convolutions paddings =
            Swin.tiny
                .With(
                    stem =
                        ConvolutionStem(
                            ValueList.From
                                [ for padding in paddings -> Convolution(3, 2, 8, Padding = padding) ],
                            Bias = true
                        )
                )
                .With(name = "paddings")

         let awkward =
             [ Swin.tiny |> named "a \"quoted\"\\path\nof {lines} %d\t\u2028 ← é \U0001F600"
               convolutions [ Nullable 1; Nullable() ]
               convolutions [ Nullable 0; Nullable 2 ]
               QnAViT.tiny |> everyQna (queryNorm unitNormHeld)
               Swin.tiny |> everyBlock (layerScale 1e-5 >> mlpRatio 0.1)
               Swin.tiny
               |> conventions (Conventions(EmbeddingNormEpsilon = 1e-7, Naming = ParameterNaming.Pvt))
               backbone "no stages" (patchify 1 2) ]

         [ for entry in Zoo.all do
               entry.Architecture
           yield! awkward
           yield! Gen.sampleWithSeed (FsCheck.Rnd 6UL) 10 60 Generate.architecture
           yield! Gen.sampleWithSeed (FsCheck.Rnd 7UL) 10 20 Mistakes.possiblyBroken ])

let private mark = "== "

/// The architectures that a session makes of their codes, as records print themselves: JSON has no word for some wrong numbers.
let private evaluated =
    lazy
        (let script =
            [ Child.loading
              "open LocalAttention.Dsl"
              for architecture in subjects.Value do
                  Code.architecture architecture
                  $"|> string |> printfn \"{mark}%%s\"" ]

         let ended =
             Child.withScript (String.concat "\n" script) (fun path ->
                 Child.succeeding [ "fsi"; "--quiet"; path ] "")

         Expect.equal ended.Error "" "nothing on the error output"

         ("\n" + ended.Output).Replace("\r\n", "\n").Split("\n" + mark, StringSplitOptions.RemoveEmptyEntries)
         |> List.ofArray
         |> List.map _.Trim())

let private roundTrips =
    testCase "evaluated, the code of any architecture is that architecture"
    <| fun () ->
        Expect.hasLength evaluated.Value subjects.Value.Length "each was evaluated"

        for architecture, text in List.zip subjects.Value evaluated.Value do
            Expect.equal text (string architecture) (Code.architecture architecture)

let private swin =
    """backbone "swin-tiny" (patchify 4 96)
|> stages
    [ stage (swinBlocks 2 7 |> heads 3) |> downsample merge
      stage (swinBlocks 2 7 |> heads 6) |> downsample merge
      stage (swinBlocks 6 7 |> heads 12) |> downsample merge
      stage (2 * window 7 |> heads 24) ]
|> head (classify 1000)
|> dropPath 0.2"""

let private blocks =
    [ qna 3 |> heads 8 |> toBlocks, "qna 3 |> heads 8"
      qna 5 |> queryNorm (largestNorm 0.5) |> queries 3 |> heads 4 |> toBlocks,
      "qna 5 |> heads 4 |> queries 3 |> queryNorm (largestNorm 0.5)"
      shifted (window 7) |> heads 3 |> relativeBias false |> toBlocks,
      "shifted (window 7) |> heads 3 |> relativeBias false"
      localWindow 14 |> heads 8 |> toBlocks, "localWindow 14 |> heads 8"
      slide 3
      |> padding EdgePadding.Circular
      |> heads 2
      |> layerScale 1e-5
      |> toBlocks,
      "slide 3 |> heads 2 |> layerScale 1e-5 |> padding EdgePadding.Circular"
      dilated 2 (neighbourhood 7) |> heads 2 |> mlpRatio 3.0 |> toBlocks,
      "dilated 2 (neighbourhood 7) |> heads 2 |> mlpRatio 3.0" ]

/// Blocks in a row, and the stage's code.
let private rows: (Stage * string) list =
    [ stage (2 * qna 3 |> heads 4), "stage (2 * qna 3 |> heads 4)"
      stage (3 * (neighbourhood 7 + dilated 8 (neighbourhood 7)) |> heads 2),
      "stage (3 * (neighbourhood 7 + dilated 8 (neighbourhood 7)) |> heads 2)"
      stage ((4 * window 14 |> heads 8) + (2 * qna 3 |> heads 32)),
      "stage ((4 * window 14 |> heads 8) + (2 * qna 3 |> heads 32))"
      stage (2 * ((qna 3 |> heads 2) + (slide 3 |> heads 4))),
      "stage (2 * ((qna 3 |> heads 2) + (slide 3 |> heads 4)))"
      stage (3 * slide 3 + window 7 |> heads 4), "stage (3 * slide 3 + window 7 |> heads 4)"
      stage (2 * (qna 3 |> queries 3) + qna 5 |> heads 4),
      "stage (2 * (qna 3 |> queries 3) + qna 5 |> heads 4)"
      noBlocks |> upsample (qna 3 |> heads 4, channels = 8),
      "noBlocks |> upsample (qna 3 |> heads 4, channels = 8)"
      stage (qna 3 |> heads 4)
      |> positions
      |> normed
      |> downsample (patches 2, bias = false),
      "stage (qna 3 |> heads 4) |> positions |> normed |> downsample (patches 2, bias = false)"
      stage (qna 3 |> heads 4)
      |> downsample (qna 3 |> heads 8, stride = 3, skip = SkipPath.AveragePool),
      "stage (qna 3 |> heads 4) |> downsample (qna 3 |> heads 8, stride = 3, skip = SkipPath.AveragePool)" ]

let private written =
    [ testCase "the code is what would be written by hand"
      <| fun () ->
          Expect.equal
              ((Code.architecture Swin.tiny).Replace("\r\n", "\n"))
              (swin.Replace("\r\n", "\n"))
              "Swin"

          for blocks, code in blocks do
              Expect.equal (Code.block (List.exactlyOne blocks)) code "a block"

          for stage, code in rows do
              Expect.equal (Code.stage stage) code "a stage"

          Expect.equal (Code.head (classifyByQna (10, heads = 4))) "classifyByQna (10, heads = 4)" "a head"
          Expect.equal (Code.transition merge) "downsample merge" "a transition"

      testCase "no line of the zoo is longer than a page is wide"
      <| fun () ->
          for entry in Zoo.all do
              for line in (Code.architecture entry.Architecture).Split '\n' do
                  Expect.isLessThanOrEqual line.Length 110 $"{entry.Name}: {line}" ]

/// The tests of this file.
let tests = testList "code" (roundTrips :: written)
