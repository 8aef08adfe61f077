/// Tensors from shapes, numbers and arrays; element types and what becomes what by itself.
module LocalAttention.Tests.Creation

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private fromShapes =
    testList
        "from shapes"
        [ test "zeros, ones and full have single precision unless told otherwise" {
              torch.zeros (2L, 3L) |> holds [ 2L; 3L ] (List.replicate 6 0.0)
              torch.ones 3L |> holds [ 3L ] [ 1.0; 1.0; 1.0 ]
              torch.full (1L, 2L, scalar 2.5) |> holds [ 1L; 2L ] [ 2.5; 2.5 ]
              Expect.equal (torch.zeros(2L, 3L).dtype) torch.float32 "zeros"
              Expect.equal (torch.zeros([| 2L |], dtype = Nullable torch.int64).dtype) torch.int64 "asked"
          }
          test "a shape may be empty: one element, no dimensions" {
              let one = torch.zeros Array.empty<int64>
              Expect.equal (one.Dimensions, one.NumberOfElements) (0L, 1L) "dimensions and elements"
          }
          test "arange counts whole numbers in int64, others in single precision" {
              let five = torch.arange (whole 5L)
              five |> holds [ 5L ] [ 0.0; 1.0; 2.0; 3.0; 4.0 ]
              Expect.equal five.dtype torch.int64 "whole"
              let halves = torch.arange (scalar 0.0, scalar 1.0, scalar 0.25)
              halves |> holds [ 4L ] [ 0.0; 0.25; 0.5; 0.75 ]
              Expect.equal halves.dtype torch.float32 "fractions"
          }
          test "linspace holds both ends" {
              torch.linspace (0.0, 1.0, 5L) |> holds [ 5L ] [ 0.0; 0.25; 0.5; 0.75; 1.0 ]
          }
          test "eye has ones on its diagonal" {
              torch.eye (2L, 3L) |> holds [ 2L; 3L ] [ 1.0; 0.0; 0.0; 0.0; 1.0; 0.0 ]
          }
          test "the _like family takes shape and dtype of its argument, or the dtype it is told" {
              let like = torch.zeros ([| 2L; 2L |], dtype = Nullable torch.float64)

              Expect.equal
                  (torch.ones_like(like).dtype, shape (torch.ones_like like))
                  (torch.float64, [ 2L; 2L ])
                  "ones"

              Expect.equal (torch.zeros_like(like, dtype = Nullable torch.int32).dtype) torch.int32 "zeros"
              Expect.equal (torch.empty_like(like).dtype) torch.float64 "empty"
              torch.full_like (like, scalar 3.0) |> holds [ 2L; 2L ] [ 3.0; 3.0; 3.0; 3.0 ]
              Expect.equal (torch.randn_like(like).dtype) torch.float64 "randn"
          }
          test "new_ makes tensors of its receiver's kind" {
              let kind = torch.zeros (1L, dtype = Nullable torch.float64)
              Expect.equal (kind.new_zeros(2L, 2L).dtype) torch.float64 "dtype"
          }
          test "requires_grad can be asked for at birth" {
              Expect.isTrue (torch.zeros(2L, requires_grad = true).requires_grad) "asked"
              Expect.isFalse (torch.zeros(2L).requires_grad) "by default"
          } ]

let private fromNumbers =
    testList
        "from numbers and arrays"
        [ test "a number's type decides the dtype" {
              Expect.equal (torch.tensor(1.5).dtype) torch.float64 "double"
              Expect.equal (torch.tensor(1.5f).dtype) torch.float32 "single"
              Expect.equal (torch.tensor(1L).dtype) torch.int64 "long"
              Expect.equal (torch.tensor(1).dtype) torch.int32 "int"
              Expect.equal (torch.tensor(true).dtype) torch.bool "bool"
          }
          test "an array's type decides the dtype, its rank the shape" {
              Expect.equal (torch.tensor([| 1.0; 2.0 |]).dtype) torch.float64 "double"
              Expect.equal (torch.tensor([| 1L; 2L |]).dtype) torch.int64 "long"
              Expect.equal (torch.tensor([| 1uy; 2uy |]).dtype) torch.uint8 "byte"
              Expect.equal (torch.tensor([| true |]).dtype) torch.bool "bool"
              matrix [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ] |> holds [ 2L; 2L ] [ 1.0; 2.0; 3.0; 4.0 ]

              torch.tensor (Array3D.init 2 1 2 (fun i _ k -> float32 (2 * i + k)))
              |> holds [ 2L; 1L; 2L ] [ 0.0; 1.0; 2.0; 3.0 ]
          }
          test "dimensions can follow a flat array" {
              torch.tensor ([| 1.0f; 2.0f; 3.0f; 4.0f |], 2L, 2L)
              |> holds [ 2L; 2L ] [ 1.0; 2.0; 3.0; 4.0 ]
          }
          test "tensor copies the array" {
              let source = [| 1.0f; 2.0f |]
              let copy = torch.tensor source
              source[0] <- 9.0f
              copy |> holds [ 2L ] [ 1.0; 2.0 ]
          }
          test "frombuffer shares the array" {
              let source = [| 1.0f; 2.0f; 3.0f |]
              let shared = torch.frombuffer (source, torch.float32, count = 2L, offset = 1L)
              source[1] <- 9.0f
              shared |> holds [ 2L ] [ 9.0; 3.0 ]
          }
          test "a dtype beside the array converts it" {
              let halves = torch.tensor ([| 1.5f; 2.5f |], dtype = Nullable torch.float64)
              Expect.equal (halves.dtype, elements halves) (torch.float64, [ 1.5; 2.5 ]) "converted"
          }
          test "from_array takes arrays of any rank" {
              torch.from_array (Array2D.init 2 2 (fun i j -> float32 (i + j)))
              |> holds [ 2L; 2L ] [ 0.0; 1.0; 1.0; 2.0 ]
          } ]

let private elementTypes =
    testList
        "element types"
        [ test "their sizes in bytes" {
              let size (dtype: torch.ScalarType) =
                  torch.zeros(1L, dtype = Nullable dtype).ElementSize

              [ torch.uint8
                torch.bool
                torch.float16
                torch.bfloat16
                torch.float32
                torch.int32
                torch.float64
                torch.int64 ]
              |> List.map size
              |> fun sizes -> Expect.equal sizes [ 1L; 1L; 2L; 2L; 4L; 4L; 8L; 8L ] "sizes"
          }
          test "to converts, and returns a tensor of the same kind untouched" {
              let numbers = vector [ 1.75; -1.75 ]
              numbers.``to`` (torch.int64) |> holds [ 2L ] [ 1.0; -1.0 ]
              numbers.bool () |> holds [ 2L ] [ 1.0; 1.0 ]
              numbers.``to``(torch.float32).add_(scalar 1.0) |> ignore
              numbers |> holds [ 2L ] [ 2.75; -0.75 ]
          }
          test "the short names convert too" {
              let numbers = vector [ 1.0 ]

              [ numbers.double ()
                numbers.float ()
                numbers.half ()
                numbers.long ()
                numbers.int ()
                numbers.bfloat16 () ]
              |> List.map _.dtype
              |> fun dtypes ->
                  Expect.equal
                      dtypes
                      [ torch.float64
                        torch.float32
                        torch.float16
                        torch.int64
                        torch.int32
                        torch.bfloat16 ]
                      "dtypes"
          }
          test "promotion keeps the larger kind, and a number of the same kind changes nothing" {
              let single, double = vector [ 1.0 ], torch.tensor [| 1.0 |]
              Expect.equal ((single + double).dtype) torch.float64 "single + double"
              Expect.equal ((wholes [ 1L ] + single).dtype) torch.float32 "long + single"
              Expect.equal ((single * 2.0).dtype) torch.float32 "single * number"
              Expect.equal ((wholes [ 1L ] * 2).dtype) torch.int64 "long * whole number"
              Expect.equal ((wholes [ 1L ] * 2.5).dtype) torch.float32 "long * fraction"
              Expect.equal ((wholes [ 3L ] / wholes [ 2L ]).dtype) torch.float32 "long / long"
              Expect.equal ((truths [ true ] + truths [ true ]).dtype) torch.bool "bool + bool"
              Expect.equal (torch.result_type (single, double)) torch.float64 "result_type"
          }
          test "numbers and arrays become tensors where one is expected" {
              let number: Tensor = Tensor.op_Implicit 2.5f
              number |> holds [] [ 2.5 ]
              let array: Tensor = Tensor.op_Implicit [| 1L; 2L |]
              array |> holds [ 2L ] [ 1.0; 2.0 ]
              torch.maximum (vector [ 1.0; 3.0 ], 2.0f) |> holds [ 2L ] [ 2.0; 3.0 ]
          }
          test "the default dtype can be changed, and back" {
              try
                  torch.set_default_dtype torch.float64
                  Expect.equal (torch.zeros(1L).dtype) torch.float64 "changed"
              finally
                  torch.set_default_dtype torch.float32

              Expect.equal
                  (torch.zeros(1L).dtype, torch.get_default_dtype ())
                  (torch.float32, torch.float32)
                  "back"
          }
          test "a device says its type and text" {
              let device = torch.device "cpu"
              Expect.equal (device.``type``, device.ToString()) (DeviceType.CPU, "cpu") "cpu"
              Expect.equal (torch.zeros(1L).device.``type``) DeviceType.CPU "of a tensor"
          } ]

let tests = testList "creation" [ fromShapes; fromNumbers; elementTypes ]
