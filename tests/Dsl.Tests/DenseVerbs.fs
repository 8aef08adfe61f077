/// Words for dense tasks: from a backbone to its pyramid, a segmenter, a detector's levels.
module LocalAttention.Dsl.Tests.DenseVerbs

open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open TorchSharp

let private tiny =
    backbone "tiny" (patchify 4 8)
    |> stages [ stage (slide 3 |> heads 2) |> downsample merge; stage (window 4 |> heads 4) ]
    |> imageSize 32

let private shapes (tensors: torch.Tensor list) =
    [ for tensor in tensors -> List.ofArray tensor.shape ]

/// The tests of this file.
let tests =
    testList
        "dense tasks"
        [ testCase "the pyramid of a backbone, at its own size and another"
          <| fun () ->
              let told levels =
                  [ for level: LocalAttention.Core.DenseTasks.PyramidLevel in levels ->
                        $"{level.Place} {level.Stride} {level.Map}" ]

              Expect.equal (told (pyramid tiny)) [ "stage 1 4 8×8×8"; "stage 2 8 4×4×16" ] "own size"

              Expect.equal
                  (told (tiny |> pyramidAt 20 44))
                  [ "stage 1 4 5×11×8"; "stage 2 8 3×6×16" ]
                  "another"
          testCase
              "a segmenter gives every pixel its logits, a pyramid its levels, and training goes on as before"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              let images = torch.rand ([| 1L; 3L; 32L; 40L |])
              let segmenter = tiny |> semanticFpn 5 |> buildSegmenter
              segmenter.train ()
              let logits = segmenter |> segment images
              Expect.equal (shapes [ logits ]) [ [ 1L; 5L; 32L; 40L ] ] "logits"
              Expect.isFalse logits.requires_grad "no gradient"
              Expect.isTrue segmenter.training "still training"
              let detector = tiny |> featurePyramid 12 |> buildPyramid

              Expect.equal
                  (detector |> levels images |> shapes)
                  [ [ 1L; 12L; 8L; 10L ]; [ 1L; 12L; 4L; 5L ]; [ 1L; 12L; 2L; 3L ] ]
                  "levels"
          testCase "a classifier's backbone goes into both"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              let classifier = tiny |> buildSeeded 1L
              let images = torch.rand ([| 1L; 3L; 32L; 32L |])
              let expected = (classifier |> features images |> List.last).sum().item<float32>()

              let last maps =
                  (Seq.last maps: torch.Tensor).sum().item<float32>()

              let segmenter = tiny |> semanticFpn 2 |> buildSegmenter |> segmentingWith classifier
              let detector = tiny |> featurePyramid 4 |> buildPyramid |> pyramidWith classifier
              segmenter.eval ()
              detector.eval ()
              Expect.equal (last (segmenter.Backbone.features images)) expected "segmenter"
              Expect.equal (last (detector.Backbone.features images)) expected "detector"
          testCase "what Slide Attention saves PVT-T in detection"
          <| fun () ->
              let saved =
                  (SlidePvt.tiny |> backboneCost 800 1280) - (Pvt.tiny |> backboneCost 800 1280)

              Expect.equal (round (float saved.Total / 1e8)) -214.0 "in tenths of a GFLOP" ]
