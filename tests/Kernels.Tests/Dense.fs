/// Norms, GELU and linear layers by themselves: against their formulae in double precision, and through the layers that
/// use them.
module LocalAttention.Kernels.Tests.Dense

open System
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Kernels.Dense
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

let private precisions =
    [ torch.ScalarType.Float64, Math.Pow(2.0, -53.0)
      torch.ScalarType.Float32, Math.Pow(2.0, -24.0) ]

/// From far below the smallest weight of a tail to where GELU is the identity, and lengths that leave every remainder.
let private arguments =
    [| for index in -3000 .. 3000 -> float index / 250.0
       yield!
           [ 1e-30
             -1e-30
             1e-40
             -1e-40
             0.0
             1e4
             -1e4
             3.9199
             3.9201
             5.92 * sqrt 2.0 ] |]

let private elementwise name approximate =
    [ for width in widths do
          testCase $"{name}, {width}"
          <| fun () ->
              use _ = torch.NewDisposeScope()

              for elementType, unit in precisions do
                  for length in [ arguments.Length; 1; 7; 17; 33 ] do
                      let input =
                          (torch.tensor (arguments[.. length - 1], dtype = elementType)).requires_grad_()

                      let exact = input.detach().``to``(torch.ScalarType.Float64).requires_grad_()

                      let mode =
                          if approximate then
                              Modules.GELU.Approximate.tanh
                          else
                              Modules.GELU.Approximate.none

                      let expected = torch.nn.functional.gelu (exact, mode)
                      expected.sum().backward()

                      let output =
                          atWidth width (fun () ->
                              let output = FusedGelu.Apply(input, approximate)
                              output.sum().backward()
                              output)

                      // A value is x times Φ, which is off by some units of 1: three of erf's, the argument's rounding and
                      // the last multiplication. The derivative has a second such term of up to 1, and e^(−2u) turns the
                      // relative error of up to 12 units of its argument u ≤ 12 into its own.
                      let values = (output.``to`` torch.ScalarType.Float64 - expected).abs()
                      let allowed = (exact.abs () + Math.Pow(2.0, -100.0)) * (8.0 * unit)
                      Expect.isTrue (values.le(allowed).all().ToBoolean()) $"values in {elementType}"

                      let slopes =
                          ((nonNull input.grad).``to`` torch.ScalarType.Float64 - nonNull exact.grad).abs()

                      Expect.isLessThan
                          (slopes.max().ToDouble())
                          (50.0 * unit)
                          $"derivatives in {elementType}"

                      use plain = input.detach().clone()
                      atWidth width (fun () -> FusedGelu.ApplyInPlace(plain, approximate))
                      Expect.isTrue (plain.eq(output.detach ()).all().ToBoolean()) "in place" ]

let private poison =
    testCase "NaN and infinity stay where they are"
    <| fun () ->
        use _ = torch.NewDisposeScope()

        for elementType, _ in precisions do
            for width in widths do
                for approximate in [ false; true ] do
                    let input = torch.zeros (40L, dtype = elementType)
                    input[3] <- torch.tensor Double.NaN
                    input[20] <- torch.tensor Double.PositiveInfinity
                    let output = atWidth width (fun () -> FusedGelu.Apply(input, approximate))

                    let bad =
                        torch.isfinite(output).logical_not().nonzero().flatten().data<int64>().ToArray()

                    Expect.sequenceEqual bad [ 3L; 20L ] $"{elementType} {width}"

/// The norm of some rows and all its gradients: alone, or with an addition before it.
let private norms adds fused elementType shape =
    use _ = torch.NewDisposeScope()
    let channels = Array.last shape

    let leaf name shape (scale: float) =
        (toTensor torch.ScalarType.Float32 (numbers 3 name shape))
            .``to``(torch.ScalarType.Float64)
            .mul(scale.ToScalar())
            .``to``(elementType: torch.ScalarType)
            .requires_grad_()

    let x, r = leaf "x" shape 3.0, leaf "r" shape 2.0
    let gamma, beta = leaf "gamma" [| channels |] 1.0, leaf "beta" [| channels |] 1.0

    let sum, output =
        match adds, fused with
        | true, true ->
            let struct (sum, output) = FusedNorm.Add(x, r, gamma, beta, 1e-5)
            sum, output
        | true, false ->
            x + r, torch.nn.functional.layer_norm (x + r, [| int64 channels |], gamma, beta, 1e-5)
        | false, true -> x, FusedNorm.Apply(x, gamma, beta, 1e-5)
        | false, false -> x, torch.nn.functional.layer_norm (x, [| int64 channels |], gamma, beta, 1e-5)

    let cotangent name =
        toTensor elementType (numbers 4 name shape)

    (output * cotangent "output" + sum * cotangent "sum").sum().backward()
    let slope (tensor: torch.Tensor) = toArray (nonNull tensor.grad)

    Map
        [ "output", toArray output
          "x", slope x
          "gamma", slope gamma
          "beta", slope beta
          if adds then
              "sum", toArray sum
              "r", slope r ]

let private norm =
    testList
        "layer norm, alone and after an addition"
        [ for width in widths do
              for adds in [ false; true ] do
                  testCase $"adds: {adds}, {width}"
                  <| fun () ->
                      for shape in [ [| 1; 2 |]; [| 3; 5 |]; [| 2; 3; 4; 33 |]; [| 70; 16 |]; [| 5; 96 |] ] do
                          for elementType, unit in precisions do
                              let expected = norms adds false torch.ScalarType.Float64 shape
                              let actual = atWidth width (fun () -> norms adds true elementType shape)
                              let rows = Array.fold (*) 1 shape / Array.last shape
                              // Sums of C terms for a row, and of all rows for a parameter.
                              let terms = float (Array.last shape + rows)

                              allWithin
                                  (unit * 30.0 * (sqrt terms + 3.0))
                                  actual
                                  expected
                                  $"{shape} in {elementType}" ]

let private largeMean =
    testCase "a row far from zero keeps its digits"
    <| fun () ->
        use _ = torch.NewDisposeScope()

        let x =
            toTensor torch.ScalarType.Float32 (numbers 1 "x" [| 4; 48 |])
            + 1000.0.ToScalar()

        let one, zero = torch.ones 48L, torch.zeros 48L

        let exact =
            torch.nn.functional.layer_norm (x.``to`` torch.ScalarType.Float64, [| 48L |], eps = 1e-5)

        let output = FusedNorm.Apply(x, one, zero, 1e-5)
        // Differences from the mean, of order 1, carry the rounding of numbers of order 1000 in the mean alone.
        within (1000.0 * Math.Pow(2.0, -24.0) * 4.0) 0.0 (toArray output) (toArray exact) "rows"

let private routes =
    testList
        "linear layers"
        [ testCase "both routes give the same, with all gradients"
          <| fun () ->
              for shape in [ [| 3; 5 |]; [| 2; 3; 4; 8 |]; [| 1; 1; 1; 1 |]; [| 0; 4; 4; 6 |] ] do
                  for hasBias in [ true; false ] do
                      use _ = torch.NewDisposeScope()

                      let leaf name shape =
                          (toTensor torch.ScalarType.Float32 (numbers 2 name shape)).requires_grad_()

                      let results (apply: torch.Tensor -> torch.Tensor -> torch.Tensor -> torch.Tensor) =
                          let x, weight = leaf "x" shape, leaf "weight" [| 7; Array.last shape |]
                          let bias = leaf "bias" [| 7 |]
                          let output = apply x weight (if hasBias then bias else Unchecked.defaultof<_>)
                          (output * output).sum().backward()

                          Map
                              [ "output", toArray output
                                "x", toArray (nonNull x.grad)
                                "weight", toArray (nonNull weight.grad) ]

                      let expected =
                          results (fun x weight bias -> torch.nn.functional.linear (x, weight, bias))

                      let actual = results (fun x weight bias -> LinearRoutes.Convolve(x, weight, bias))
                      // Sums of at most 24 terms, twice over, in another order.
                      allWithin (Math.Pow(2.0, -24.0) * 40.0) actual expected $"{shape}"
          testCase "the variable names a route, or none"
          <| fun () ->
              Expect.equal (LinearRoutes.FromEnvironment null) (Nullable()) "absent"
              Expect.equal (LinearRoutes.FromEnvironment " Product ") (Nullable LinearRoute.Product) "product"

              Expect.equal
                  (LinearRoutes.FromEnvironment "convolution")
                  (Nullable LinearRoute.Convolution)
                  "convolution"

              Expect.throws (fun () -> LinearRoutes.FromEnvironment "fast" |> ignore) "unknown"
          testCase "a class of shapes keeps its route"
          <| fun () ->
              use _ = torch.NewDisposeScope()
              use _ = torch.no_grad ()
              let x, weight = torch.ones (1024L, 64L), torch.ones (96L, 64L)
              let count () = LinearRoutes.Choices.Count
              let first = LinearRoutes.Apply(x, weight, null)
              let known = count ()
              let second = LinearRoutes.Apply(x, weight, null)
              Expect.equal (count ()) known "classes"
              Expect.isTrue (first.eq(second).all().ToBoolean()) "the same bits" ]

/// A whole block: norms, attention, residual sums and the MLP, with and without scales.
let private blocks =
    testList
        "a transformer block equals the composite, with all gradients"
        [ for width in widths do
              for conventions in [ Conventions.PyTorch; Conventions.Flax ] do
                  testCase $"{conventions.Activation}, {width}"
                  <| fun () ->
                      for scale, convolution in
                          [ Nullable(), MlpConvolution.None
                            Nullable 0.1, MlpConvolution.None
                            Nullable(), MlpConvolution.Depthwise
                            Nullable 0.1, MlpConvolution.DepthwiseAfterRelu ] do
                          use layer =
                              new TransformerBlock(
                                  Block(
                                      WindowAttention(3, 2, Shifted = true),
                                      LayerScale = scale,
                                      MlpConvolution = convolution
                                  ),
                                  12,
                                  0.0,
                                  SizePolicy.Pad,
                                  conventions
                              )

                          layer |> inDoubles 8 |> ignore

                          let x, cotangent =
                              numbers 8 "x" [| 2; 5; 7; 12 |], numbers 8 "cotangent" [| 2; 5; 7; 12 |]

                          let results backend =
                              on backend (fun () ->
                                  let output, slopes = gradients layer x cotangent
                                  let inferred = (use _ = torch.no_grad () in run layer x)
                                  slopes |> Map.add "output" output |> Map.add "inferred" inferred)

                          let expected = results Backend.Composite
                          let actual = atWidth width (fun () -> results Backend.FusedCpu)
                          // Two norms, attention and an MLP of 48 hidden channels, one after the other: some hundred terms,
                          // each stage dividing by deviations of about a half.
                          allWithin
                              (Math.Pow(2.0, -53.0) * 1000.0)
                              actual
                              expected
                              $"scale {scale}, {convolution}" ]

let private parts =
    testCase "an MLP on more tokens than a cache holds is the MLP on each of them"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        use layer = new Mlp(16, 1024)
        let x = torch.rand ([| 2L; 50L; 41L; 16L |], dtype = torch.ScalarType.Float32)
        let whole = on Backend.FusedCpu (fun () -> layer.forward x)
        let expected = on Backend.Composite (fun () -> layer.forward x)
        // Sums of 1024 terms.
        within (Math.Pow(2.0, -24.0) * 32.0 * 10.0) 0.0 (toArray whole) (toArray expected) "output"

/// The tests of this file.
let tests =
    testList
        "dense"
        [ testList "exact GELU" (elementwise "exact" false)
          testList "GELU by tanh" (elementwise "tanh" true)
          poison
          norm
          largeMean
          routes
          blocks
          parts ]
