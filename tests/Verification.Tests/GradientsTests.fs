/// Gradients against differences.
module LocalAttention.Verification.Tests.GradientsTests

open System
open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

/// x², whose gradient is said to be a part too large.
type private TooSteep() =
    inherit torch.autograd.SingleTensorFunction<TooSteep>()
    override _.Name = "TooSteep"

    override _.forward(context: torch.autograd.AutogradContext, [<ParamArray>] vars: obj[]) =
        let x = vars[0] :?> torch.Tensor
        context.save_for_backward (ResizeArray [ x ])
        x * x

    override _.backward(context: torch.autograd.AutogradContext, slope: torch.Tensor) =
        let x = context.get_saved_variables()[0]
        ResizeArray [ slope * x * (2.0 * (1.0 + 1e-5)).ToScalar() ]

let private square (x: torch.Tensor) = TooSteep.apply [| box x |]

/// The tests of this file.
let tests =
    testList
        "gradients"
        [ for name, layer in layers do
              testCase $"hold for {name}"
              <| fun () ->
                  let figures = holds Gradients.agreement layer
                  // Differences are exact to some 1e-8, as the doc says; a slope of order ten is measured here.
                  Expect.isLessThan figures["largest deviation"] 1e-5 "largest deviation"

          testCase "hold for a model"
          <| fun () -> holds Gradients.agreement (Subject.ofArchitecture model) |> ignore

          testCase "hold for functions with kinks"
          <| fun () ->
              projecting "kinks" (fun linear _ x -> torch.nn.functional.relu (linear.call x))
              |> holds Gradients.agreement
              |> ignore

          testCase "hold at a kink itself, for another input is asked"
          <| fun () ->
              ofFunction "magnitudes" (fun x -> (x * x.sign().detach()) + x)
              |> holds Gradients.agreement
              |> ignore

          testCase "fail where a gradient is too large by a hundred-thousandth"
          <| fun () ->
              ofFunction "too steep" square
              |> fails Gradients.agreement [ "The gradient by the input"; "differences say" ]

          testCase "name the parameter whose gradient is wrong"
          <| fun () ->
              projecting "detached bias" (fun linear _ x ->
                  let linear = linear :?> Modules.Linear
                  let bias = nonNull linear.bias
                  x.matmul (linear.weight.t ()) + bias.detach () + bias * (0.0).ToScalar())
              |> fails Gradients.agreement [ "The gradient by linear.bias" ]

          testCase "leave out queries whose norm is held constant"
          <| fun () ->
              let qna = QnAAttention(3, 3, Norm = UnitNorm(StopGradient = true))
              holds Gradients.agreement (Subject.ofLayer qna 6 (ImageSize(4, 4))) |> ignore

          testCase "are not asked of what has none"
          <| fun () ->
              ofFunction "signs" (fun x -> x.detach().sign())
              |> isSkipped Gradients.agreement "no gradient"

          testCase "are not asked of what leaves double precision"
          <| fun () ->
              ofFunction "single" (fun x -> x.``to`` torch.ScalarType.Float32)
              |> isSkipped Gradients.agreement "Float32" ]
