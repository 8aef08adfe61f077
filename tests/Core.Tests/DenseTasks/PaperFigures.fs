/// The cost of backbones in detection and segmentation: what Slide Transformer's tables say of them.
module LocalAttention.Core.Tests.PaperFigures

open System
open Expecto
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.DenseTasks
open LocalAttention.Core.Specification

let private detection = ImageSize(800, 1280)
let private segmentation = ImageSize(512, 2048)

let private billions (cost: MultiplyAccumulates) = float cost.Total / 1e9

let private difference (before: Architecture) (after: Architecture) (image: ImageSize) =
    let of' architecture =
        MultiplyAccumulates.OfFeatures(architecture, image, mergedShifts = true)

    billions (of' after - of' before)

/// Base and Slide variant, the image, GFLOPs of the whole detector or segmenter in both papers' tables, and the
/// difference that the reference data gives to a tenth, where it does.
let private pairs =
    [ "PVT-T, Mask R-CNN", Pvt.Tiny, SlidePvt.Tiny, detection, 240, 219, Some -21.4
      "PVT-S, Mask R-CNN", Pvt.Small, SlidePvt.Small, detection, 305, 269, Some -35.6
      "PVT-M, Mask R-CNN", Pvt.Medium, SlidePvt.Medium, detection, 392, 357, Some -35.6
      "PVTv2-B1, Mask R-CNN", PvtV2.B1, SlidePvtV2.B1, detection, 244, 222, Some -21.4
      "PVTv2-B2, Mask R-CNN", PvtV2.B2, SlidePvtV2.B2, detection, 309, 274, Some -35.6
      "Swin-T, Mask R-CNN", Swin.Tiny, SlideSwin.TinyWindow7, detection, 267, 268, None
      "Swin-T, Cascade Mask R-CNN", Swin.Tiny, SlideSwin.TinyWindow7, detection, 745, 747, None
      "Swin-B, Cascade Mask R-CNN", Swin.Base, SlideSwin.BaseWindow7, detection, 981, 983, None
      "PVT-T, semantic FPN", Pvt.Tiny, SlidePvt.Tiny, segmentation, 158, 136, Some -22.5
      "PVT-S, semantic FPN", Pvt.Small, SlidePvt.Small, segmentation, 225, 188, Some -37.5
      "Swin-T, UPerNet", Swin.Tiny, SlideSwin.TinyWindow7, segmentation, 945, 946, None ]

let private differences =
    testList
        "what Slide Attention adds to a backbone"
        ([ for name, before, after, image, theirs, slides, toATenth in pairs ->
               testCase name
               <| fun () ->
                   let ours = difference before after image

                   match toATenth with
                   | Some expected -> Expect.equal (Math.Round(ours, 1)) expected "GFLOPs to a tenth"
                   | None -> ()

                   // Both published totals are rounded to a whole number, so their difference is off by less than 1.
                   Expect.isLessThan (abs (ours - float (slides - theirs))) 1.0 $"GFLOPs: {ours} of ours" ]
         @ [ testCase "Swin-S: more blocks than Swin-T in stage 3 alone, which Slide leaves as it is"
             <| fun () ->
                 for image in [ detection; segmentation ] do
                     let small = difference Swin.Small SlideSwin.SmallWindow7 image

                     Expect.equal
                         small
                         (difference Swin.Tiny SlideSwin.TinyWindow7 image)
                         "the same as tiny's" ])

/// Whole segmenters: semantic FPN of 256 and 128 channels on 150 classes at 512×2048.
let private segmenters =
    testList
        "semantic FPN on ADE20K"
        [ for name, architecture, gflops, millions in
              [ "PVT-T", Pvt.Tiny, 158.0, 17.0
                "PVT-S", Pvt.Small, 225.0, 28.0
                "Slide-PVT-T", SlidePvt.Tiny, 136.0, 16.0
                "Slide-PVT-S", SlidePvt.Small, 188.0, 26.0 ] ->
              testCase name
              <| fun () ->
                  let semantic = SemanticFpn(architecture, 150)
                  let cost = semantic.Cost(segmentation, mergedShifts = true)
                  let parameters = float (semantic.Parameters().All) / 1e6
                  Expect.isLessThan (abs (parameters - millions)) 0.6 "million parameters"
                  Expect.isLessThan (abs (billions cost - gflops)) 1.0 "GFLOPs" ]

/// The tests of this file.
let tests = testList "paper figures" [ differences; segmenters ]
