/// Rewrites of whole models: what they reach, what they leave, and how they compose.
module LocalAttention.Dsl.Tests.RewriteLaws

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

type private Rewrite<'count> = Blocks<AnyKind, HeadsGiven, One> -> Blocks<AnyKind, HeadsGiven, 'count>

/// One block of a kind as one of any kind.
let private asAnyKind (block: Blocks<'kind, HeadsGiven, One>) =
    block |> toBlocks |> List.exactlyOne |> ofBlock

/// Rewrites of one block to one.
let private rewrites: (string * Rewrite<One>) list =
    [ "id", id
      "heads", heads 2
      "mlpRatio", mlpRatio 3.0
      "layerScale", layerScale 1e-5
      "noLayerScale", noLayerScale
      "windowSize", windowSize 5
      "biases", biases true
      "attention slide", attention (slide 3) >> asAnyKind
      "attention qna", attention (qna 3 |> queries 4) >> asAnyKind ]

/// Rewrites of one block to several, or to none.
let private growing: (string * Rewrite<Many>) list =
    [ "twice", (fun block -> 2 * block)
      "dropped", (fun block -> 0 * block)
      "with a window behind", (fun block -> block + (window 7 |> heads 1))
      "queries where there are any", whenQna (queries 4)
      "slide for QnA", whenQna (attention (slide 3))
      "slide for windows", whenWindow (attention (slide 3))
      "windows for slide", whenSlide (attention (window 4))
      "twice where global", whenGlobal (fun block -> 2 * block) ]

let private blocksOf (architecture: Architecture) =
    [ for stage in architecture.Stages -> List.ofSeq stage.Blocks ]

let private applied (rewrite: Rewrite<'count>) (blocks: Block list) =
    blocks |> List.collect (ofBlock >> rewrite >> toBlocks)

/// A model, possibly broken, and some of its stages.
let private models =
    let cases =
        gen {
            let! architecture = Gen.oneof [ Generate.architecture; Mistakes.possiblyBroken ]
            let! chosen = Gen.subListOf [ 1 .. architecture.Stages.Count ]
            return architecture, List.ofSeq chosen
        }

    let simpler (architecture: Architecture, chosen) =
        seq {
            for simpler in Shrink.anyArchitecture architecture do
                simpler, chosen |> List.filter (fun number -> number <= simpler.Stages.Count)
        }

    Arb.fromGenShrink (cases, simpler)

let private forModels check = Prop.forAll models check

/// NaN differs from itself, so models are compared by their text, in which it does not.
let private same (actual: Architecture) (expected: Architecture) what =
    if actual <> expected then
        Expect.equal (string actual) (string expected) what

let private all (architecture: Architecture) = [ 1 .. architecture.Stages.Count ]

let private everyBlockLaws =
    [ testProperty "everyBlock rewrites each block, in order, and nothing else"
      <| forModels (fun (model, _) ->
          for name, rewrite in growing do
              let rewritten = model |> everyBlock rewrite

              Expect.equal
                  (sprintf "%A" (blocksOf rewritten))
                  (sprintf "%A" (blocksOf model |> List.map (applied rewrite)))
                  name

              let emptied (model: Architecture) =
                  model
                  |> stages [ for stage in model.Stages -> stage.With(blocks = ValueList.From []) ]

              same (emptied rewritten) (emptied model) $"{name}: all but the blocks")

      testProperty "the rewrite that changes nothing changes nothing"
      <| forModels (fun (model, chosen) ->
          same (model |> everyBlock id) model "everyBlock id"
          same (model |> everyQna id) model "everyQna id"
          same (model |> inStages chosen id) model "inStages id"
          same (model |> inStages [] (heads 2)) model "in no stages"
          same (model |> changeStages chosen id) model "changeStages id")

      testProperty "one pass of f >> g is a pass of f and a pass of g"
      <| forModels (fun (model, chosen) ->
          for first, f in rewrites do
              for second, g in rewrites do
                  same
                      (model |> everyBlock (f >> g))
                      (model |> (everyBlock f >> everyBlock g))
                      $"{first} >> {second}"

              for second, g in growing do
                  same
                      (model |> inStages chosen (f >> g))
                      (model |> (inStages chosen f >> inStages chosen g))
                      $"{first} >> {second}")

      testProperty "everyBlock goes through the stages one by one"
      <| forModels (fun (model, _) ->
          for name, rewrite in growing do
              let oneByOne =
                  [ for stage in model.Stages do
                        yield! (model |> stages [ stage ] |> everyBlock rewrite).Stages ]

              same (model |> everyBlock rewrite) (model |> stages oneByOne) name) ]

let private inStagesLaws =
    [ testProperty "in all stages is everywhere"
      <| forModels (fun (model, _) ->
          for name, rewrite in growing do
              same (model |> inStages (all model) rewrite) (model |> everyBlock rewrite) name)

      testProperty "neither the order of stage numbers counts nor one given twice"
      <| forModels (fun (model, chosen) ->
          for name, rewrite in growing do
              same
                  (model |> inStages (List.rev chosen @ chosen) rewrite)
                  (model |> inStages chosen rewrite)
                  name)

      testProperty "rewrites of different stages commute"
      <| forModels (fun (model, chosen) ->
          let others = List.except chosen (all model)

          for first, f in growing do
              for second, g in growing do
                  let f = inStages chosen f
                  let g = inStages others g
                  same (model |> f |> g) (model |> g |> f) $"{first} and {second}")

      testProperty "other stages stay as they are"
      <| forModels (fun (model, chosen) ->
          for name, rewrite in growing do
              let rewritten = model |> inStages chosen rewrite

              for number in all model do
                  let before, after = model.Stages[number - 1], rewritten.Stages[number - 1]

                  if List.contains number chosen then
                      Expect.equal
                          (sprintf "%A" (List.ofSeq after.Blocks))
                          (sprintf "%A" (applied rewrite (List.ofSeq before.Blocks)))
                          $"{name} in stage {number}"
                  else
                      Expect.isTrue (Object.ReferenceEquals(before, after)) $"{name} outside, stage {number}")

      testProperty "stages that a model lacks are named, each once, as a value or in an exception"
      <| forModels (fun (model, chosen) ->
          let count = model.Stages.Count
          let numbers = [ count + 1; 0; count + 1; -1 ] @ chosen

          match tryInStages numbers (heads 2) model with
          | Ok _ -> failtest "there are no such stages"
          | Error missing ->
              Expect.equal
                  [ for problem in missing -> problem.Place ]
                  [ $"stage {count + 1}"; "stage 0"; "stage -1" ]
                  "the places"

              for rewrite in
                  [ inStages numbers (heads 2)
                    inStages numbers (whenQna (queries 1))
                    changeStages numbers noTransition ] do
                  let refused =
                      Expect.throwsC (fun () -> rewrite model |> ignore) (fun error -> error)

                  match refused with
                  | :? SpecificationException as refused ->
                      Expect.equal (List.ofSeq refused.Problems) missing "the exception's problems"

                      for problem in missing do
                          Expect.stringContains refused.Message (string problem) "the exception's text"
                  | other -> failtest $"{other} was thrown") ]

/// What a QnA block of a transition is without its own place.
let private blockIn (transition: Transition) =
    match transition with
    | QnADown down -> Some(Block(down.Attention, MlpRatio = down.MlpRatio, LayerScale = down.LayerScale))
    | QnAUp up -> Some(Block(up.Attention, MlpRatio = up.MlpRatio, LayerScale = up.LayerScale))
    | Merging _
    | Strided _ -> None

/// The properties of a transition that do not belong to its block.
let private around (transition: Transition) =
    [ "Attention"; "MlpRatio"; "LayerScale" ] |> List.foldBack Map.remove
    <| Refinement.properties transition

let private transitionsOf (model: Architecture) =
    [ for stage in model.Stages do
          match stage.Transition with
          | null -> ()
          | transition -> transition ]

let private isQna (block: Block) =
    match block.Attention with
    | QnA _ -> true
    | _ -> false

let private everyQnaLaws =
    let rewrites: (string * (Blocks<QnA, HeadsGiven, One> -> Blocks<QnA, HeadsGiven, One>)) list =
        [ "queries", queries 4
          "windowSize", windowSize 7
          "both, and heads", windowSize 5 >> queries 3 >> heads 2
          "around", mlpRatio 3.0 >> layerScale 1e-5
          "attention", attention (qna 5 |> position PositionBias.Contextual) ]

    let expected rewrite (block: Block) =
        let isQna = isQna block

        if isQna then
            applied (whenQna rewrite) [ block ] |> List.exactlyOne
        else
            block

    [ testProperty "everyQna reaches blocks and transitions, and only those of QnA"
      <| forModels (fun (model, _) ->
          for name, rewrite in rewrites do
              let rewritten = model |> everyQna rewrite

              Expect.equal
                  (sprintf "%A" (blocksOf rewritten))
                  (sprintf "%A" (blocksOf model |> List.map (List.map (expected rewrite))))
                  $"{name}: blocks"

              for before, after in List.zip (transitionsOf model) (transitionsOf rewritten) do
                  Expect.equal (after.GetType()) (before.GetType()) $"{name}: the kind of transition"
                  Expect.equal (around after) (around before) $"{name}: around the block"

                  Expect.equal
                      (sprintf "%A" (blockIn after))
                      (sprintf "%A" (blockIn before |> Option.map (expected rewrite)))
                      $"{name}: the transition's block"

              let bare (model: Architecture) =
                  model |> stages [ for stage in model.Stages -> Stage(ValueList.From []) ]

              same (bare rewritten) (bare model) $"{name}: all but the stages")

      testProperty "everyQna of f >> g is everyQna of f, then of g"
      <| forModels (fun (model, _) ->
          for first, f in rewrites do
              for second, g in rewrites do
                  same
                      (model |> everyQna (f >> g))
                      (model |> (everyQna f >> everyQna g))
                      $"{first} >> {second}")

      testProperty "a sweep over windows gives as many models as windows, where there is QnA"
      <| forModels (fun (model, _) ->
          let sweep =
              [ for size in [ 3; 5; 7; 9 ] -> string (model |> everyQna (windowSize size)) ]

          let hasQna =
              blocksOf model |> List.concat |> List.exists isQna
              || transitionsOf model |> List.exists (blockIn >> Option.isSome)

          Expect.hasLength (List.distinct sweep) (if hasQna then 4 else 1) "different models") ]

let private everyKindLaws =
    let isSlide (attention: Attention) =
        match attention with
        | Slide _ -> true
        | _ -> false

    let isWindow (attention: Attention) =
        match attention with
        | Window _ -> true
        | _ -> false

    let isGlobal (attention: Attention) =
        match attention with
        | Global _ -> true
        | _ -> false

    [ for name, isMeant, rewrite in
          [ "everySlide", isSlide, everySlide (mlpRatio 7.0)
            "everyWindow", isWindow, everyWindow (mlpRatio 7.0)
            "everyGlobal", isGlobal, everyGlobal (mlpRatio 7.0) ] ->
          testProperty $"{name} reaches its kind and no other"
          <| forModels (fun (model, _) ->
              let expected (block: Block) =
                  if isMeant block.Attention then
                      block.With(mlpRatio = 7.0)
                  else
                      block

              let rewritten =
                  model
                  |> stages
                      [ for stage in model.Stages ->
                            stage.With(blocks = ValueList.From(Seq.map expected stage.Blocks)) ]

              same (rewrite model) rewritten name) ]

/// The tests of this file.
let tests =
    testList
        "rewrites"
        [ testList "every block" everyBlockLaws
          testList "in stages" inStagesLaws
          testList "every QnA block" everyQnaLaws
          testList "every block of a kind" everyKindLaws ]
