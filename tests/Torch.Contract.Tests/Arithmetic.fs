/// Operators with tensors and numbers on both sides, broadcasting, comparison, and the in-place family.
module LocalAttention.Tests.Arithmetic

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private operators =
    testList
        "operators"
        [ test "of two tensors" {
              let a, b = vector [ 6.0; 8.0 ], vector [ 2.0; 5.0 ]
              a + b |> holds [ 2L ] [ 8.0; 13.0 ]
              a - b |> holds [ 2L ] [ 4.0; 3.0 ]
              a * b |> holds [ 2L ] [ 12.0; 40.0 ]
              a / b |> holdsNearly 1 [ 2L ] [ 3.0; 1.6 ]
              a % b |> holds [ 2L ] [ 0.0; 3.0 ]
              -a |> holds [ 2L ] [ -6.0; -8.0 ]
          }
          test "with a number on either side" {
              let a = vector [ 2.0; 4.0 ]
              a + 1.0 |> holds [ 2L ] [ 3.0; 5.0 ]
              1.0f + a |> holds [ 2L ] [ 3.0; 5.0 ]
              a - 1 |> holds [ 2L ] [ 1.0; 3.0 ]
              10.0 - a |> holds [ 2L ] [ 8.0; 6.0 ]
              3L * a |> holds [ 2L ] [ 6.0; 12.0 ]
              a / 2.0f |> holds [ 2L ] [ 1.0; 2.0 ]
              8.0 / a |> holds [ 2L ] [ 4.0; 2.0 ]
              a % 3 |> holds [ 2L ] [ 2.0; 1.0 ]
          }
          test "of bits" {
              let a, b = wholes [ 6L; 1L ], wholes [ 3L; 1L ]
              Tensor.op_BitwiseAnd (a, b) |> holds [ 2L ] [ 2.0; 1.0 ]
              Tensor.op_BitwiseOr (a, b) |> holds [ 2L ] [ 7.0; 1.0 ]
              Tensor.op_ExclusiveOr (a, b) |> holds [ 2L ] [ 5.0; 0.0 ]
              Tensor.op_OnesComplement (truths [ true; false ]) |> holds [ 2L ] [ 0.0; 1.0 ]
          }
          test "that compare give tensors of bool" {
              let a, b = vector [ 1.0; 2.0; 3.0 ], vector [ 3.0; 2.0; 1.0 ]
              Tensor.op_LessThan (a, b) |> holds [ 3L ] [ 1.0; 0.0; 0.0 ]
              Tensor.op_GreaterThanOrEqual (a, b) |> holds [ 3L ] [ 0.0; 1.0; 1.0 ]
              Tensor.op_Equality (a, b) |> holds [ 3L ] [ 0.0; 1.0; 0.0 ]
              Tensor.op_Inequality (a, scalar 2.0) |> holds [ 3L ] [ 1.0; 0.0; 1.0 ]
              Expect.equal (Tensor.op_LessThan(a, b).dtype) torch.bool "dtype"
          } ]

let private functions =
    testList
        "functions"
        [ test "comparisons by name" {
              let a = vector [ 1.0; 2.0; 3.0 ]
              let two = scalar 2.0

              [ a.eq two; a.ne two; a.lt two; a.le two; a.gt two; a.ge two ]
              |> List.map elements
              |> fun found ->
                  Expect.equal
                      found
                      [ [ 0.0; 1.0; 0.0 ]
                        [ 1.0; 0.0; 1.0 ]
                        [ 1.0; 0.0; 0.0 ]
                        [ 1.0; 1.0; 0.0 ]
                        [ 0.0; 0.0; 1.0 ]
                        [ 0.0; 1.0; 1.0 ] ]
                      "comparisons"
          }
          test "Equals compares all, allclose within a tolerance" {
              let a = vector [ 1.0; 2.0 ]
              Expect.isTrue (a.Equals(vector [ 1.0; 2.0 ])) "equal"
              Expect.isFalse (a.Equals(vector [ 1.0; 3.0 ])) "different"
              Expect.isTrue (a.allclose (a + 1e-6)) "near"
              Expect.isFalse (a.allclose (a + 1e-3)) "far"
          }
          test "where chooses between two, masked_fill overwrites" {
              let mask, a, b = truths [ true; false ], vector [ 1.0; 2.0 ], vector [ 3.0; 4.0 ]
              torch.where (mask, a, b) |> holds [ 2L ] [ 1.0; 4.0 ]
              a.masked_fill (mask, scalar -infinity) |> holds [ 2L ] [ -infinity; 2.0 ]
          }
          test "clamp takes one bound or both" {
              let a = vector [ -1.0; 0.5; 2.0 ]
              a.clamp (scalar 0.0, scalar 1.0) |> holds [ 3L ] [ 0.0; 0.5; 1.0 ]
              a.clamp (min = scalar 0.0) |> holds [ 3L ] [ 0.0; 0.5; 2.0 ]
          }
          test "powers, roots and the exponential family" {
              vector([ 3.0 ]).pow(scalar 2.0) |> holds [ 1L ] [ 9.0 ]
              vector([ 9.0 ]).sqrt() |> holds [ 1L ] [ 3.0 ]
              vector([ 4.0 ]).rsqrt() |> holds [ 1L ] [ 0.5 ]
              vector([ 3.0 ]).square() |> holds [ 1L ] [ 9.0 ]
              vector([ 1.0 ]).exp() |> holdsNearly 1 [ 1L ] [ Math.E ]
              vector([ Math.E ]).log() |> holdsNearly 2 [ 1L ] [ 1.0 ]
              vector([ -3.0 ]).abs() |> holds [ 1L ] [ 3.0 ]
              vector([ 0.5 ]).tanh() |> holdsNearly 2 [ 1L ] [ tanh 0.5 ]
              vector([ 0.5 ]).erf() |> holdsNearly 2 [ 1L ] [ 0.5204998778130465 ]
          }
          test "maximum and minimum of two tensors; rounding" {
              let a, b = vector [ 1.0; 4.0 ], vector [ 3.0; 2.0 ]
              torch.maximum (a, b) |> holds [ 2L ] [ 3.0; 4.0 ]
              torch.minimum (a, b) |> holds [ 2L ] [ 1.0; 2.0 ]
              vector([ 1.5; 2.5; -1.5 ]).round() |> holds [ 3L ] [ 2.0; 2.0; -2.0 ]
              vector([ -1.5 ]).floor() |> holds [ 1L ] [ -2.0 ]
          }
          test "not a number and infinities are found" {
              let odd = vector [ nan; infinity; 1.0 ]
              odd.isnan () |> holds [ 3L ] [ 1.0; 0.0; 0.0 ]
              odd.isfinite () |> holds [ 3L ] [ 0.0; 0.0; 1.0 ]
          } ]

let private broadcasting =
    testList
        "broadcasting"
        [ test "aligns shapes from the right and stretches ones" {
              let column, row = matrix [ [ 1.0 ]; [ 2.0 ] ], vector [ 10.0; 20.0; 30.0 ]
              column + row |> holds [ 2L; 3L ] [ 11.0; 21.0; 31.0; 12.0; 22.0; 32.0 ]
          }
          test "a tensor without dimensions goes with everything" {
              torch.tensor 2.0f * vector [ 1.0; 2.0 ] |> holds [ 2L ] [ 2.0; 4.0 ]
          }
          test "expand repeats without copying" {
              let row = torch.zeros (1L, 3L)
              let wide = row.expand (2L, 3L)
              row.add_ (scalar 1.0) |> ignore
              wide |> holds [ 2L; 3L ] (List.replicate 6 1.0)
              Expect.equal (wide.stride 0) 0L "stride of the repeated dimension"
          } ]

let private inPlace =
    testList
        "in place"
        [ test "a name that ends in _ changes its receiver and returns it" {
              let a = vector [ 1.0; 2.0 ]

              let results =
                  [ a.add_ (scalar 1.0)
                    a.mul_ (vector [ 2.0; 3.0 ])
                    a.sub_ (scalar 1.0)
                    a.div_ (scalar 2.0)
                    a.clamp_ (min = scalar 2.0)
                    a.copy_ (vector [ 5.0; 6.0 ])
                    a.masked_fill_ (truths [ true; false ], scalar 7.0) ]

              a |> holds [ 2L ] [ 7.0; 6.0 ]

              for result in results do
                  Expect.isTrue (Object.ReferenceEquals(result, a)) "the receiver itself"
          }
          test "add_ has a factor" {
              let a = vector [ 1.0; 2.0 ]
              a.add_ (vector [ 10.0; 20.0 ], scalar 0.5) |> ignore
              a |> holds [ 2L ] [ 6.0; 12.0 ]
          }
          test "zero_ and fill_" {
              let a = vector [ 1.0; 2.0 ]
              a.fill_ (scalar 3.0) |> holds [ 2L ] [ 3.0; 3.0 ]
              a.zero_ () |> holds [ 2L ] [ 0.0; 0.0 ]
          }
          test "clone and detach().clone() are their own memory, detach and alias are not" {
              let a = vector [ 1.0 ]
              let copy, shared, alias = a.clone (), a.detach (), a.alias ()
              a.fill_ (scalar 5.0) |> ignore
              copy |> holds [ 1L ] [ 1.0 ]
              shared |> holds [ 1L ] [ 5.0 ]
              alias |> holds [ 1L ] [ 5.0 ]
          } ]

let tests = testList "arithmetic" [ operators; functions; broadcasting; inPlace ]
