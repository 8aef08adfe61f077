/// How numbers leave tensors: single items, typed views of the memory, raw bytes, and the two half precisions.
module LocalAttention.Tests.Numbers

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private items =
    testList
        "items"
        [ test "item reads one element as its own type" {
              Expect.equal (torch.tensor(1.5f).item<float32>()) 1.5f "single"
              Expect.equal (torch.tensor([| 7L |]).item<int64>()) 7L "long"
              Expect.isTrue (torch.tensor(true).item<bool>()) "bool"
          }
          test "item refuses another type than the tensor's own" {
              (fun () -> torch.tensor(1.5f).item<float>() |> ignore)
              |> throwsWith<ArgumentException>(says "Double is not compatible with Float32")
          }
          test "item refuses more than one element" {
              (fun () -> torch.zeros(2L).item<float32>() |> ignore)
              |> throwsWith<ArgumentException>(says "Number of elements in the tensor must be 1")
          }
          test "the To conversions read one element of any dtype" {
              Expect.equal (torch.tensor(2L).ToDouble()) 2.0 "long as double"
              Expect.equal (torch.tensor(2.5f).ToSingle()) 2.5f "single"
              Expect.equal (torch.tensor(2.75).ToInt64()) 2L "double as long"
              Expect.equal (torch.tensor(2.75).ToInt32()) 2 "double as int"
              Expect.isTrue (torch.tensor(2L).ToBoolean()) "long as bool"
          }
          test "an explicit conversion is the same" {
              Expect.equal (float32 (torch.tensor 2.5f)) 2.5f "single"
              Expect.equal (int64 (torch.tensor 2.5f)) 2L "long"
          } ]

let private accessors =
    testList
        "data"
        [ test "reads in row-major order" {
              Expect.equal
                  (counting([ 2L; 3L ]).data<float32>().ToArray())
                  [| 0f; 1f; 2f; 3f; 4f; 5f |]
                  "order"
          }
          test "of a transposed view follows the view's indices, not the memory" {
              let turned = counting([ 2L; 3L ]).t()
              Expect.equal (turned.data<float32>().ToArray()) [| 0f; 3f; 1f; 4f; 2f; 5f |] "array"
              Expect.equal (List.ofSeq (turned.data<float32>())) [ 0f; 3f; 1f; 4f; 2f; 5f ] "sequence"
          }
          test "of a slice with a step follows the slice" {
              let odd = counting([ 6L ])[TensorIndex.Slice(1L, step = 2L)]
              Expect.equal (odd.data<float32>().ToArray()) [| 1f; 3f; 5f |] "array"
          }
          test "writes through to the tensor" {
              let numbers = vector [ 1.0; 2.0; 3.0 ]
              let data = numbers.data<float32>()
              data[1L] <- 9.0f
              numbers |> holds [ 3L ] [ 1.0; 9.0; 3.0 ]
              data.CopyFrom [| 7f; 8f |]
              numbers |> holds [ 3L ] [ 7.0; 8.0; 3.0 ]
          }
          test "counts elements, and reads by one index per dimension" {
              let data = counting([ 2L; 3L ]).data<float32>()
              Expect.equal data.Count 6L "count"
              Expect.equal (data[1L, 2L]) 5f "element"
          }
          test "copies out, from a position on" {
              let target = Array.zeroCreate<float32> 4
              counting([ 6L ]).data<float32>().CopyTo(target, 1, 3L)
              Expect.equal target [| 0f; 3f; 4f; 5f |] "copied"
          }
          test "refuses another type than the tensor's own" {
              (fun () -> torch.zeros(2L).data<int64>() |> ignore)
              |> throwsWith<ArgumentException>(says "Int64 is not compatible with Float32")
          }
          test "reads a single element past the end as an error" {
              (fun () -> torch.zeros(2L).data<float32>() |> fun data -> ignore data[2L])
              |> throwsWith<IndexOutOfRangeException> ignore
          } ]

let private rawBytes =
    testList
        "bytes"
        [ test "are the memory, little endian" {
              Expect.equal (torch.tensor([| 1.0f |]).bytes.ToArray()) (BitConverter.GetBytes 1.0f) "one"
              Expect.equal (torch.zeros(3L, dtype = Nullable torch.int64).bytes.Length) 24 "length"
          }
          test "can be written" {
              let target = torch.zeros 2L

              target.bytes <-
                  Span<byte>(Array.append (BitConverter.GetBytes 1.5f) (BitConverter.GetBytes -2.0f))

              target |> holds [ 2L ] [ 1.5; -2.0 ]
          }
          test "refuse another length" {
              (fun () -> torch.zeros(2L).bytes <- Span<byte>(Array.zeroCreate 7))
              |> throwsWith<ArgumentException>(says "Mismatched data sizes")
          }
          test "refuse a tensor that is not contiguous" {
              (fun () -> ignore (counting([ 2L; 3L ]).t().bytes.Length))
              |> throwsWith<InvalidOperationException>(says "non-contiguous")
          } ]

/// Powers of two and small sums of them, which both half precisions hold exactly.
let private exact = [ 0.0; 1.0; -2.5; 0.125; 240.0; -0.0625 ]

let private halves =
    testList
        "half precisions"
        [ test "float16 holds what it can hold exactly" {
              let there = (vector exact).half()
              Expect.equal there.dtype torch.float16 "dtype"
              Expect.equal (elements (there.float ())) exact "back"
              Expect.equal (there.data<Half>().ToArray() |> Array.map float |> List.ofArray) exact "as Half"
          }
          test "bfloat16 holds what it can hold exactly" {
              let there = (vector exact).bfloat16()
              Expect.equal there.dtype torch.bfloat16 "dtype"
              Expect.equal (elements (there.float ())) exact "back"
          }
          test "float16 keeps eleven bits and rounds to even; bfloat16 keeps eight" {
              // 2049 lies halfway between 2048 and 2050; 257 between 256 and 258.
              Expect.equal
                  (elements ((vector [ 2049.0; 2051.0 ]).half().float()))
                  [ 2048.0; 2052.0 ]
                  "float16"

              Expect.equal
                  (elements ((vector [ 257.0; 259.0 ]).bfloat16().float()))
                  [ 256.0; 260.0 ]
                  "bfloat16"
          }
          test "float16 overflows past 65504, bfloat16 does not" {
              Expect.equal
                  (elements ((vector [ 65504.0; 70000.0 ]).half().float()))
                  [ 65504.0; infinity ]
                  "float16"

              Expect.isTrue ((vector [ 1e30 ]).bfloat16().isfinite().item<bool>()) "bfloat16"
          }
          test "arithmetic in bfloat16 stays in bfloat16" {
              let sum = (vector [ 1.0 ]).bfloat16() + (vector [ 2.0 ]).bfloat16()
              Expect.equal (sum.dtype, elements (sum.float ())) (torch.bfloat16, [ 3.0 ]) "sum"
          }
          test "the .NET value BFloat16 agrees with the tensor's" {
              let value = BFloat16 3.14f
              Expect.equal (value.ToSingle()) 3.140625f "rounded"
              Expect.equal (torch.tensor(3.14f).bfloat16().ToSingle()) 3.140625f "tensor"
              Expect.equal (torch.tensor([| value |]).dtype) torch.bfloat16 "from an array"
          } ]

let tests = testList "numbers" [ items; accessors; rawBytes; halves ]
