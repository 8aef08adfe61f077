/// NumPy's indexing, read and written: numbers, ranges, the ellipsis, new axes, masks and tensors of indices.
module LocalAttention.Tests.Indexing

open System
open System.Runtime.InteropServices
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private at (index: int64) = TensorIndex.Single(Nullable index)

let private range (start: int64) (stop: int64) =
    TensorIndex.Slice(Nullable start, Nullable stop)

let private all = TensorIndex.Colon
let private etc = TensorIndex.Ellipsis
let private newAxis = TensorIndex.Null

let private reading =
    testList
        "read"
        [ test "a number takes one and drops the dimension; negative numbers count from the end" {
              let grid = counting [ 2L; 3L ]
              grid[1L] |> holds [ 3L ] [ 3.0; 4.0; 5.0 ]
              grid[1L, 2L] |> holds [] [ 5.0 ]
              grid[-1L, -3L] |> holds [] [ 3.0 ]
          }
          test "a range is half open, and may have a step" {
              let line = counting [ 6L ]
              line[range 1L 3L] |> holds [ 2L ] [ 1.0; 2.0 ]
              line[TensorIndex.Slice(step = 2L)] |> holds [ 3L ] [ 0.0; 2.0; 4.0 ]
              line[TensorIndex.Slice(stop = -2L)] |> holds [ 4L ] [ 0.0; 1.0; 2.0; 3.0 ]
              line[TensorIndex.Slice(start = -2L)] |> holds [ 2L ] [ 4.0; 5.0 ]
          }
          test "a range past the end is cut" { counting([ 3L ])[range 1L 9L] |> holds [ 2L ] [ 1.0; 2.0 ] }
          test "ranges of .NET, from either end" {
              let line = counting [ 6L ]

              line[TensorIndex.Slice(Range(Index 1, Index(2, true)))]
              |> holds [ 3L ] [ 1.0; 2.0; 3.0 ]

              line[TensorIndex.op_Implicit (Range.StartAt(Index 4))]
              |> holds [ 2L ] [ 4.0; 5.0 ]
          }
          test "numbers and ranges together" {
              counting([ 2L; 3L; 2L ])[all, at 1L, range 0L 1L]
              |> holds [ 2L; 1L ] [ 2.0; 8.0 ]
          }
          test "the ellipsis stands for all dimensions not named" {
              let cube = counting [ 2L; 2L; 2L ]
              cube[etc, at 0L] |> holds [ 2L; 2L ] [ 0.0; 2.0; 4.0; 6.0 ]
              cube[at 1L, etc] |> holds [ 2L; 2L ] [ 4.0; 5.0; 6.0; 7.0 ]
          }
          test "null and None insert a dimension of one" {
              let line = counting [ 2L ]
              line[newAxis, all] |> holds [ 1L; 2L ] [ 0.0; 1.0 ]
              line[all, TensorIndex.None] |> holds [ 2L; 1L ] [ 0.0; 1.0 ]
          }
          test "a mask takes the elements where it is true" {
              let grid = counting [ 2L; 3L ]
              grid[TensorIndex.Tensor(grid.gt (scalar 2.5))] |> holds [ 3L ] [ 3.0; 4.0; 5.0 ]

              grid[TensorIndex.Tensor(truths [ false; true ])]
              |> holds [ 1L; 3L ] [ 3.0; 4.0; 5.0 ]
          }
          test "a tensor of indices gathers, in its own shape" {
              let line = counting [ 4L ] * 10.0
              let where = torch.tensor (array2D [ [ 3L; 0L ]; [ 1L; 1L ] ])
              line[TensorIndex.Tensor where] |> holds [ 2L; 2L ] [ 30.0; 0.0; 10.0; 10.0 ]
          }
          test "two tensors of indices go together, element by element" {
              counting([ 2L; 3L ])[TensorIndex.Tensor(wholes [ 0L; 1L ]),
                                   TensorIndex.Tensor(wholes [ 2L; 0L ])]
              |> holds [ 2L ] [ 2.0; 3.0 ]
          } ]

let private views =
    testList
        "views"
        [ test "numbers and ranges share memory with the tensor" {
              let grid = counting [ 2L; 2L ]
              grid[0L].fill_(scalar 9.0) |> ignore
              grid[all, range 1L 2L].zero_() |> ignore
              grid |> holds [ 2L; 2L ] [ 9.0; 0.0; 2.0; 0.0 ]
          }
          test "masks and tensors of indices copy" {
              let line = counting [ 2L ]
              line[TensorIndex.Tensor(wholes [ 0L ])].fill_(scalar 9.0) |> ignore
              line |> holds [ 2L ] [ 0.0; 1.0 ]
          } ]

let private writing =
    testList
        "write"
        [ test "a row, an element, a range" {
              let grid = counting [ 2L; 2L ]
              grid[0L] <- vector [ 5.0; 6.0 ]
              grid[1L, 1L] <- torch.tensor 7.0f
              grid |> holds [ 2L; 2L ] [ 5.0; 6.0; 2.0; 7.0 ]
              grid[all, range 0L 1L] <- matrix [ [ 0.0 ]; [ 1.0 ] ]
              grid |> holds [ 2L; 2L ] [ 0.0; 6.0; 1.0; 7.0 ]
          }
          test "broadcasts what is written" {
              let grid = torch.zeros (2L, 3L)
              grid[all, range 1L 3L] <- torch.tensor 4.0f
              grid |> holds [ 2L; 3L ] [ 0.0; 4.0; 4.0; 0.0; 4.0; 4.0 ]
          }
          test "through the ellipsis" {
              let cube = torch.zeros (2L, 1L, 2L)
              cube[etc, at 1L] <- vector [ 3.0 ]
              cube |> holds [ 2L; 1L; 2L ] [ 0.0; 3.0; 0.0; 3.0 ]
          }
          test "where a mask is true" {
              let line = counting [ 4L ]
              line[TensorIndex.Tensor(line.gt (scalar 1.5))] <- torch.tensor 0.0f
              line |> holds [ 4L ] [ 0.0; 1.0; 0.0; 0.0 ]
          }
          test "at a tensor of indices, once or accumulating" {
              let line = torch.zeros 3L
              line[TensorIndex.Tensor(wholes [ 2L; 0L ])] <- vector [ 5.0; 6.0 ]
              line |> holds [ 3L ] [ 6.0; 0.0; 5.0 ]

              line.index_put_ (
                  vector [ 1.0; 1.0 ],
                  [| TensorIndex.Tensor(wholes [ 1L; 1L ]) |],
                  accumulate = true
              )
              |> holds [ 3L ] [ 6.0; 2.0; 5.0 ]
          } ]

let private byName =
    testList
        "by name"
        [ test "select, narrow and slice are views" {
              let grid = counting [ 2L; 3L ]
              grid.select (1L, 2L) |> holds [ 2L ] [ 2.0; 5.0 ]
              grid.narrow (1L, 1L, 2L) |> holds [ 2L; 2L ] [ 1.0; 2.0; 4.0; 5.0 ]
              grid.slice (1L, 0L, 3L, 2L) |> holds [ 2L; 2L ] [ 0.0; 2.0; 3.0; 5.0 ]
          }
          test "index_select and gather follow tensors of indices" {
              let grid = counting [ 2L; 3L ]

              grid.index_select (1L, wholes [ 2L; 0L ])
              |> holds [ 2L; 2L ] [ 2.0; 0.0; 5.0; 3.0 ]

              grid.gather (1L, torch.tensor (array2D [ [ 2L ]; [ 0L ] ]))
              |> holds [ 2L; 1L ] [ 2.0; 3.0 ]
          }
          test "scatter_ and scatter_add_ are their inverse" {
              let target = torch.zeros (1L, 3L)
              let where = torch.tensor (array2D [ [ 2L; 2L ] ])
              target.scatter_ (1L, where[all, range 0L 1L], matrix [ [ 5.0 ] ]) |> ignore
              target.scatter_add_ (1L, where, matrix [ [ 1.0; 2.0 ] ]) |> ignore
              target |> holds [ 1L; 3L ] [ 0.0; 0.0; 8.0 ]
          }
          test "nonzero lists where a tensor is not zero" {
              matrix([ [ 0.0; 1.0 ]; [ 2.0; 0.0 ] ]).nonzero()
              |> holds [ 2L; 2L ] [ 0.0; 1.0; 1.0; 0.0 ]
          } ]

let private mistakes =
    testList
        "mistakes"
        [ test "a number out of range says itself, shape and dimension" {
              (fun () -> ignore (counting([ 2L; 3L ])[5L]))
              |> throwsWith<ExternalException>(
                  says "index 5 out of range for tensor of size [2, 3] at dimension 0"
              )
          }
          test "among other indices it says the dimension's size" {
              (fun () -> ignore (counting([ 2L; 3L ])[all, at 5L]))
              |> throwsWith<ExternalException>(says "index 5 is out of bounds for dimension 1 with size 3")
          }
          test "too many indices" {
              (fun () -> ignore (counting([ 2L ])[all, all]))
              |> throwsWith<ExternalException>(says "too many indices for tensor of dimension 1")
          }
          test "a tensor of indices out of range" {
              (fun () -> ignore (counting([ 2L ])[TensorIndex.Tensor(wholes [ 7L ])]))
              |> throwsWith<ExternalException>(says "out of bounds")
          } ]

let tests = testList "indexing" [ reading; views; writing; byName; mistakes ]
