/// Fewer bits: what rounding explains, and what it does not.
module LocalAttention.Verification.Tests.PrecisionTests

open System
open Expecto
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

let private through elementType (x: torch.Tensor) =
    x.``to``(elementType: torch.ScalarType).``to`` x.dtype

/// Whether numbers are of this type or smaller.
let private isSmall (x: torch.Tensor) = x.dtype <> torch.ScalarType.Float64

/// Shares of the exponentials of all channels.
let private shares subtracts (x: torch.Tensor) =
    let x = x * (8.0).ToScalar()

    let x =
        if subtracts then
            x - x.amax ([| -1L |], keepdim = true)
        else
            x

    let exponentials = x.exp ()
    exponentials / exponentials.sum (-1L, keepdim = true)

/// The tests of this file.
let tests =
    testList
        "precision"
        [ for name, layer in layers do
              testCase $"of {name} is what rounding explains"
              <| fun () ->
                  let figures = holds Precision.drift layer

                  Expect.isGreaterThan
                      figures["largest drift in bfloat16"]
                      figures["largest drift in float32"]
                      name
                  // Some hundred roundings of 6e-8; inputs of 32 sharpen the softmax.
                  Expect.isLessThan figures["largest drift in float32"] 1e-3 name

          testCase "of a model is what rounding explains"
          <| fun () -> holds Precision.drift (Subject.ofArchitecture model) |> ignore

          testCase "is lost in a result of fewer bits"
          <| fun () ->
              projecting "through half precision" (fun linear _ x ->
                  let y = linear.call x
                  if isSmall y then through torch.ScalarType.Float16 y else y)
              |> fails Precision.drift [ "float32"; "rounding explains" ]

          testCase "is lost in differences of large numbers"
          <| fun () ->
              ofFunction "variance of two means" (fun x ->
                  let x = x + (1e3).ToScalar()

                  (x * x).mean([| -1L |], keepdim = true)
                  - x.mean([| -1L |], keepdim = true).square())
              |> fails Precision.drift [ "float32" ]

          testCase "is lost in exponentials that overflow, and kept where the maximum is subtracted"
          <| fun () ->
              holds Precision.drift (ofFunction "softmax" (shares true)) |> ignore
              fails Precision.drift [ "float32" ] (ofFunction "naive softmax" (shares false))

          testCase "is told of float32 alone where bfloat16 is not taken"
          <| fun () ->
              let figures =
                  ofFunction "no bfloat16" (fun x ->
                      if x.dtype = torch.ScalarType.BFloat16 then
                          raise (NotSupportedException "bfloat16")

                      x * (2.0).ToScalar())
                  |> holds Precision.drift

              Expect.equal (List.ofSeq figures.Keys) [ "largest drift in float32" ] "figures" ]
