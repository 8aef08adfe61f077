/// One model of each family of the zoo, cut down, with all that its family has: in ONNX Runtime it computes what it computes
/// here.
module LocalAttention.Export.Tests.Families

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Export
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open TorchSharp

let private channels = [| 8; 16; 24; 32 |]
let private two = [| 2; 2; 2; 2 |]
let private one = [| 1; 1; 1; 1 |]
let private heads = [| 1; 2; 3; 4 |]
let private doubling = [| 1; 2; 4; 8 |]

// Maps of 14×17, 7×9, 4×5 and 2×3, which most windows, stripes and patches do not divide.
let private image = ImageSize(54, 66)

let private pvt =
    Pvt.Create("pvt", channels, one, heads, resolution = image, classes = 10)

let private pvtV2 =
    PvtV2.Create("pvt-v2", channels, one, heads, resolution = image, classes = 10)

let private swin =
    Swin.Create("swin", 8, two, doubling, window = 4, resolution = ImageSize.Square 64, classes = 10)

let private cswin =
    CSwin.Create(
        "cswin",
        8,
        one,
        [| 2; 4; 8; 8 |],
        stripes = [| 1; 2; 3; 7 |],
        resolution = image,
        classes = 10
    )

let private nat =
    Nat.Create("nat", 8, one, doubling, window = 3, layerScale = 0.1, resolution = image, classes = 10)

let private qnaViT =
    QnAViT.Create(
        "qna-vit",
        8,
        [| 2; 4; 8; 16 |],
        [| 1; 1; 1; 0 |],
        [| 3; 5; 3; 3 |],
        [| 0; 0; 1; 1 |],
        [| 7; 7; 4; 2 |],
        doubling,
        resolution = image,
        classes = 10
    )

let private models =
    [ ZooFamily.Pvt, pvt
      ZooFamily.PvtV2, pvtV2
      ZooFamily.PvtV2,
      PvtV2.Create("pvt-v2-li", channels, one, heads, linear = true, resolution = image, classes = 10)
      ZooFamily.Swin, swin
      ZooFamily.CSwin, cswin
      ZooFamily.Nat, nat
      ZooFamily.DiNAT,
      Nat.Create(
          "dinat",
          8,
          two,
          doubling,
          window = 3,
          dilations = [| 4; 2; 2; 1 |],
          resolution = image,
          classes = 10
      )
      ZooFamily.QnAViT, qnaViT
      ZooFamily.SlideSwin,
      SlideSwin.Create(
          "slide-swin",
          8,
          two,
          doubling,
          window = 3,
          resolution = ImageSize.Square 64,
          classes = 10
      )
      ZooFamily.SlidePvt, Variants.Slide pvt
      ZooFamily.SlidePvtV2, Variants.Slide pvtV2
      ZooFamily.SlideCSwin, Variants.Slide cswin
      ZooFamily.SlideNat, Variants.Slide nat
      ZooFamily.QnASwin, Variants.QnA swin
      ZooFamily.QnAPvt, Variants.QnA pvt
      ZooFamily.QnAPvtV2, Variants.QnA pvtV2
      ZooFamily.QnACSwin, Variants.QnA cswin
      ZooFamily.QnANat, Variants.QnA nat ]

/// Scales the layer norm before each QnA layer so that its scores can differ by as much as is asked for.
let private spread range (model: Backbone) =
    use _ = torch.no_grad ()

    let parameters =
        dict [ for struct (name, parameter) in model.named_parameters () -> name, parameter ]

    for struct (name, layer) in model.named_modules () do
        match layer with
        | :? QnALayer as layer ->
            let norm =
                if name = "pool" then
                    parameters["norm.weight"]
                else
                    parameters[name.Replace("attn", "norm1.weight")]

            norm.mul_ (torch.tensor (range / QnANodes.Range(layer, norm))) |> ignore
        | _ -> ()

/// QnA is written in one of two ways. Float32 rounds scores of a hundred to 2⁻¹⁸, and weights by that much of themselves.
let private scores runtime =
    [ for range, convolved in [ 20.0, true; 110.0, true; 200.0, false ] ->
          test $"scores of QnA that can differ by {range}" {
              use model = Comparison.lively 1 qnaViT
              spread range model
              let file = Comparison.agreesWith 0.0 runtime model image [ 2 ]

              for place in [ "stage 1, block 1"; "stage 2, transition" ] do
                  Expect.equal
                      (file |> Contents.holds $"{place}/attention/totals/Conv")
                      convolved
                      $"{place} is written as convolutions"

                  Expect.equal
                      (file |> Contents.holds $"{place}/attention/Softmax")
                      (not convolved)
                      $"{place} is written as a softmax of windows"
          } ]

let tests (runtime: Lazy<Runtime.Runtime>) =
    testList
        "families"
        [ yield! scores runtime
          test "each family of the zoo has a model here" {
              Expect.containsAll (List.map fst models) Zoo.Families "families"
          }
          for _, architecture in models do
              test $"{architecture.Name} computes the same in ONNX Runtime, one image and three" {
                  Comparison.agrees 0.0 runtime 1 architecture architecture.Resolution [ 1; 3 ]
              }

              test $"{architecture.Name} for images of another size" {
                  Comparison.agrees 0.0 runtime 2 architecture (ImageSize(61, 45)) [ 2 ]
              } ]
