/// The emulation itself: right kernels give right results, and each kind of error is found.
module LocalAttention.Cuda.Tests.EmulationTests

open System
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Cuda.Tests.EmulationExamples
open LocalAttention.Oracle
open TorchSharp

let private right =
    testList
        "right kernels"
        [ testCase "threads and blocks cover an array"
          <| fun () ->
              use x = counted 100
              use y = torch.empty_like x
              launch "doubled" (CudaGrid(4L, 1, 1, 32, 0)) [ read x; write y; CudaArgument.op_Implicit 100 ]
              Expect.sequenceEqual (floats y) (Array.init 100 (fun i -> 2.0f * float32 i)) "doubled"

          testCase "what is updated in part keeps the rest, and is updated once"
          <| fun () ->
              use x = counted 64
              launch "halved_in_part" (block 64 0) [ CudaArgument.Update x; CudaArgument.op_Implicit 5 ]

              let expected =
                  Array.init 64 (fun i -> if i < 5 then 0.5f * float32 i else float32 i)

              Expect.sequenceEqual (floats x) expected "halved"

          testCase "every block of a grid runs, and knows which it is"
          <| fun () ->
              use y = torch.zeros (3L * 4L * 2L * 32L, dtype = torch.ScalarType.Int32)
              launch "extents" (CudaGrid(3L, 4, 2, 32, 0)) [ write y; CudaArgument.op_Implicit 7L ]

              let expected =
                  [ for z in 0..1 do
                        for y in 0..3 do
                            for x in 0..2 do
                                for _ in 1..32 -> 1000 * z + 100 * y + 10 * x + 7 ]

              Expect.sequenceEqual (y.data<int>().ToArray()) expected "blocks"

          testCase "a barrier stands between a write and another thread's read"
          <| fun () ->
              use x = counted 96
              use y = torch.empty_like x

              for seed in 0L .. 4L do
                  device.Seed <- seed
                  launch "turned" (block 96 384) [ read x; write y ]
                  Expect.sequenceEqual (floats y) (Array.init 96 (fun i -> float32 ((i + 95) % 96))) "turned"

          testCase "within a warp, __syncwarp does"
          <| fun () ->
              use x = counted 64
              use y = torch.empty_like x
              launch "turned_in_warps" (block 64 256) [ read x; write y ]

              Expect.sequenceEqual
                  (floats y)
                  (Array.init 64 (fun i -> float32 (i / 32 * 32 + (i + 1) % 32 + 2)))
                  "turned"

          testCase "packs and single elements are one memory"
          <| fun () ->
              use x = counted 128
              use y = torch.empty_like x
              launch "in_packs" (block 32 528) [ read x; write y ]

              Expect.sequenceEqual
                  (floats y)
                  (Array.init 128 (fun i ->
                      match i % 4 with
                      | 1
                      | 2 -> float32 (i + 1)
                      | _ -> float32 i))
                  "packed"

          testCase "lanes exchange numbers"
          <| fun () ->
              let value lane = (lane * 7 + 3) % 32
              let x: torch.Tensor = torch.tensor (Array.init 32 value)
              use x = x
              use y = torch.empty (9L * 32L, dtype = torch.ScalarType.Int32)
              launch "shuffled" (block 32 0) [ read x; write y ]

              let bits =
                  List.sum [ for lane in 0..31 -> if value lane % 3 = 0 then 1u <<< lane else 0u ]

              let expected =
                  [ fun _ -> value 5
                    fun lane -> value (lane / 8 * 8 + (lane + 3) % 8)
                    fun lane -> value (lane ^^^ 6)
                    fun lane -> value (if lane % 16 < 3 then lane else lane - 3)
                    fun lane -> value (if lane % 16 > 12 then lane else lane + 3)
                    fun _ -> int bits
                    fun _ -> 3
                    fun lane -> List.sum [ for other in 0..3 -> value (lane / 4 * 4 + other) ]
                    fun _ -> 0 ]
                  |> List.collect (fun row -> List.map row [ 0..31 ])

              Expect.sequenceEqual (y.data<int>().ToArray()) expected "shuffled" ]

let private halves =
    testList
        "float16"
        [ testCase "every number widens as .NET has it"
          <| fun () ->
              let all = Array.init 65536 (fun bits -> BitConverter.UInt16BitsToHalf(uint16 bits))
              let x: torch.Tensor = torch.tensor all
              use x = x
              use y = torch.empty (65536L, dtype = torch.ScalarType.Float32)
              launch "widened" (CudaGrid(256L, 1, 1, 256, 0)) [ read x; write y ]
              let actual = floats y

              for bits in 0..65535 do
                  let expected = float32 all[bits]

                  if not (Single.IsNaN expected && Single.IsNaN actual[bits]) then
                      Expect.equal
                          (BitConverter.SingleToUInt32Bits actual[bits])
                          (BitConverter.SingleToUInt32Bits expected)
                          $"bits {bits:X4}"

          testCase "numbers, what is half way between two, and what is beside that, narrow as .NET has it"
          <| fun () ->
              // Of one sign: every number's midpoint to the next, the numbers beside it, the number itself and a random one.
              let random = Random 5

              // A NaN's payload could be the one that unwritten memory is filled with.
              let anyNumber () =
                  let number = BitConverter.UInt32BitsToSingle(uint32 (random.NextInt64 0x100000000L))
                  if Single.IsNaN number then 0.0f else number

              let values =
                  [| for bits in 0us .. 0x7C00us do
                         let number = float32 (BitConverter.UInt16BitsToHalf bits)

                         let next =
                             if bits >= 0x7BFFus then
                                 65536.0f
                             else
                                 float32 (BitConverter.UInt16BitsToHalf(bits + 1us))

                         let middle =
                             if Single.IsInfinity number then
                                 number
                             else
                                 number + (next - number) / 2.0f

                         number
                         middle
                         MathF.BitIncrement middle
                         -(MathF.BitDecrement middle)
                         -middle
                         anyNumber ()
                         -number
                         Single.NaN |]

              let padded = Array.append values (Array.zeroCreate (-values.Length &&& 255))
              use x = singles padded
              use y = torch.empty (int64 padded.Length, dtype = torch.ScalarType.Float16)
              launch "narrowed" (CudaGrid(int64 padded.Length / 256L, 1, 1, 256, 0)) [ read x; write y ]
              let actual = y.data<Half>().ToArray()

              for index in 0 .. padded.Length - 1 do
                  let expected = Half.op_Explicit padded[index]

                  if not (Half.IsNaN expected && Half.IsNaN actual[index]) then
                      Expect.equal
                          (BitConverter.HalfToUInt16Bits actual[index])
                          (BitConverter.HalfToUInt16Bits expected)
                          $"{padded[index]:R}" ]

/// Whole numbers, so that sums are exact.
let private products =
    testList
        "products on tensor cores"
        [ for elementType, name in
              [ torch.ScalarType.Float16, "multiplied_half"
                torch.ScalarType.BFloat16, "multiplied_bfloat16" ] do
              testCase $"{name} is the plain product"
              <| fun () ->
                  let whole name (shape: int array) =
                      let numbers =
                          Counter.numbers name (Array.reduce (*) shape)
                          |> Array.map (fun u -> round (u * 9.0))

                      let doubles: torch.Tensor =
                          torch.tensor (numbers, ReadOnlySpan(Array.map int64 shape))

                      doubles

                  use a = whole "a" [| 16; 16 |]
                  use b = whole "b" [| 16; 8 |]
                  use expected = (a.matmul b).add(torch.tensor 0.5)
                  use d = torch.empty (16L, 8L, dtype = torch.ScalarType.Float32)

                  launch
                      name
                      (block 32 0)
                      [ read (a.``to`` elementType); read (b.``to`` elementType); write d ]

                  Expect.sequenceEqual
                      (Array.map float (floats d))
                      (expected.data<float>().ToArray())
                      "product" ]

/// The tests of the emulation.
let tests =
    testList "emulation" [ right; halves; products; EmulationErrors.tests; EmulationLaunches.tests ]
