/// Sums and their relatives over all or some dimensions, softmax, order.
module LocalAttention.Tests.Reductions

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private grid () = counting [ 2L; 3L ]

let private sums =
    testList
        "sums and means"
        [ test "over everything, one dimension, several dimensions" {
              grid().sum() |> holds [] [ 15.0 ]
              grid().sum 0L |> holds [ 3L ] [ 3.0; 5.0; 7.0 ]
              grid().sum -1L |> holds [ 2L ] [ 3.0; 12.0 ]
              counting([ 2L; 2L; 2L ]).sum([| 0L; 2L |]) |> holds [ 2L ] [ 10.0; 18.0 ]
          }
          test "keepdim leaves a dimension of one" {
              grid().sum(1L, keepdim = true) |> holds [ 2L; 1L ] [ 3.0; 12.0 ]
              grid().mean([| 0L; 1L |], keepdim = true) |> holds [ 1L; 1L ] [ 2.5 ]
          }
          test "sums of whole numbers are int64, of bool counts" {
              Expect.equal (torch.ones(3L, dtype = Nullable torch.int32).sum().dtype) torch.int64 "int32"
              truths([ true; true; false ]).sum() |> holds [] [ 2.0 ]
          }
          test "a dtype to sum in" {
              let sum = grid().sum(``type`` = Nullable torch.float64)
              Expect.equal (sum.dtype, sum.ToDouble()) (torch.float64, 15.0) "sum"
          }
          test "mean, prod, cumsum" {
              grid().mean() |> holds [] [ 2.5 ]
              grid().mean([| 0L |]) |> holds [ 3L ] [ 1.5; 2.5; 3.5 ]
              vector([ 2.0; 3.0; 4.0 ]).prod() |> holds [] [ 24.0 ]
              grid().cumsum 1L |> holds [ 2L; 3L ] [ 0.0; 1.0; 3.0; 3.0; 7.0; 12.0 ]
          }
          test "var and std divide by n - 1, unless told otherwise" {
              let numbers = vector [ 1.0; 2.0; 3.0; 4.0 ]
              numbers.var () |> holdsNearly 4 [] [ 5.0 / 3.0 ]
              numbers.var (unbiased = false) |> holdsNearly 4 [] [ 1.25 ]
              numbers.std () |> holdsNearly 4 [] [ sqrt (5.0 / 3.0) ]

              grid().var(1L, unbiased = false, keepdim = true)
              |> holdsNearly 4 [ 2L; 1L ] [ 2.0 / 3.0; 2.0 / 3.0 ]
          }
          test "norm is Euclid's" { vector([ 3.0; 4.0 ]).norm() |> holdsNearly 2 [] [ 5.0 ] }
          test "all and any" {
              truths([ true; false ]).all() |> holds [] [ 0.0 ]
              truths([ true; false ]).any() |> holds [] [ 1.0 ]
              Expect.equal (truths([ true ]).all().dtype) torch.bool "dtype"
          } ]

let private order =
    testList
        "largest and smallest"
        [ test "max and min of everything" {
              grid().max() |> holds [] [ 5.0 ]
              grid().min() |> holds [] [ 0.0 ]
          }
          test "max along a dimension gives values and indices" {
              let struct (values, indices) = matrix([ [ 1.0; 7.0 ]; [ 5.0; 2.0 ] ]).max 1L
              values |> holds [ 2L ] [ 7.0; 5.0 ]
              indices |> holds [ 2L ] [ 1.0; 0.0 ]
              Expect.equal indices.dtype torch.int64 "indices"
          }
          test "amax and amin over several dimensions" {
              counting([ 2L; 2L; 2L ]).amax([| 0L; 2L |]) |> holds [ 2L ] [ 5.0; 7.0 ]

              counting([ 2L; 2L ]).amin([| 1L |], keepdim = true)
              |> holds [ 2L; 1L ] [ 0.0; 2.0 ]
          }
          test "argmax and argmin" {
              grid().argmax() |> holds [] [ 5.0 ]
              grid().argmax 0L |> holds [ 3L ] [ 1.0; 1.0; 1.0 ]
              grid().argmin(1L, keepdim = true) |> holds [ 2L; 1L ] [ 0.0; 0.0 ]
          }
          test "topk and sort, with their indices" {
              let numbers = vector [ 3.0; 9.0; 5.0 ]
              let struct (largest, where) = numbers.topk 2
              largest |> holds [ 2L ] [ 9.0; 5.0 ]
              where |> holds [ 2L ] [ 1.0; 2.0 ]
              let struct (sorted, order) = numbers.sort ()
              sorted |> holds [ 3L ] [ 3.0; 5.0; 9.0 ]
              order |> holds [ 3L ] [ 0.0; 2.0; 1.0 ]
          }
          test "unique's relatives: one_hot and bincount by comparison" {
              torch.nn.functional.one_hot (wholes [ 1L; 0L ], 3L)
              |> holds [ 2L; 3L ] [ 0.0; 1.0; 0.0; 1.0; 0.0; 0.0 ]
          } ]

let private softmax =
    testList
        "softmax"
        [ test "sums to one along its dimension, and is the exponentials' share" {
              let x = vector [ 0.0; Math.Log 2.0; Math.Log 5.0 ]
              x.softmax 0L |> holdsNearly 4 [ 3L ] [ 0.125; 0.25; 0.625 ]

              torch.nn.functional.softmax (x.unsqueeze 0L, 1L)
              |> holdsNearly 4 [ 1L; 3L ] [ 0.125; 0.25; 0.625 ]
          }
          test "does not overflow" { vector([ 1000.0; 1000.0 ]).softmax 0L |> holds [ 2L ] [ 0.5; 0.5 ] }
          test "leaves what is masked with -∞ at zero" {
              vector([ 1.0; -infinity; 1.0 ]).softmax 0L |> holds [ 3L ] [ 0.5; 0.0; 0.5 ]
          }
          test "log_softmax is its logarithm; logsumexp its normaliser" {
              let x = vector [ 0.0; Math.Log 3.0 ]
              x.log_softmax 0L |> holdsNearly 4 [ 2L ] [ Math.Log 0.25; Math.Log 0.75 ]
              x.logsumexp 0L |> holdsNearly 4 [] [ Math.Log 4.0 ]
          }
          test "a dtype to compute in" {
              Expect.equal (vector([ 1.0 ]).softmax(0L, Nullable torch.float64).dtype) torch.float64 "dtype"
          } ]

let tests = testList "reductions" [ sums; order; softmax ]
