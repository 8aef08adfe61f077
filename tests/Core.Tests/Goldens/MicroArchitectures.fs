/// The small models whose official parameters, outputs and gradients lie in `tests/data`.
module LocalAttention.Core.Tests.MicroArchitectures

open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification

let private side = ImageSize.Square 64

/// The models of the files of that name.
let all =
    [ "qna-vit-micro",
      QnAViT.Create(
          "qna-vit-micro",
          8,
          [| 2; 4; 8; 16 |],
          [| 1; 1; 1; 0 |],
          [| 3; 3; 3; 3 |],
          [| 0; 0; 1; 1 |],
          [| 7; 7; 4; 2 |],
          [| 1; 2; 4; 8 |],
          resolution = side,
          classes = 10
      )
      "slide-swin-micro",
      SlideSwin.Create(
          "slide-swin-micro",
          12,
          [| 2; 2; 2; 1 |],
          [| 1; 2; 4; 8 |],
          window = 16,
          resolution = side,
          classes = 10
      )
      "swin-micro",
      Swin.Create(
          "swin-micro",
          12,
          [| 2; 2; 2; 1 |],
          [| 1; 2; 4; 8 |],
          window = 4,
          resolution = side,
          classes = 10
      ) ]
