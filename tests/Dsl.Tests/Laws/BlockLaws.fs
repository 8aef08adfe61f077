/// Blocks and their refinements: order, repetition, and what heads may follow.
module LocalAttention.Dsl.Tests.BlockLaws

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open LocalAttention.Dsl.Tests.Refinement

let private read (blocks: Blocks<'kind, HeadsGiven, 'count>) =
    [ for block in toBlocks blocks ->
          over (properties block) (properties block.Attention) |> Map.remove "Attention" ]

let private everyCase<'case when 'case: struct and 'case :> Enum and 'case: (new: unit -> 'case)> () =
    Enum.GetValues<'case>() |> List.ofArray

let private flags = [ true; false ]

// Each catalog is for blocks with heads and for blocks without, so that both can be set against each other.

let private ofAll<'kind, 'heads> () : Refinement<Blocks<'kind, 'heads, Many>> list list =
    [ setting "mlpRatio" "MlpRatio" [ 0.5; 3.0; 4.0 ] mlpRatio
      setting "mlpConvolution" "MlpConvolution" (everyCase ()) mlpConvolution
      settingAll "noLayerScale" [ "LayerScale", null ] noLayerScale
      :: setting "layerScale" "LayerScale" [ 0.1; 1e-5 ] layerScale ]

let private windows<'kind, 'heads when 'kind :> HasWindow> () : Refinement<Blocks<'kind, 'heads, Many>> list =
    setting "windowSize" "Window" [ 3; 7 ] windowSize

let private bias names value refine =
    settingAll $"biases {value}" [ for name in names -> name, box value ] refine

let private ofQnA<'heads> () : Refinement<Blocks<QnA, 'heads, Many>> list list =
    ofAll ()
    @ [ windows ()
        setting "queries" "Queries" [ 1; 2; 4 ] queries
        setting "width" "Width" [ 8; 16 ] width
        setting "attentionScale" "Scale" (everyCase ()) attentionScale
        setting "position" "Position" (everyCase ()) position
        setting "scalePosition" "ScalePositionBias" flags scalePosition
        setting "queryNorm" "Norm" [ freeNorm; unitNorm; unitNormHeld; largestNorm 2.0 ] queryNorm
        setting "biases" "Bias" flags biases ]

let private ofSlide<'heads> () : Refinement<Blocks<Slide, 'heads, Many>> list list =
    ofAll ()
    @ [ windows ()
        setting "padding" "Padding" (everyCase ()) padding
        setting "deformed" "Deformed" flags deformed
        setting "logitScale" "Scale" [ 0.5; 1.0 ] logitScale
        setting "qkvBias" "QkvBias" flags qkvBias
        setting "biases" "QkvBias" flags biases ]

let private ofSelfAttention<'kind, 'heads when 'kind :> SelfAttention>
    ()
    : Refinement<Blocks<'kind, 'heads, Many>> list list =
    [ setting "qkvOrder" "Order" (everyCase ()) qkvOrder
      setting "qkvBias" "QkvBias" flags qkvBias
      setting "projectionBias" "ProjectionBias" flags projectionBias
      [ for value in flags -> bias [ "QkvBias"; "ProjectionBias" ] value (biases value) ] ]

let private ofWindow<'heads> () : Refinement<Blocks<Window, 'heads, Many>> list list =
    ofAll ()
    @ ofSelfAttention ()
    @ [ windows ()
        setting "relativeBias" "PositionBias" flags relativeBias
        [ settingAll "shifted" [ "Shifted", true ] shifted ] ]

let private ofGlobal<'heads> () : Refinement<Blocks<Global, 'heads, Many>> list list =
    ofAll ()
    @ ofSelfAttention ()
    @ [ [ settingAll "locallyEnhanced" [ "LocallyEnhanced", true ] locallyEnhanced ] ]

let private qkvBiases<'kind, 'heads when 'kind :> HasQkv>
    ()
    : Refinement<Blocks<'kind, 'heads, Many>> list list =
    [ setting "qkvBias" "QkvBias" flags qkvBias
      setting "biases" "QkvBias" flags biases ]

let private ofNeighbourhood<'heads> () : Refinement<Blocks<Neighbourhood, 'heads, Many>> list list =
    ofAll ()
    @ qkvBiases ()
    @ [ windows ()
        setting "relativeBias" "PositionBias" flags relativeBias
        setting "dilated" "Dilation" [ 2; 8 ] dilated ]

let private ofCrossShaped<'heads> () : Refinement<Blocks<CrossShaped, 'heads, Many>> list list =
    ofAll ()
    @ qkvBiases ()
    @ [ setting "stripeWidth" "Stripe" [ 1; 7 ] stripeWidth ]

let private ofSpatialReduction<'heads> () : Refinement<Blocks<SpatialReduction, 'heads, Many>> list list =
    ofAll () @ qkvBiases () @ [ setting "reduction" "Reduction" [ 1; 4 ] reduction ]

let private ofPooled<'heads> () : Refinement<Blocks<Pooled, 'heads, Many>> list list =
    ofAll () @ qkvBiases () @ [ setting "poolSize" "Pool" [ 5; 9 ] poolSize ]

/// Of blocks of several kinds, where each refinement changes those that know its property.
let private ofMixture: Refinement<Blocks<AnyKind, HeadsGiven, Many>> list list =
    ofAll ()
    @ [ windows ()
        [ for value in flags -> bias [ "Bias"; "QkvBias"; "ProjectionBias" ] value (biases value) ] ]

let private givenHeads<'kind> () : Refinement<Blocks<'kind, HeadsGiven, Many>> list =
    setting "heads" "Heads" [ 1; 3; 8 ] heads

let private kind
    name
    (headless: Blocks<'kind, HeadsMissing, One>)
    (early: Refinement<Blocks<'kind, HeadsMissing, Many>> list list)
    (late: Refinement<Blocks<'kind, HeadsGiven, Many>> list list)
    =
    testList
        name
        [ yield! laws (2 * headless |> heads 6) read (givenHeads () :: late)

          testCase "heads may be given before any refinement or after it"
          <| fun () ->
              for early, late in List.zip (List.concat early) (List.concat late) do
                  Expect.equal
                      (3 * headless |> early.Refine |> heads 6)
                      (3 * headless |> heads 6 |> late.Refine)
                      early.Text ]

let private mixture =
    (qna 3 |> heads 2)
    + (slide 5 |> heads 3)
    + (window 7 |> heads 4)
    + (globalAttention |> heads 5)
    + (neighbourhood 5 |> heads 6)
    + (crossShaped 2 |> heads 2)
    + (spatialReduction 4 |> heads 3)
    + (pooledAttention 7 |> heads 4)

let private mixtures =
    let kinds =
        [ qna 3 |> heads 2 |> toBlocks
          slide 5 |> heads 3 |> toBlocks
          shifted (window 7) |> heads 4 |> toBlocks
          globalAttention |> heads 5 |> toBlocks
          dilated 2 (neighbourhood 5) |> heads 6 |> toBlocks
          crossShaped 2 |> heads 2 |> toBlocks
          spatialReduction 4 |> heads 3 |> toBlocks
          pooledAttention 7 |> heads 4 |> toBlocks ]

    let block = Gen.elements kinds |> Gen.map (List.exactlyOne >> ofBlock)

    Gen.nonEmptyListOf block
    |> Gen.map (List.fold (fun row block -> row + block) (0 * mixture))
    |> Arb.fromGen

let private repetition =
    testList
        "repetition"
        [ testProperty "n * blocks is the row written n times"
          <| Prop.forAll mixtures (fun row ->
              for times in -1 .. 4 do
                  Expect.equal
                      (toBlocks (times * row))
                      (List.concat (List.replicate (max 0 times) (toBlocks row)))
                      $"{times} times"

                  Expect.equal (times * (2 * row)) (2 * times * row) $"{times} times twice")

          testProperty "a + b is one row after the other, however they are grouped"
          <| Prop.forAll (Arb.zip (mixtures, mixtures)) (fun (first, second) ->
              Expect.equal (toBlocks (first + second)) (toBlocks first @ toBlocks second) "a + b"
              Expect.equal (first + second + mixture) (first + (second + mixture)) "grouped"
              Expect.equal (2 * first + first) (3 * first) "2 * a + a")

          testProperty "a refinement holds for all that stands before it"
          <| Prop.forAll (Arb.zip (mixtures, mixtures)) (fun (first, second) ->
              for refinement in List.concat (givenHeads () :: ofMixture) do
                  let refine = refinement.Refine

                  Expect.equal
                      (2 * first + second |> refine)
                      (2 * refine first + refine second)
                      refinement.Text)

          testCase "Swin's blocks are every second one shifted"
          <| fun () ->
              let pair = window 7 + shifted (window 7)
              Expect.equal (toBlocks (swinBlocks 6 7 |> heads 3)) (toBlocks (3 * pair |> heads 3)) "six"

              Expect.equal
                  (toBlocks (swinBlocks 5 7 |> heads 3))
                  (toBlocks ((2 * pair |> heads 3) + (window 7 |> heads 3)))
                  "five"

              Expect.isEmpty (toBlocks (swinBlocks 0 7 |> heads 3)) "none"

          testCase "a local window is head-major, without projection biases"
          <| fun () ->
              let expected =
                  WindowAttention(14, 8, Order = QkvOrder.HeadMajor, QkvBias = false, ProjectionBias = false)

              Expect.equal (toBlocks (localWindow 14 |> heads 8)) [ Block expected ] "record" ]

let private replacement =
    let replaced (row: Blocks<_, HeadsGiven, _>) (template: Blocks<'kind, HeadsMissing, One>) =
        for before, after in List.zip (toBlocks row) (toBlocks (attention template row)) do
            Expect.equal after.Attention.Heads before.Attention.Heads "heads are kept"
            Expect.equal after.MlpRatio before.MlpRatio "the MLP ratio is kept"
            Expect.equal after.LayerScale before.LayerScale "the layer scale is kept"
            Expect.equal after.MlpConvolution before.MlpConvolution "the MLP's convolution is kept"

            Expect.equal
                (toBlocks (template |> heads before.Attention.Heads))
                [ Block after.Attention ]
                "the attention is that of the template"

    testProperty "another attention keeps heads, MLP and layer scale"
    <| Prop.forAll mixtures (fun row ->
        let row =
            row
            + (row |> mlpRatio 2.0)
            + (row |> layerScale 0.1)
            + (row |> mlpConvolution MlpConvolution.Depthwise)

        replaced row (slide 3 |> padding EdgePadding.Circular)
        replaced row (qna 5 |> queries 4)
        replaced row (shifted (window 7))
        replaced row globalAttention
        replaced row (dilated 2 (neighbourhood 7))
        replaced row (crossShaped 2)
        replaced row (spatialReduction 8)
        replaced row (pooledAttention 7))

/// The tests of this file.
let tests =
    testList
        "blocks"
        [ kind "QnA" (qna 3) (ofQnA ()) (ofQnA ())
          kind "Slide" (slide 3) (ofSlide ()) (ofSlide ())
          kind "windows" (window 7) (ofWindow ()) (ofWindow ())
          kind "global attention" globalAttention (ofGlobal ()) (ofGlobal ())
          kind "neighbourhoods" (neighbourhood 7) (ofNeighbourhood ()) (ofNeighbourhood ())
          kind "stripes" (crossShaped 2) (ofCrossShaped ()) (ofCrossShaped ())
          kind "spatial reduction" (spatialReduction 8) (ofSpatialReduction ()) (ofSpatialReduction ())
          kind "pooled attention" (pooledAttention 7) (ofPooled ()) (ofPooled ())
          testList "several kinds" (laws mixture read (givenHeads () :: ofMixture) |> List.truncate 3)
          repetition
          replacement ]
