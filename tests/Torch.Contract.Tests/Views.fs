/// Shapes: views that share memory, copies that do not, and joining and splitting.
module LocalAttention.Tests.Views

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private shapes =
    testList
        "shapes"
        [ test "shape, size, strides, dimensions, elements" {
              let block = counting [ 2L; 3L; 4L ]
              Expect.equal (shape block) [ 2L; 3L; 4L ] "shape"
              Expect.equal (block.size 1, block.size -1) (3L, 4L) "size"
              Expect.equal (block.stride ()) [| 12L; 4L; 1L |] "strides"
              Expect.equal (block.Dimensions, block.ndim, block.dim ()) (3L, 3L, 3L) "dimensions"
              Expect.equal (block.NumberOfElements, block.numel ()) (24L, 24L) "elements"
          }
          test "view and reshape keep the order; one size may be left open" {
              let line = counting [ 6L ]
              line.view (2L, 3L) |> holds [ 2L; 3L ] (elements line)
              line.view (2L, -1L) |> holds [ 2L; 3L ] (elements line)
              line.reshape (-1L, 2L) |> holds [ 3L; 2L ] (elements line)
          }
          test "flatten and unflatten" {
              let block = counting [ 2L; 2L; 2L ]
              block.flatten () |> holds [ 8L ] (elements block)
              block.flatten 1L |> holds [ 2L; 4L ] (elements block)
              block.flatten (0L, 1L) |> holds [ 4L; 2L ] (elements block)
          }
          test "squeeze and unsqueeze" {
              Expect.equal (shape (torch.zeros([| 1L; 2L; 1L |]).squeeze())) [ 2L ] "all"
              Expect.equal (shape (torch.zeros([| 1L; 2L; 1L |]).squeeze 0L)) [ 2L; 1L ] "one"
              Expect.equal (shape (torch.zeros(2L).unsqueeze 0L)) [ 1L; 2L ] "at the front"
              Expect.equal (shape (torch.zeros(2L).unsqueeze -1L)) [ 2L; 1L ] "at the back"
          } ]

let private turning =
    testList
        "turning"
        [ test "transpose swaps two dimensions, t those of a matrix" {
              let grid = counting [ 2L; 3L ]
              grid.transpose (0L, 1L) |> holds [ 3L; 2L ] [ 0.0; 3.0; 1.0; 4.0; 2.0; 5.0 ]
              grid.t () |> holds [ 3L; 2L ] [ 0.0; 3.0; 1.0; 4.0; 2.0; 5.0 ]
          }
          test "permute takes dimensions in any order, negative ones too" {
              Expect.equal
                  (shape (torch.zeros([| 2L; 3L; 4L |]).permute(2L, 0L, 1L)))
                  [ 4L; 2L; 3L ]
                  "permuted"

              Expect.equal
                  (shape (torch.zeros([| 2L; 3L; 4L |]).permute(-1L, 0L, 1L)))
                  [ 4L; 2L; 3L ]
                  "negative"

              Expect.equal
                  (shape (torch.zeros([| 2L; 3L; 4L |]).movedim([| 0L |], [| 2L |])))
                  [ 3L; 4L; 2L ]
                  "moved"
          }
          test "contiguous lays a turned view out anew, and leaves others alone" {
              let grid = counting [ 2L; 3L ]
              let turned = grid.t ()
              Expect.isFalse (turned.is_contiguous ()) "turned"
              let laid = turned.contiguous ()
              Expect.equal (laid.is_contiguous (), elements laid) (true, elements turned) "laid out"
              grid.contiguous().fill_(scalar 1.0) |> ignore
              grid |> holds [ 2L; 3L ] (List.replicate 6 1.0)
          }
          test "views write through: view, transpose, permute, unsqueeze, expand's source, diagonal" {
              let writes (view: Tensor -> Tensor) =
                  let grid = torch.zeros (2L, 2L)
                  (view grid).fill_(scalar 1.0) |> ignore
                  grid.sum().item<float32>()

              [ fun (grid: Tensor) -> grid.view 4L
                fun grid -> grid.transpose (0L, 1L)
                fun grid -> grid.permute (1L, 0L)
                fun grid -> grid.unsqueeze 0L
                fun grid -> grid.flatten () ]
              |> List.iter (fun view -> Expect.equal (writes view) 4.0f "all four written")

              Expect.equal (writes _.diagonal()) 2.0f "the diagonal"
          }
          test "reshape of a turned view copies" {
              let grid = counting [ 2L; 2L ]
              grid.t().reshape(4L).zero_() |> ignore
              grid |> holds [ 2L; 2L ] [ 0.0; 1.0; 2.0; 3.0 ]
          }
          test "flip and roll move elements, the latter around the ends" {
              counting([ 2L; 2L ]).flip 1L |> holds [ 2L; 2L ] [ 1.0; 0.0; 3.0; 2.0 ]
              counting([ 4L ]).roll(1L, 0L) |> holds [ 4L ] [ 3.0; 0.0; 1.0; 2.0 ]

              torch.roll (counting [ 2L; 3L ], struct (1L, -1L), struct (0L, 1L))
              |> holds [ 2L; 3L ] [ 4.0; 5.0; 3.0; 1.0; 2.0; 0.0 ]
          }
          test "tril and triu keep one side of the diagonal" {
              torch.ones(2L, 2L).tril() |> holds [ 2L; 2L ] [ 1.0; 0.0; 1.0; 1.0 ]
              torch.ones(2L, 2L).triu 1L |> holds [ 2L; 2L ] [ 0.0; 1.0; 0.0; 0.0 ]
          } ]

let private joining =
    testList
        "joining and splitting"
        [ test "cat joins along a dimension, stack along a new one" {
              let a, b = vector [ 1.0; 2.0 ], vector [ 3.0; 4.0 ]
              torch.cat [| a; b |] |> holds [ 4L ] [ 1.0; 2.0; 3.0; 4.0 ]
              torch.stack [| a; b |] |> holds [ 2L; 2L ] [ 1.0; 2.0; 3.0; 4.0 ]
              torch.stack ([| a; b |], 1L) |> holds [ 2L; 2L ] [ 1.0; 3.0; 2.0; 4.0 ]

              torch.cat ([| counting [ 1L; 2L ]; counting [ 1L; 2L ] |], -1L)
              |> holds [ 1L; 4L ] [ 0.0; 1.0; 0.0; 1.0 ]
          }
          test "chunk cuts into a number of pieces, split into pieces of a size or of given sizes" {
              let line = counting [ 5L ]

              let sizes (pieces: Tensor array) =
                  pieces |> Array.map _.NumberOfElements |> List.ofArray

              Expect.equal (sizes (line.chunk 2L)) [ 3L; 2L ] "chunk"
              Expect.equal (sizes (line.split (2L, 0))) [ 2L; 2L; 1L ] "split by a size"
              Expect.equal (sizes (line.split ([| 1L; 4L |], 0L))) [ 1L; 4L ] "split by sizes"
              line.chunk(2L)[1] |> holds [ 2L ] [ 3.0; 4.0 ]
          }
          test "unbind takes a dimension apart" {
              let rows = counting([ 2L; 2L ]).unbind()
              Expect.equal rows.Length 2 "rows"
              rows[1] |> holds [ 2L ] [ 2.0; 3.0 ]
          }
          test "repeat and repeat_interleave copy" {
              vector([ 1.0; 2.0 ]).repeat 2L |> holds [ 4L ] [ 1.0; 2.0; 1.0; 2.0 ]
              vector([ 1.0; 2.0 ]).repeat_interleave 2L |> holds [ 4L ] [ 1.0; 1.0; 2.0; 2.0 ]
          }
          test "meshgrid counts the first index slowest, in its order ij" {
              let grids =
                  torch.meshgrid ([| torch.arange (whole 2L); torch.arange (whole 3L) |], indexing = "ij")

              grids[0] |> holds [ 2L; 3L ] [ 0.0; 0.0; 0.0; 1.0; 1.0; 1.0 ]
              grids[1] |> holds [ 2L; 3L ] [ 0.0; 1.0; 2.0; 0.0; 1.0; 2.0 ]
          } ]

let tests = testList "views" [ shapes; turning; joining ]
