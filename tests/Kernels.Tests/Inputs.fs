/// What may come in: tensors that are not contiguous, empty batches, extreme numbers, NaN and infinity; and what may not
/// matter: the number of threads.
module LocalAttention.Kernels.Tests.Inputs

open System
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open LocalAttention.Oracle
open TorchSharp

/// A layer of each kind on a map of some size.
let private examples (height, width) : LayerCase list =
    let case (attention: Attention) =
        { Attention = attention
          Inputs = 16
          Outputs = 16
          Stride = 1
          Upsampling = 1
          Pools = false
          Map = ImageSize(height, width)
          Batch = 2
          Seed = 3 }

    [ case (QnAAttention(3, 2))
      case (QnAAttention(7, 4))
      case (QnAAttention(15, 2))
      case (QnAAttention(5, 2, Position = PositionBias.None, Scale = AttentionScale.None))
      { case (QnAAttention(3, 2)) with
          Stride = 2 }
      { case (QnAAttention(3, 2)) with
          Upsampling = 2 }
      case (SlideAttention(3, 2))
      case (SlideAttention(5, 1, Padding = EdgePadding.Circular))
      case (SlideAttention(3, 4, Deformed = false))
      case (WindowAttention(4, 2))
      case (WindowAttention(4, 2, Shifted = true))
      case (GlobalAttention 2)
      case (NeighbourhoodAttention(5, 2))
      case (NeighbourhoodAttention(3, 4, Dilation = 2, PositionBias = false)) ]

let private eachOf cases name (body: LayerCase -> unit) =
    testList
        name
        [ for case: LayerCase in cases ->
              testCase $"{case.Attention}, stride {case.Stride}, upsampling {case.Upsampling}"
              <| fun () -> body case ]

let private bits (results: Map<string, NdArray<float>>) =
    results
    |> Map.map (fun _ array -> array.Elements |> Array.map BitConverter.DoubleToInt64Bits)

/// Bands of rows, partial sums and pieces of work are cut by the sizes alone.
let private threads =
    eachOf (examples (24, 40)) "every number of threads gives the same bits" (fun case ->
        for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
            use layer = build case
            layer.``to`` elementType |> ignore

            let results count =
                onThreads count (fun () -> Agreement.results Backend.FusedCpu layer case |> bits)

            let expected = results 1

            for count in [ 2; 3 ] do
                for KeyValue(name, array) in results count do
                    if array <> expected[name] then
                        failtest $"{name} on {count} threads differs from one thread's, {elementType}")

let private fused (layer: Module) (x: torch.Tensor) =
    on Backend.FusedCpu (fun () ->
        use _ = torch.no_grad ()
        layer.forward x)

let private strided =
    eachOf (examples (6, 8)) "inputs that are not contiguous give the same" (fun case ->
        use _ = torch.NewDisposeScope()
        use layer = build case
        let x = toTensor torch.ScalarType.Float64 (input case)
        let expected = toArray (fused layer x)
        let transposed = x.transpose(1, 2).contiguous().transpose(1, 2)
        let channelsFirst = x.permute(0L, 3L, 1L, 2L).contiguous().permute(0L, 2L, 3L, 1L)
        let part = torch.cat([| x; x |], 3L).narrow(3L, 0L, x.size 3)

        for other in [ transposed; channelsFirst; part ] do
            Expect.isFalse (other.is_contiguous ()) "the input is not contiguous"
            within 1e-14 0.0 (toArray (fused layer other)) expected "the output")

let private empty =
    eachOf (examples (6, 8)) "a batch of no images gives one, forward and backward" (fun case ->
        use _ = torch.NewDisposeScope()
        use layer = build case
        let some = (fused layer (toTensor torch.ScalarType.Float64 (input case))).shape

        let x =
            torch.zeros (
                0L,
                6L,
                8L,
                int64 case.Inputs,
                dtype = torch.ScalarType.Float64,
                requires_grad = true
            )

        let output = on Backend.FusedCpu (fun () -> layer.forward x)
        Expect.sequenceEqual output.shape (Array.append [| 0L |] some[1..]) "shape"
        output.sum().backward()
        Expect.sequenceEqual (nonNull x.grad).shape x.shape "shape of the gradient"

        for name, parameter in namedParameters layer do
            if parameter.requires_grad then
                match parameter.grad with
                | null -> ()
                | slope -> Expect.equal (slope.abs().sum().ToDouble()) 0.0 $"gradient by {name}")

let private isFinite (tensor: torch.Tensor) =
    torch.isfinite(tensor).all().ToBoolean()

let private extremes =
    eachOf (examples (6, 8)) "finite numbers of any size give finite outputs and gradients" (fun case ->
        for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
            for magnitude in [ 1e4; 1e-30; 1e-40; 0.0 ] do
                use _ = torch.NewDisposeScope()
                use layer = build case
                layer.``to`` elementType |> ignore

                let x =
                    ((toTensor torch.ScalarType.Float64 (input case)).sign() * magnitude)
                        .``to``(elementType)
                        .requires_grad_()

                let output = on Backend.FusedCpu (fun () -> layer.forward x)
                Expect.isTrue (isFinite output) $"outputs for ±{magnitude} in {elementType}"
                output.mean().backward()
                Expect.isTrue (isFinite (nonNull x.grad)) $"gradients for ±{magnitude} in {elementType}"

                // As the composite has it, where scores reach 1e4 and windows pick one neighbour each.
                let expected = on Backend.Composite (fun () -> layer.forward x)
                let scale = max (expected.abs().max().ToDouble()) 1e-38

                let unit =
                    if elementType = torch.ScalarType.Float32 then
                        6e-8
                    else
                        1.1e-16

                let worst = (output - expected).abs().max().ToDouble()
                // The score's own rounding, relative to its magnitude of up to 20 for inputs of 1, is exponentiated.
                let spread = exp (min 0.5 (20.0 * magnitude * unit)) * 400.0 * unit

                if magnitude < 1.0 && worst > spread * scale then
                    failtest $"±{magnitude} in {elementType}: off by {worst} where the largest is {scale}")

/// The pixels of the output that change when one pixel of the input does.
let private dependent (layer: Module) (x: torch.Tensor) (row: int64, column: int64) =
    let changed = x.clone ()
    changed[0L, row, column].add_(torch.tensor 1.0) |> ignore

    on Backend.Composite (fun () ->
        (layer.forward changed - layer.forward x).abs().sum(-1L).ne(torch.tensor 0.0))

let private locality =
    eachOf
        (examples (6, 8))
        "a NaN or an infinity appears in the outputs that depend on it, and no other"
        (fun case ->
            for width in widths do
                for elementType in [ torch.ScalarType.Float64; torch.ScalarType.Float32 ] do
                    use _ = torch.NewDisposeScope()
                    use _ = torch.no_grad ()
                    use layer = build case
                    let x = toTensor torch.ScalarType.Float64 (input case)

                    for row, column in [ 0L, 0L; 3L, 4L; 5L, 7L ] do
                        layer.``to`` torch.ScalarType.Float64 |> ignore
                        let expected = dependent layer x (row, column)
                        layer.``to`` elementType |> ignore

                        for poison in [ nan; infinity; -infinity ] do
                            let poisoned = x.``to``(elementType).clone()
                            poisoned[0L, row, column].fill_(poison.ToScalar()) |> ignore
                            let output = atWidth width (fun () -> fused layer poisoned)
                            let actual = torch.isfinite(output).all(-1L).logical_not()

                            if (actual.ne expected).any().ToBoolean() then
                                let count (pixels: torch.Tensor) = pixels.sum().ToInt64()

                                failtest
                                    $"{poison} at {row}, {column}, {elementType}, {width}: {count actual} pixels are not finite, {count expected} depend on it")

/// The tests of this file.
let tests = testList "inputs" [ threads; strided; empty; extremes; locality ]
