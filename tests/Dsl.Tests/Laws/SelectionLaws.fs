/// Selections form a Boolean algebra; rewrites of what they hold change that and nothing else.
module LocalAttention.Dsl.Tests.SelectionLaws

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

/// Small models, right and broken, and those of the zoo.
let private models =
    let zoo = Gen.elements [ for entry in Zoo.all -> entry.Architecture ]

    Arb.fromGenShrink (
        Gen.frequency [ 5, Generate.architecture; 5, Mistakes.possiblyBroken; 2, zoo ],
        Shrink.anyArchitecture
    )

let private forModels check = Prop.forAll models check

/// NaN differs from itself, so models are compared by their text, in which it does not.
let private same (actual: Architecture) (expected: Architecture) what =
    if actual <> expected then
        Expect.equal (string actual) (string expected) what

let private any (selection: Selection<'kind>) : Selection<AnyKind> = Select.all <&> selection

/// By place: a rewrite of one block to one leaves them as they are.
let private byPlace =
    [ Select.all
      Select.none
      Select.blocks [ 1; 3 ]
      Select.every 2
      Select.every 0
      Select.first
      Select.last
      Select.where (fun placed -> placed.Stage = placed.Stages) ]

let private byKind =
    [ any Select.qna
      any Select.slide
      any Select.window
      any Select.neighbourhood
      any Select.crossShaped
      any Select.spatialReduction
      any Select.pooled
      any Select.globalAttention
      Select.where (fun placed -> placed.Block.Attention.Heads > 1) ]

let private selections = byPlace @ byKind

let private three = Gen.three (Gen.elements selections)

let private forSelections check =
    Prop.forAll (Arb.zip (models, Arb.fromGen three)) check

let private places (model: Architecture) (selection: Selection<'kind>) =
    [ for placed in Select.from selection model -> placed.Stage, placed.Number ]

let private algebra =
    let law
        name
        (sides:
            Selection<AnyKind> * Selection<AnyKind> * Selection<AnyKind>
                -> (Selection<AnyKind> * Selection<AnyKind>) list)
        =
        testProperty name
        <| forSelections (fun (model, three) ->
            for left, right in sides three do
                Expect.equal (places model left) (places model right) $"{left} and {right}")

    [ law "and, or: in any order, in any grouping" (fun (a, b, c) ->
          [ a <&> b, b <&> a
            a <|> b, b <|> a
            (a <&> b) <&> c, a <&> (b <&> c)
            (a <|> b) <|> c, a <|> (b <|> c) ])
      law "each spreads over the other" (fun (a, b, c) ->
          [ a <&> (b <|> c), (a <&> b) <|> (a <&> c)
            a <|> (b <&> c), (a <|> b) <&> (a <|> c) ])
      law "all and none are neutral, and what is opposite excludes and completes" (fun (a, _, _) ->
          [ a <&> Select.all, a
            a <|> Select.none, a
            a <&> Select.not a, Select.none
            a <|> Select.not a, Select.all ])
      law "each absorbs the other; twice is once" (fun (a, b, _) ->
          [ a <&> (a <|> b), a; a <|> (a <&> b), a; a <&> a, a; a <|> a, a ])
      law "not of both is either's not; not not is nothing" (fun (a, b, _) ->
          [ Select.not (a <&> b), Select.not a <|> Select.not b
            Select.not (a <|> b), Select.not a <&> Select.not b
            Select.not (Select.not a), a ])
      testProperty "every block is of one kind"
      <| forModels (fun model ->
          let kinds = List.take 8 byKind
          let found = kinds |> List.collect (places model) |> List.sort
          Expect.equal found (places model Select.all) "the kinds' blocks together")
      testProperty "stages hold their blocks"
      <| forModels (fun model ->
          for number in 1 .. model.Stages.Count do
              Expect.equal
                  (places model (Select.stage number))
                  [ for block in 1 .. model.Stages[number - 1].Blocks.Count -> number, block ]
                  "one stage"

          Expect.equal
              (places model (Select.stages [ 1 .. model.Stages.Count ]))
              (places model Select.all)
              "all stages") ]

type private Rewrite = Blocks<AnyKind, HeadsGiven, One> -> Blocks<AnyKind, HeadsGiven, One>

let private asAnyKind (blocks: Blocks<'kind, HeadsGiven, One>) =
    blocks |> toBlocks |> List.exactlyOne |> ofBlock

/// Rewrites of one block to one.
let private changes: (string * Rewrite) list =
    [ "id", id
      "heads", heads 2
      "mlpRatio", mlpRatio 3.0
      "layerScale", layerScale 1e-5
      "windowSize", windowSize 5
      "mlpConvolution", mlpConvolution MlpConvolution.Depthwise
      "slide", attention (slide 3) >> asAnyKind
      "neighbourhood", attention (dilated 2 (neighbourhood 7)) >> asAnyKind ]

let private rewrites =
    [ testProperty "what changes nothing, and what is not selected, changes nothing"
      <| forSelections (fun (model, (selection, _, _)) ->
          same (model |> rewrite selection id) model "id"
          same (model |> interleave selection id) model "every second, id"

          for name, change in changes do
              Expect.isTrue
                  (Seq.forall2
                      (fun before after -> Object.ReferenceEquals(before, after))
                      model.Stages
                      (model |> rewrite Select.none change).Stages)
                  name)

      testProperty "one pass of f >> g is a pass of f and a pass of g"
      <| forModels (fun model ->
          for selection in byPlace do
              for first, f in changes do
                  for second, g in changes do
                      same
                          (model |> rewrite selection (f >> g))
                          (model |> (rewrite selection f >> rewrite selection g))
                          $"{first} >> {second} of {selection}")

      testProperty "rewrites of selections without a common block commute"
      <| forSelections (fun (model, (one, other, _)) ->
          // Asked of the model as it is, so that no rewrite changes what is held.
          let fixedTo (selection: Selection<AnyKind>) =
              let held = set (places model selection)
              Select.where (fun placed -> held.Contains(placed.Stage, placed.Number))

          let ours, theirs = fixedTo one, fixedTo (other <&> Select.not one)

          for first, f in changes do
              for second, g in changes do
                  same
                      (model |> (rewrite ours f >> rewrite theirs g))
                      (model |> (rewrite theirs g >> rewrite ours f))
                      $"{first} of {one}, {second} of {other} without it")

      testProperty "what is selected is rewritten; all else is the same object"
      <| forSelections (fun (model, (selection, _, _)) ->
          let held = set (places model selection)

          for name, change in changes do
              let rewritten = model |> rewrite selection change

              for stage in 1 .. model.Stages.Count do
                  let before, after = model.Stages[stage - 1], rewritten.Stages[stage - 1]

                  Expect.equal
                      (string (after.With(blocks = before.Blocks)))
                      (string before)
                      $"{name}: around the blocks"

                  for index, (before, after) in Seq.indexed (Seq.zip before.Blocks after.Blocks) do
                      if held.Contains(stage, index + 1) then
                          Expect.equal
                              (string after)
                              (string (ofBlock before |> change |> toBlocks |> List.exactlyOne))
                              name
                      else
                          Expect.isTrue (Object.ReferenceEquals(before, after)) $"{name}: not selected"

              same (rewritten.With(stages = model.Stages)) model $"{name}: around the stages")

      testProperty "blocks may become several, or none"
      <| forSelections (fun (model, (selection, _, _)) ->
          let held = (places model selection).Length
          let total = (places model Select.all).Length

          for times in 0..3 do
              let rewritten = model |> rewrite selection (fun block -> times * block)
              Expect.hasLength (places rewritten Select.all) (total - held + times * held) $"{times} times")

      testProperty "replacing twice is replacing once"
      <| forSelections (fun (model, (selection, _, _)) ->
          let once = model |> replace selection (slide 3)
          same (once |> replace selection (slide 3)) once $"{selection}"
          let qnaOnce = model |> replace selection (qna 5 |> queries 3)
          same (qnaOnce |> replace selection (qna 5 |> queries 3)) qnaOnce $"{selection}")

      testProperty
          "interleaving: every second of what is held in a stage, and itself among its like changes nothing"
      <| forSelections (fun (model, (selection, _, _)) ->
          let second =
              places model selection
              |> List.groupBy fst
              |> List.collect (snd >> List.indexed >> List.filter (fun (index, _) -> index % 2 = 1))
              |> List.map snd
              |> set

          for name, change in changes do
              same
                  (model |> interleave selection change)
                  (model
                   |> rewrite
                       (Select.where (fun placed -> second.Contains(placed.Stage, placed.Number)))
                       change)
                  $"{name} of {selection}"

          let alike = model |> replace Select.all (slide 3)
          same (alike |> interleave selection (attention (slide 3))) alike $"{selection}") ]

let private kinds =
    [ testCase "a selection of a kind takes that kind's refinements"
      <| fun () ->
          let queried = QnAViT.tiny |> rewrite (Select.qna <&> Select.stage 3) (queries 4)

          Expect.equal
              (queried
               |> Select.from (
                   Select.where (fun placed ->
                       match placed.Block.Attention with
                       | QnA qna -> qna.Queries = 4
                       | _ -> false)
               )
               |> List.map string)
              [ "stage 3, block 5"; "stage 3, block 6" ]
              "the QnA blocks of stage 3"

      testCase "DiNAT is NAT with every second block dilated"
      <| fun () ->
          let dilatedNat =
              [ 1, 8; 2, 4; 3, 2 ]
              |> List.fold
                  (fun model (stage, step) ->
                      model |> interleave (Select.neighbourhood <&> Select.stage stage) (dilated step))
                  Nat.mini
              |> named "dinat-mini"

          Expect.equal dilatedNat DiNAT.mini "the model of the zoo"

      testCase "selections say what they hold"
      <| fun () ->
          for selection, text in
              [ (Select.stages [ 1; 2 ] <&> Select.not Select.qna).Text, "(stages 1, 2 and not qna blocks)"
                (Select.every 2 <|> Select.first).Text, "(every block of number 2·n or first blocks)"
                string (Select.stage 3), "stage 3"
                sprintf "%A" (Select.blocks [ 1 ]), "blocks 1"
                sprintf "%A" (Swin.tiny |> Select.from (Select.stage 1 <&> Select.last)),
                "[stage 1, block 2: window 7×7, 3 heads, shifted]" ] do
              Expect.equal selection text "the text" ]

let private checkedForms =
    [ testProperty
          "a checked rewrite gives the model or all its mistakes, the first one first on the image's way"
      <| forModels (fun model ->
          for name, change in changes do
              let rewritten = model |> rewrite Select.all change
              let expected = problems rewritten

              match model |> tryRewrite Select.all change with
              | Ok found ->
                  same found rewritten name
                  Expect.isEmpty expected name
              | Error found ->
                  Expect.equal
                      (List.sort [ for p in found -> string p ])
                      (List.sort [ for p in expected -> string p ])
                      name

                  let order = [ for layer in trace rewritten -> layer.Place ]

                  let positions =
                      [ for problem in found do
                            match List.tryFindIndex ((=) problem.Place) order with
                            | Some position -> position
                            | None -> () ]

                  Expect.equal positions (List.sort positions) $"{name}: the order")

      testCase "the first conflict has its place"
      <| fun () ->
          match Swin.tiny |> tryReplace (Select.stages [ 3; 2 ]) (slide 4) with
          | Ok _ -> failtest "4 is even"
          | Error mistakes -> Expect.equal mistakes.Head.Place "stage 2, block 1" "the first"

          match
              Swin.tiny
              |> tryInterleave Select.all (heads 5)
              |> Result.bind (tryRewrite Select.all (heads 1))
          with
          | Ok _ -> failtest "5 heads divide nothing"
          | Error mistakes -> Expect.equal mistakes.Head.Place "stage 1, block 2" "the first"

      testProperty "stages that a model lacks are named, however they are selected"
      <| forModels (fun model ->
          let missing = model.Stages.Count + 1

          for selection in
              [ Select.stage missing
                Select.stages [ missing; missing ]
                Select.all <&> Select.not (Select.stage missing)
                Select.none <|> Select.stage missing ] do
              for result in
                  [ tryRewrite selection (heads 2) model
                    tryReplace selection (slide 3) model
                    tryInterleave selection (heads 2) model
                    tryInStages [ missing ] (heads 2) model
                    tryMapStages [ missing ] noTransition model ] do
                  match result with
                  | Ok _ -> failtest "there is no such stage"
                  | Error found ->
                      Expect.equal
                          [ for problem in found -> problem.Place ]
                          [ $"stage {missing}" ]
                          "the place") ]

/// The tests of this file.
let tests =
    testList
        "selections"
        [ testList "algebra" algebra
          testList "rewrites" rewrites
          testList "kinds" kinds
          testList "checked" checkedForms ]
