/// What looks at neighbours: padding, sliding windows, convolution, pooling, resampling.
module LocalAttention.Tests.Neighbourhoods

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Functional = torch.nn.functional

let private image = counting [ 1L; 1L; 3L; 3L ]

let private padding =
    testList
        "padding"
        [ test "counts from the last dimension: left, right, then top, bottom" {
              Functional.pad (counting [ 1L; 2L ], struct (1L, 2L))
              |> holds [ 1L; 5L ] [ 0.0; 0.0; 1.0; 0.0; 0.0 ]

              Functional.pad (counting [ 1L; 2L ], struct (0L, 0L, 1L, 0L))
              |> holds [ 2L; 2L ] [ 0.0; 0.0; 0.0; 1.0 ]

              Functional.pad (counting [ 1L; 2L ], [| 1L; 0L; 0L; 1L |])
              |> holds [ 2L; 3L ] [ 0.0; 0.0; 1.0; 0.0; 0.0; 0.0 ]
          }
          test "with a value" {
              Functional.pad (counting [ 2L ], [| 1L; 0L |], value = 7.0)
              |> holds [ 3L ] [ 7.0; 0.0; 1.0 ]
          }
          test "reflecting leaves the edge single, replicating repeats it, circular goes round" {
              let line = counting [ 1L; 1L; 3L ]

              Functional.pad (line, [| 2L; 0L |], PaddingModes.Reflect)
              |> holds [ 1L; 1L; 5L ] [ 2.0; 1.0; 0.0; 1.0; 2.0 ]

              Functional.pad (line, [| 1L; 1L |], PaddingModes.Replicate)
              |> holds [ 1L; 1L; 5L ] [ 0.0; 0.0; 1.0; 2.0; 2.0 ]

              Functional.pad (line, [| 1L; 1L |], PaddingModes.Circular)
              |> holds [ 1L; 1L; 5L ] [ 2.0; 0.0; 1.0; 2.0; 0.0 ]
          }
          test "by negative amounts crops" {
              Functional.pad (counting [ 4L ], [| -1L; -1L |]) |> holds [ 2L ] [ 1.0; 2.0 ]
          } ]

let private windows =
    testList
        "sliding windows"
        [ test "Tensor.unfold is a view with a dimension of windows" {
              counting([ 4L ]).unfold(0L, 3L, 1L)
              |> holds [ 2L; 3L ] [ 0.0; 1.0; 2.0; 1.0; 2.0; 3.0 ]

              let line = counting [ 3L ]
              let windows = line.unfold (0L, 2L, 1L)
              windows[0L].fill_(scalar 9.0) |> ignore
              line |> holds [ 3L ] [ 9.0; 9.0; 2.0 ]
          }
          test "functional.unfold lists patches as columns, channel by channel" {
              Functional.unfold (image, 2L)
              |> holds
                  [ 1L; 4L; 4L ]
                  [ 0.0
                    1.0
                    3.0
                    4.0
                    1.0
                    2.0
                    4.0
                    5.0
                    3.0
                    4.0
                    6.0
                    7.0
                    4.0
                    5.0
                    7.0
                    8.0 ]

              Expect.equal (shape (Functional.unfold (image, 3L, padding = 1L))) [ 1L; 9L; 9L ] "padded"

              Expect.equal
                  (shape (Functional.unfold (torch.zeros (2L, 5L, 6L, 6L), 3L, stride = 3L)))
                  [ 2L; 45L; 4L ]
                  "stride"
          }
          test "fold adds the patches back" {
              let columns = Functional.unfold (image, 2L)

              Functional.fold (columns, 3L, 2L)
              |> holds [ 1L; 1L; 3L; 3L ] [ 0.0; 2.0; 2.0; 6.0; 16.0; 10.0; 6.0; 14.0; 8.0 ]
          } ]

/// Sum over the whole window: each output is then easily counted.
let private summing outputs inputs size =
    torch.ones ([| outputs; inputs; size; size |])

let private convolution =
    testList
        "convolution"
        [ test "slides without padding" {
              Functional.conv2d (image, summing 1L 1L 2L)
              |> holds [ 1L; 1L; 2L; 2L ] [ 8.0; 12.0; 20.0; 24.0 ]
          }
          test "correlates: the kernel is not flipped" {
              let firstOnly =
                  torch.tensor (Array4D.init 1 1 1 2 (fun _ _ _ j -> if j = 0 then 1.0f else 0.0f))

              Functional.conv2d (image, firstOnly)
              |> holds [ 1L; 1L; 3L; 2L ] [ 0.0; 1.0; 3.0; 4.0; 6.0; 7.0 ]
          }
          test "bias, padding, stride, dilation" {
              Functional.conv2d (image, summing 1L 1L 1L, torch.ones 1L)
              |> isNearly 1 (image + 1.0)

              Functional.conv2d (image, summing 1L 1L 3L, padding = [| 1L; 1L |], strides = [| 2L; 2L |])
              |> holds [ 1L; 1L; 2L; 2L ] [ 8.0; 12.0; 20.0; 24.0 ]

              Functional.conv2d (image, summing 1L 1L 2L, dilation = [| 2L; 2L |])
              |> holds [ 1L; 1L; 1L; 1L ] [ 16.0 ]
          }
          test "groups keep channels apart: depthwise" {
              let two = torch.cat ([| image; image * 2.0 |], 1L)

              Functional.conv2d (two, summing 2L 1L 3L, groups = 2L)
              |> holds [ 1L; 2L; 1L; 1L ] [ 36.0; 72.0 ]

              Functional.conv2d (two, summing 1L 2L 3L) |> holds [ 1L; 1L; 1L; 1L ] [ 108.0 ]
          }
          test "the layer has official names and sizes" {
              let layer = torch.nn.Conv2d(4L, 6L, 3L, stride = 2L, padding = 1L, groups = 2L)

              Expect.equal
                  (shape layer.weight, shape (nonNull layer.bias))
                  ([ 6L; 2L; 3L; 3L ], [ 6L ])
                  "sizes"

              Expect.equal
                  (layer.named_parameters ()
                   |> Seq.map (fun struct (name, _) -> name)
                   |> List.ofSeq)
                  [ "weight"; "bias" ]
                  "names"

              Expect.equal (shape (layer.call (torch.zeros (1L, 4L, 8L, 8L)))) [ 1L; 6L; 4L; 4L ] "output"
          }
          test "the layer without bias has none" {
              let layer =
                  torch.nn.Conv2d(1L, 1L, struct (1L, 3L), padding = struct (0L, 1L), bias = false)

              Expect.equal (Seq.length (layer.parameters ())) 1 "parameters"
              Expect.equal (shape (layer.call image)) [ 1L; 1L; 3L; 3L ] "output"
          }
          test "the layer pads as its mode says" {
              let layer =
                  torch.nn.Conv2d(
                      1L,
                      1L,
                      3L,
                      padding = 1L,
                      padding_mode = PaddingModes.Replicate,
                      bias = false
                  )

              torch.nn.init.ones_ layer.weight |> ignore
              let padded = Functional.pad (image, [| 1L; 1L; 1L; 1L |], PaddingModes.Replicate)
              layer.call image |> isNearly 9 (Functional.conv2d (padded, summing 1L 1L 3L))
          } ]

let private pooling =
    testList
        "pooling"
        [ test "maximum and average over windows" {
              let four = counting [ 1L; 1L; 4L; 4L ]

              Functional.max_pool2d (four, 2L)
              |> holds [ 1L; 1L; 2L; 2L ] [ 5.0; 7.0; 13.0; 15.0 ]

              Functional.avg_pool2d (four, 2L)
              |> holds [ 1L; 1L; 2L; 2L ] [ 2.5; 4.5; 10.5; 12.5 ]

              Functional.max_pool2d (image, 2L, Nullable 1L)
              |> holds [ 1L; 1L; 2L; 2L ] [ 4.0; 5.0; 7.0; 8.0 ]
          }
          test "averages count padding, unless told otherwise" {
              let ones = torch.ones (1L, 1L, 2L, 2L)

              Functional.avg_pool2d (ones, 2L, Nullable 2L, padding = 1L)
              |> holds [ 1L; 1L; 2L; 2L ] (List.replicate 4 0.25)

              Functional.avg_pool2d (ones, 2L, Nullable 2L, padding = 1L, count_include_pad = false)
              |> holds [ 1L; 1L; 2L; 2L ] (List.replicate 4 1.0)
          }
          test "adaptive average to a size" {
              Functional.adaptive_avg_pool2d (image, 1L) |> holds [ 1L; 1L; 1L; 1L ] [ 4.0 ]

              Functional.adaptive_avg_pool2d (counting [ 1L; 1L; 4L; 4L ], struct (2L, 1L))
              |> holds [ 1L; 1L; 2L; 1L ] [ 3.5; 11.5 ]
          }
          test "nearest interpolation repeats" {
              Functional.interpolate (counting [ 1L; 1L; 1L; 2L ], size = [| 2L; 4L |])
              |> holds [ 1L; 1L; 2L; 4L ] [ 0.0; 0.0; 1.0; 1.0; 0.0; 0.0; 1.0; 1.0 ]
          }
          test "pixel_shuffle moves channels into space" {
              Functional.pixel_shuffle (counting [ 1L; 4L; 1L; 1L ], 2L)
              |> holds [ 1L; 1L; 2L; 2L ] [ 0.0; 1.0; 2.0; 3.0 ]
          } ]

let tests = testList "neighbourhoods" [ padding; windows; convolution; pooling ]
