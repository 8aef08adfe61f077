/// Wider, deeper, larger models: what grows, what stays, and how scalings compose.
module LocalAttention.Dsl.Tests.ScalingLaws

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Dsl
open LocalAttention.Verification

let private same (actual: Architecture) (expected: Architecture) what =
    if actual <> expected then
        Expect.equal (string actual) (string expected) what

let private broken = Mistakes.arbitraryPossiblyBroken
let private right = (Arbitraries.Architecture())

let private factor =
    Gen.choose (30, 300) |> Gen.map (fun percent -> float percent / 100.0)

let private withFactor models = Arb.zip (models, Arb.fromGen factor)

let private zoo =
    Arb.fromGen (Gen.elements [ for entry in Zoo.all -> entry.Architecture ])

let private scalings =
    [ "width", scaleWidth, tryScaleWidth
      "depth", scaleDepth, tryScaleDepth
      "resolution", scaleResolution, tryScaleResolution ]

let private counts (model: Architecture) =
    [ for stage in model.Stages -> stage.Blocks.Count ]

let private all =
    [ testProperty "by 1 is the model itself"
      <| Prop.forAll broken (fun model ->
          for name, scale, _ in scalings do
              same (scale 1.0 model) model name

          same (compound 0.0 model) model "compound")

      testProperty "any factor gives a value, and the checked form the same one or its mistakes"
      <| Prop.forAll (withFactor broken) (fun (model, factor) ->
          for name, scale, tryScale in scalings do
              let scaled = scale factor model

              match tryScale factor model with
              | Ok found -> same found scaled name
              | Error mistakes ->
                  Expect.equal
                      (List.sort [ for mistake in mistakes -> string mistake ])
                      (List.sort [ for mistake in problems scaled -> string mistake ])
                      name)

      testCase "no factor but a number above 0"
      <| fun () ->
          for name, scale, tryScale in scalings do
              for wrong in [ 0.0; -1.5; nan; infinity ] do
                  Expect.throwsT<SpecificationException>
                      (fun () -> scale wrong Swin.tiny |> ignore)
                      $"{name} by {wrong}"

                  match tryScale wrong Swin.tiny with
                  | Ok _ -> failtest $"{name} by {wrong}"
                  | Error mistakes ->
                      Expect.equal
                          (List.map string mistakes)
                          [ $"whole model: its {name} cannot be multiplied by {wrong}; use a number above 0, such as 1.25." ]
                          "the mistake"

      testProperty "a limit that is passed is a mistake with its place"
      <| Prop.forAll right (fun model ->
          match tryScaleWidth 1e6 model with
          | Ok _ -> failtest "so many channels"
          | Error mistakes -> Expect.isNonEmpty mistakes "mistakes")

      testProperty "compound scaling is all three"
      <| Prop.forAll zoo (fun model ->
          same
              (compound 2.0 model)
              (model
               |> scaleDepth 1.44
               |> scaleWidth (1.1 ** 2.0)
               |> scaleResolution (1.15 ** 2.0))
              "by 1.2², 1.1², 1.15²") ]

let private width =
    [ testProperty "heads still divide the channels"
      <| Prop.forAll (withFactor right) (fun (model, factor) ->
          for problem in model |> scaleWidth factor |> problems do
              Expect.isFalse (problem.Mistake.Contains "do not divide") (string problem))

      testProperty "only channels change, and blocks only by QnA's own width"
      <| Prop.forAll (withFactor right) (fun (model, factor) ->
          let scaled = model |> scaleWidth factor

          let withoutWidth (block: Block) =
              match block.Attention with
              | QnA qna when qna.Width.HasValue -> block.With(attention = qna.With(width = 1))
              | _ -> block

          for before, after in Seq.zip model.Stages scaled.Stages do
              Expect.equal
                  (List.map withoutWidth (List.ofSeq after.Blocks))
                  (List.map withoutWidth (List.ofSeq before.Blocks))
                  "blocks"

              Expect.equal
                  (after.PositionEmbedding, after.Norm)
                  (before.PositionEmbedding, before.Norm)
                  "around the blocks"

              match Option.ofObj before.Transition, Option.ofObj after.Transition with
              | None, None -> ()
              | Some before, Some after ->
                  Expect.equal (after.GetType()) (before.GetType()) "the kind of transition"
                  Expect.equal after.Channels.HasValue before.Channels.HasValue "whether channels are said"
              | _ -> failtest "a transition came or went"

          let rest (model: Architecture) =
              model.With(stem = patchify 1 1, stages = ValueList.From [])

          Expect.equal (rest scaled) (rest model) "all but stem and stages"

          Expect.equal
              [ for layer in trace scaled -> layer.Output.Size ]
              [ for layer in trace model -> layer.Output.Size ]
              "sizes")

      testProperty "twice as wide and half as wide again is the model"
      <| Prop.forAll right (fun model ->
          // Halving an odd number of channels is rounded down, which no multiple undoes.
          let halvesExactly =
              trace model
              |> List.forall (fun layer -> layer.Kind <> "qna upsampling" || layer.Input.Channels % 2 = 0)

          if halvesExactly then
              same (model |> scaleWidth 2.0 |> scaleWidth 0.5) model "2, then 0.5")

      testProperty "by a and by b is by a·b to within 2 + b multiples"
      <| Prop.forAll (Arb.fromGen (Gen.zip factor factor)) (fun (a, b) ->
          // PVT says the channels of each stage, which are multiples of its heads.
          let channels model =
              [ for shape in trace model do
                    if shape.Place.EndsWith "block 1" then
                        shape.Output.Channels ]

          let twice = Pvt.tiny |> scaleWidth a |> scaleWidth b |> channels
          let once = Pvt.tiny |> scaleWidth (a * b) |> channels

          for heads, (one, other) in List.zip [ 1; 2; 5; 8 ] (List.zip twice once) do
              Expect.equal (one % heads, other % heads) (0, 0) "multiples of the heads"

              Expect.isLessThanOrEqual
                  (float (abs (one - other)))
                  ((2.0 + b) * float heads)
                  $"{one} and {other} channels")

      testCase "channels follow from the heads of all that comes after"
      <| fun () ->
          let channels = scaleWidth 1.25 >> shapes >> List.map _.Channels
          // 3, 6, 12 and 24 heads in channels that double: multiples of 3.
          Expect.equal (channels Swin.tiny) [ 240; 480; 960; 960 ] "Swin: 120 at first"
          // 8, 16, 8 and 32, 16 heads and 64 in the last transition: multiples of 8.
          Expect.equal (channels QnAViT.tiny) [ 160; 320; 640; 640 ] "QnA-ViT: 80 at first" ]

let private depth =
    [ testProperty "the number of blocks is multiplied, rounded, and never none"
      <| Prop.forAll (withFactor broken) (fun (model, factor) ->
          let scaled = model |> scaleDepth factor

          let expected =
              [ for count in counts model ->
                    if count = 0 then
                        0
                    else
                        max 1 (int (Math.Floor(factor * float count + 0.5))) ]

          if factor <> 1.0 then
              Expect.equal (counts scaled) expected "blocks"

          let emptied (model: Architecture) =
              model
              |> stages [ for stage in model.Stages -> stage.With(blocks = ValueList.From []) ]

          same (emptied scaled) (emptied model) "all but blocks"

          for before, after in Seq.zip model.Stages scaled.Stages do
              Expect.isTrue
                  (after.Blocks
                   |> Seq.forall (fun block ->
                       before.Blocks |> Seq.exists (fun known -> string known = string block)))
                  "no new kind of block")

      testProperty "twice as deep and half as deep again is the model"
      <| Prop.forAll broken (fun model ->
          same (model |> scaleDepth 2.0 |> scaleDepth 0.5) model "2, then 0.5")

      testProperty "by a and by b is by a·b to within 2 + b blocks"
      <| Prop.forAll (Arb.zip (zoo, Arb.fromGen (Gen.zip factor factor))) (fun (model, (a, b)) ->
          for one, other in
              List.zip
                  (model |> scaleDepth a |> scaleDepth b |> counts)
                  (model |> scaleDepth (a * b) |> counts) do
              Expect.isLessThanOrEqual (float (abs (one - other))) (2.0 + b) $"{one} and {other} blocks")

      testCase "patterns go on, runs grow"
      <| fun () ->
          let stretched (blocks: Blocks<'kind, HeadsGiven, 'count>) factor =
              (backbone "x" (patchify 4 32) |> stages [ stage blocks ] |> scaleDepth factor).Stages[0].Blocks
              |> List.ofSeq

          let w, s, q = window 7 |> heads 4, shifted (window 7) |> heads 4, qna 3 |> heads 4

          let expect blocks factor (expected: Blocks<_, _, _>) =
              Expect.equal (stretched blocks factor) (toBlocks expected)

          expect (w + s) 2.0 (2 * (w + s)) "plain, shifted"
          expect (2 * (w + s)) 1.25 (2 * (w + s) + w) "one more"
          expect (3 * (w + s)) 0.5 (w + s + w) "fewer"
          expect (4 * w + 2 * q) 2.0 (8 * w + 4 * q) "two runs"
          expect (4 * w + 2 * q) 0.5 (2 * w + (q + (0 * q))) "two runs, fewer"
          expect (2 * w) 3.0 (6 * w) "one run" ]

let private resolution =
    /// Parameters by place, without what has one for each token of a map.
    let ofPlaces (model: Architecture) =
        [ for layer in trace model do
              if not (layer.Place.EndsWith "embedding") && layer.Kind <> "qna pool" then
                  layer.Place, layer.Parameters ]

    [ testProperty "parameters stay, but for embeddings of places and a head that is a window over the map"
      <| Prop.forAll (withFactor broken) (fun (model, factor) ->
          let larger = ImageSize(model.Resolution.Height + 7, model.Resolution.Width + 3)

          for changed in
              [ model |> scaleResolution factor
                model |> imageSize (larger.Height, larger.Width) ] do
              Expect.equal (ofPlaces changed) (ofPlaces model) "parameters"
              same (changed.With(resolution = model.Resolution)) model "all but the resolution")

      testProperty
          "sides are multiples of the coarsest stride, nearest to the product, and compose to within 2 + b of them"
      <| Prop.forAll (Arb.zip (zoo, Arb.fromGen (Gen.zip factor factor))) (fun (model, (a, b)) ->
          let side (model: Architecture) = model.Resolution.Height

          // All models of the zoo end in maps of 1/32.
          let once = model |> scaleResolution (a * b) |> side

          if a * b <> 1.0 then
              Expect.equal (once % 32) 0 "a multiple"
              Expect.isLessThanOrEqual (abs (float once - a * b * 224.0)) 16.0 "the nearest"

          let twice = model |> scaleResolution a |> scaleResolution b |> side
          Expect.isLessThanOrEqual (float (abs (once - twice))) ((2.0 + b) * 32.0) $"{once} and {twice}") ]

/// The tests of this file.
let tests =
    testList
        "scaling"
        [ testList "all" all
          testList "width" width
          testList "depth" depth
          testList "resolution" resolution ]
