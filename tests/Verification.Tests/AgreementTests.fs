/// Two ways to compute the same: backends, merged weights, files, other implementations.
module LocalAttention.Verification.Tests.AgreementTests

open System
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

/// The input's scale where fused kernels run, and nothing else.
let private scaledWhenFused (factor: float) (x: torch.Tensor) =
    if Backends.For x = Backend.FusedCpu then
        x * factor.ToScalar()
    else
        x

/// What is right forward and wrong backward when fused: half of the input has no gradient.
let private halfDetachedWhenFused (x: torch.Tensor) =
    if Backends.For x = Backend.FusedCpu then
        x * (0.5).ToScalar() + x.detach () * (0.5).ToScalar()
    else
        x

let private backends =
    testList
        "backends"
        [ for name, layer in layers do
              testCase $"agree for {name}, with their gradients"
              <| fun () ->
                  holds Agreement.backends layer |> ignore
                  holds Agreement.backendGradients layer |> ignore

          testCase "agree for a model"
          <| fun () ->
              holds Agreement.backends (Subject.ofArchitecture model) |> ignore
              holds Agreement.backendGradients (Subject.ofArchitecture model) |> ignore

          testCase "disagree where one of them is off by a hundredth"
          <| fun () ->
              projecting "off" (fun linear _ x -> linear.call (scaledWhenFused 1.01 x))
              |> fails Agreement.backends [ "Composite"; "Auto"; "instead of" ]

          testCase "disagree in gradients where outputs agree"
          <| fun () ->
              let subject =
                  projecting "half a gradient" (fun linear _ x -> linear.call (halfDetachedWhenFused x))

              holds Agreement.backends subject |> ignore
              fails Agreement.backendGradients [ "The gradient by the input" ] subject

          testCase "have no gradients to agree in where there are none"
          <| fun () ->
              ofFunction "signs" (fun x -> x.detach().sign())
              |> isSkipped Agreement.backendGradients "no gradient" ]

let private merged =
    testList
        "merged weights"
        [ testCase "agree in slide layers and in models of them"
          <| fun () ->
              holds Agreement.merged (layer "slide") |> ignore
              holds Agreement.merged (Subject.ofArchitecture model) |> ignore

          testCase "are none where there is no slide layer"
          <| fun () -> isSkipped Agreement.merged "nothing in it" plain

          testCase "of a function are none"
          <| fun () -> isSkipped Agreement.merged "function" (ofFunction "twice" (fun x -> x + x))

          testCase "disagree where a rewriting forgets a bias"
          <| fun () ->
              let forget (root: torch.nn.Module) =
                  use _ = torch.no_grad ()

                  for struct (name, parameter) in root.named_parameters () do
                      if name.EndsWith("bias", StringComparison.Ordinal) then
                          parameter.zero_ () |> ignore

                  true

              plain
              |> fails (Agreement.rewritten "folding" (Func<_, _> forget)) [ "Rewriting" ] ]

let private saved =
    testList
        "files"
        [ testCase "keep the outputs of a model, of a layer and of a module"
          <| fun () ->
              holds Agreement.saved (Subject.ofArchitecture model) |> ignore
              holds Agreement.saved (layer "qna") |> ignore
              holds Agreement.saved plain |> ignore

          testCase "lose a tensor that is not registered"
          <| fun () ->
              ofModule "unregistered" (fun () ->
                  let noise = torch.randn(6L).DetachFromDisposeScope()
                  new Projecting(6, fun linear _ x -> linear.call x + noise.``to`` x.dtype))
              |> fails Agreement.saved [ "loads the state" ]

          testCase "of a function are none"
          <| fun () -> isSkipped Agreement.saved "function" (ofFunction "twice" (fun x -> x + x)) ]

let private others =
    testList
        "other implementations"
        [ testCase "agree with weights of the same names"
          <| fun () ->
              let other =
                  projecting "by hand" (fun linear _ x ->
                      let linear = linear :?> Modules.Linear
                      x.matmul (linear.weight.t ()) + nonNull linear.bias)

              holds (Agreement.between "by hand" other) plain |> ignore

          testCase "disagree where one forgets the bias"
          <| fun () ->
              let other =
                  projecting "without bias" (fun linear _ x ->
                      x.matmul ((linear :?> Modules.Linear).weight.t()))

              plain |> fails (Agreement.between "other" other) [ "plain and without bias" ]

          testCase "may be functions of the instance"
          <| fun () ->
              let weighed factor =
                  Func<Instance, torch.Tensor, torch.Tensor>(fun instance x ->
                      let parameters = Map instance.Parameters

                      (x.matmul (parameters["linear.weight"].t()) + parameters["linear.bias"])
                      * (factor: float).ToScalar())

              holds (Agreement.computed "by hand" (weighed 1.0)) plain |> ignore
              holds (Agreement.exported (weighed 1.0)) plain |> ignore
              plain |> fails (Agreement.computed "by hand" (weighed 1.001)) [ "by hand" ]
              plain |> fails (Agreement.exported (weighed 1.1)) [ "exported" ]

          testCase "of another size are not asked"
          <| fun () ->
              let other =
                  { plain with
                      Takes = fun size -> size.Height > 100 }

              plain |> isSkipped (Agreement.between "large" other) "takes no input" ]

/// The tests of this file.
let tests = testList "agreement" [ backends; merged; saved; others ]
