/// bfloat16 in memory: rounding and widening as the tensor library has them.
module LocalAttention.Kernels.Tests.HalfPrecision

#nowarn "9" // Storage is read and written through pointers.

open System
open Expecto
open LocalAttention.Core.Kernels
open TorchSharp

/// Ties to even and to odd, numbers beside them, what overflows, denormals, zeros, infinities, NaN with its bits high and low.
let private bits =
    [| for sign in [ 0u; 0x80000000u ] do
           for upper in [ 0u; 1u; 0x0080u; 0x3F80u; 0x3F81u; 0x7F7Fu; 0x7F80u; 0x7FC0u ] do
               for lower in [ 0u; 1u; 0x7FFFu; 0x8000u; 0x8001u; 0xFFFFu ] ->
                   sign ||| (upper <<< 16) ||| lower |]

let private floats = bits |> Array.map BitConverter.UInt32BitsToSingle

let private written (values: float32 array) =
    let target = Array.zeroCreate<uint16> values.Length
    use source = fixed values
    use pointer = fixed target
    BFloat16Storage.Write(source, pointer, values.LongLength)
    target

let private read (values: uint16 array) =
    let target = Array.zeroCreate<float32> values.Length
    use source = fixed values
    use pointer = fixed target
    BFloat16Storage.Read(source, pointer, values.LongLength)
    target

let private rounded (values: float32 array) =
    use tensor = torch.tensor values
    tensor.``to``(torch.ScalarType.BFloat16).``to``(torch.ScalarType.Float32).data<float32>().ToArray()

let private same (left: float32) (right: float32) =
    Single.IsNaN left && Single.IsNaN right
    || BitConverter.SingleToInt32Bits left = BitConverter.SingleToInt32Bits right

/// The tests of this file.
let tests =
    testList
        "bfloat16"
        [ testCase "rounds as the tensor library does, in vectors and one by one"
          <| fun () ->
              let expected = rounded floats
              // Slices of every length: whole vectors, and what is left of one.
              for start in 0 .. floats.Length - 1 do
                  for length in [ 1; 15; 16; 17; 40 ] do
                      if start + length <= floats.Length then
                          let actual = read (written floats[start .. start + length - 1])

                          for index in 0 .. length - 1 do
                              if not (same actual[index] expected[start + index]) then
                                  failtest
                                      $"{floats[start + index]:R} became {actual[index]:R}, not {expected[start + index]:R}" ]
