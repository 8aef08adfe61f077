/// Heads wider than the kernels are made for: those that still fit a small device run on it, and those that do not are the
/// composite's, without an error.
module LocalAttention.Cuda.Tests.WideHeads

open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Cuda.Tests.Emulated
open TorchSharp

let private layers channels : (string * Module) list =
    [ "neighbourhood", new NeighbourhoodLayer(NeighbourhoodAttention(3, 1), channels)
      "qna", new QnALayer(QnAAttention(3, 1), channels)
      "window", new WindowLayer(WindowAttention(2, 1), channels) ]

/// The output and the gradient of the input.
let private evaluate (layer: Module) (input: torch.Tensor) =
    let leaf = input.clone().requires_grad_ true
    let output = layer.call leaf
    output.sum().backward()

    match leaf.grad with
    | null -> failtest "there is no gradient"
    | gradient -> [ output.detach (); gradient.clone () ]

let private check name (layer: Module) channels =
    let input =
        numbers 9 "input" [| 1; 3; 4; channels |] |> toTensor torch.ScalarType.Float32

    let expected =
        use _ = Backends.Use Backend.Composite
        evaluate layer input

    let mutable actual = []

    let launches =
        launchesOf (smallDevice ()) (fun () ->
            actual <- onDeviceOf (smallDevice ()) (fun () -> evaluate layer input))

    for wanted, found in List.zip expected actual do
        let largest (tensor: torch.Tensor) =
            tensor.``to``(torch.ScalarType.Float64).abs().max().item<float>()

        // Both sum some `channels` products in float, in orders of their own, through two projections and the scores.
        let tolerance =
            4.0 * float channels * unitOf torch.ScalarType.Float32 * largest wanted

        Expect.isLessThan (largest (wanted - found)) tolerance name

    launches.Length

let tests =
    testList
        "wide heads"
        [ testCase "256 channels, in 48 KiB"
          <| fun () ->
              for name, layer in layers 256 do
                  use _ = torch.NewDisposeScope()
                  use layer = layer
                  let launches = check name layer 256
                  Expect.equal (launches > 0) (name <> "window") $"{name} is a kernel's"

          testCase "260 channels are the composite's"
          <| fun () ->
              for name, layer in layers 260 do
                  use _ = torch.NewDisposeScope()
                  use layer = layer
                  Expect.equal (check name layer 260) 0 $"{name} launches nothing" ]
