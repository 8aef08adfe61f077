/// Differences of two models: complete, exact, and printed as a diff.
module LocalAttention.Dsl.Tests.DifferenceTexts

open System
open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

let private changes: (string * (Architecture -> Architecture)) list =
    [ "nothing", id
      "blocks", everyBlock (mlpRatio 3.0 >> heads 2)
      "every second", interleave Select.all (attention (dilated 2 (neighbourhood 3)))
      "more blocks", everyBlock (fun block -> 2 * block)
      "no block", rewrite Select.first (fun block -> 0 * block)
      "around blocks", (fun model -> model |> changeStages [ 1 .. model.Stages.Count ] (positions >> normed))
      "no transitions", (fun model -> model |> changeStages [ 1 .. model.Stages.Count ] noTransition)
      "a stage less", (fun model -> model |> stages (List.ofSeq model.Stages |> List.truncate 1))
      "stem", stem (convolutions [ 3, 2, 12 ])
      "width", scaleWidth 2.0
      "head", head (classifyByToken 3)
      "whole",
      named "other"
      >> dropPath 0.25
      >> imageSize (9, 17)
      >> conventions flax
      >> imageChannels 2 ]

let private pairs =
    let both =
        gen {
            let! model = Gen.oneof [ Generate.architecture; Mistakes.possiblyBroken ]
            let! other = Generate.architecture
            let! _, change = Gen.elements changes
            let! next = Gen.elements [ change model; other ]
            return model, next
        }

    Arb.fromGen both

/// Wrong models may have numbers beyond 64 bits, which wrap, as the sums of the core do; List.sumBy refuses them.
let private total (number: PlaceDifference -> int64) (places: PlaceDifference list) =
    places |> List.fold (fun sum place -> sum + number place) 0L

let private laws =
    [ testProperty "nothing differs from itself, and whatever differs is found"
      <| Prop.forAll pairs (fun (before, after) ->
          Expect.isTrue (differences before before).IsEmpty "itself"

          Expect.equal (differences before after).IsEmpty (string before = string after) "another")

      testProperty "places add up to the whole"
      <| Prop.forAll pairs (fun (before, after) ->
          let difference = differences before after

          Expect.equal
              (difference.Places |> total _.Parameters)
              (parameters after - parameters before)
              "parameters"

          Expect.equal difference.Parameters (parameters after - parameters before) "parameters of the whole"

          Expect.equal
              (difference.Places |> total _.MultiplyAccumulates)
              (MultiplyAccumulates.Of(after).Total - MultiplyAccumulates.Of(before).Total)
              "multiply-accumulates"

          Expect.equal
              difference.MultiplyAccumulates
              (difference.Places |> total _.MultiplyAccumulates)
              "multiply-accumulates of the whole")

      testProperty "backwards it is the opposite"
      <| Prop.forAll pairs (fun (before, after) ->
          let forth, back = differences before after, differences after before
          Expect.equal back.Parameters -forth.Parameters "parameters"
          Expect.equal back.Places.Length forth.Places.Length "as many places"

          let counted choose (difference: Difference) =
              difference.Places |> List.choose (fun place -> choose place.Change) |> List.sort

          let added =
              function
              | PartAdded part -> Some part
              | _ -> None

          let removed =
              function
              | PartRemoved part -> Some part
              | _ -> None

          Expect.equal (counted added back) (counted removed forth) "what came and what went")

      testProperty "each model that is rewritten prints, with its total"
      <| Prop.forAll pairs (fun (before, after) ->
          let text = differences before after |> Printing.difference

          if string before = string after then
              Expect.stringEnds text ": nothing differs" "nothing"
          else
              Expect.stringContains text "@@ total @@" "the total") ]

let private small =
    backbone "small" (patchify 4 32)
    |> stages
        [ stage (3 * window 7 |> heads 4) |> downsample merge
          stage (2 * qna 3 |> heads 8) ]
    |> head (classify 10)
    |> imageSize 56

let private printed name (after: Architecture) (lines: string list) =
    testCase name
    <| fun () ->
        Expect.equal
            (differences small after |> Printing.difference)
            (String.Join(Environment.NewLine, lines))
            "the text"

let private texts =
    [ printed "nothing" small [ "small: nothing differs" ]

      printed
          "another attention"
          (small |> inStages [ 1 ] (attention (slide 3)) |> named "slid")
          [ "--- small: 143,094 parameters, 0.014 GMACs"
            "+++ slid: 145,494 parameters, 0.019 GMACs"
            "@@ stage 1, blocks 1 to 3 @@ +800 parameters, +1,530,368 multiply-accumulates each"
            "-attention: window 7×7"
            "+attention: slide 3×3"
            "@@ total @@ +2,400 parameters, +4,591,104 multiply-accumulates" ]

      printed
          "one property, one block more, another rate"
          (small
           |> rewrite Select.qna (queries 3)
           |> rewrite (Select.stage 1 <&> Select.last) (fun block -> block + (slide 3 |> heads 2))
           |> dropPath 0.1)
          [ "--- small: 143,094 parameters, 0.014 GMACs"
            "+++ small: 159,112 parameters, 0.019 GMACs"
            "@@ whole model @@"
            "-drop path: 0"
            "+drop path: 0.1"
            "@@ stage 1, block 4 @@ +15,602 parameters, +4,553,472 multiply-accumulates"
            "+slide 3×3, 2 heads"
            "@@ stage 2, blocks 1, 2 @@ +208 parameters, +56,840 multiply-accumulates each"
            "-queries: 2"
            "+queries: 3"
            "@@ total @@ +16,018 parameters, +4,667,152 multiply-accumulates" ]

      printed
          "a stage less, another head, whose class token the last stage's blocks share"
          (small
           |> stages [ stage (3 * globalAttention |> heads 4) ]
           |> head (classifyByToken 10))
          [ "--- small: 143,094 parameters, 0.014 GMACs"
            "+++ small: 40,170 parameters, 0.015 GMACs"
            "@@ stage 1, embedding @@ +32 parameters"
            "+class token"
            "@@ stage 1, blocks 1 to 3 @@ -676 parameters, +1,881,408 multiply-accumulates each"
            "-attention: window 7×7"
            "+attention: global"
            "-class token: no"
            "+class token: yes"
            "@@ stage 1, transition @@ -8,448 parameters, -401,408 multiply-accumulates"
            "-patch merging"
            "@@ stage 2, blocks 1, 2 @@ -46,048 parameters, -2,120,720 multiply-accumulates each"
            "-qna 3×3, 8 heads"
            "@@ head @@ -384 parameters, -320 multiply-accumulates"
            "-kind: average pool, 10 classes"
            "+kind: class token, 10 classes"
            "-map: 7×7×64"
            "+map: 14×14×32"
            "@@ total @@ -102,924 parameters, +1,001,056 multiply-accumulates" ] ]

/// The tests of this file.
let tests = testList "differences" [ testList "laws" laws; testList "texts" texts ]
