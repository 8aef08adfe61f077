/// The texts that people see when they print a tensor.
module LocalAttention.Tests.Printing

open System
open System.Globalization
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private newLine = "\n"

let private julia (tensor: Tensor) =
    tensor.ToString(TensorStringStyle.Julia, cultureInfo = CultureInfo.InvariantCulture, newLine = newLine)

let private numpy (tensor: Tensor) =
    tensor.ToString(TensorStringStyle.Numpy, cultureInfo = CultureInfo.InvariantCulture, newLine = newLine)

let private csharp (tensor: Tensor) =
    tensor.ToString(TensorStringStyle.CSharp, cultureInfo = CultureInfo.InvariantCulture, newLine = newLine)

let private rows = matrix [ [ 0.0; 3.141; -13.25 ]; [ 6.28e-6; 0.01; 4713.14 ] ]

let tests =
    testList
        "printing"
        [ test "without a style it says shape, dtype and device" {
              Expect.equal (torch.zeros(2L, 2L).ToString()) "[2x2], type = Float32, device = cpu" "matrix"
              Expect.equal (torch.tensor(3L).ToString()) "[], type = Int64, device = cpu" "number"

              Expect.equal
                  (torch.zeros(3L, dtype = Nullable torch.bool).ToString())
                  "[3], type = Bool, device = cpu"
                  "bool"
          }
          test "Julia's style, a number" {
              Expect.equal
                  (julia (torch.tensor 3.14f))
                  "[], type = Float32, device = cpu, value = 3.14"
                  "number"
          }
          test "Julia's style, a vector" {
              Expect.equal (julia (torch.zeros 4L)) "[4], type = Float32, device = cpu\n 0 0 0 0\n" "vector"

              Expect.equal
                  (julia (truths [ true; false ]))
                  "[2], type = Bool, device = cpu\n True False\n"
                  "bool"
          }
          test "Julia's style, a matrix: columns aligned, five digits" {
              Expect.equal
                  (julia rows)
                  "[2x3], type = Float32, device = cpu\n        0 3.141 -13.25\n 6.28e-06  0.01 4713.1\n"
                  "matrix"
          }
          test "Julia's style, three dimensions: one matrix after the other" {
              Expect.equal
                  (julia (counting [ 2L; 1L; 2L ]))
                  "[2x1x2], type = Float32, device = cpu\n[0,..,..] =\n 0 1\n\n[1,..,..] =\n 2 3\n"
                  "matrices"
          }
          test "NumPy's style" {
              Expect.equal (numpy (torch.zeros 4L)) "[0, 0, 0, 0]" "vector"
              Expect.equal (numpy (counting [ 2L; 2L ])) "[[0, 1]\n [2, 3]]" "matrix"
          }
          test "C#'s style" {
              Expect.equal
                  (csharp (torch.zeros 4L))
                  "[4], type = Float32, device = cpu, value = float [] {0f, 0f, 0f, 0f}"
                  "vector"

              Expect.equal
                  (csharp (torch.ones (100L, dtype = Nullable torch.int32)))
                  "[100], type = Int32, device = cpu, value = int [] {1, 1, 1, ... 1, 1, 1}"
                  "long vector"
          }
          test "the short names str, jlstr, npstr and cstr" {
              let one = vector [ 1.0 ]
              let invariant = CultureInfo.InvariantCulture
              Expect.equal (one.str (cultureInfo = invariant, newLine = newLine)) (julia one) "str"
              Expect.equal (one.jlstr (cultureInfo = invariant, newLine = newLine)) (julia one) "jlstr"
              Expect.equal (one.npstr (cultureInfo = invariant, newLine = newLine)) "[1]" "npstr"
              Expect.stringContains (one.cstr (cultureInfo = invariant, newLine = newLine)) "{1f}" "cstr"
          }
          test "a format for the numbers" {
              Expect.stringContains
                  (rows.str ("0.00", cultureInfo = CultureInfo.InvariantCulture))
                  "4713.14"
                  "two digits"
          } ]
