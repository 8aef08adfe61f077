/// Peaks of memory predicted from the value, beside the bytes that libtorch's allocator counts.
module LocalAttention.Core.Tests.Memory

open System
open System.Reflection
open Expecto
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open TorchSharp

/// The engine's own count. The package that it stands for has none.
let private counter =
    typeof<torch.Tensor>.Assembly.GetType "TorchSharp.NativeMemoryPressure"
    |> Option.ofObj

let private hidden = BindingFlags.NonPublic ||| BindingFlags.Static

/// By how many bytes of tensors the peak rises while something runs.
let private growth (run: unit -> unit) =
    match counter with
    | None -> skiptest "Only our own engine counts the bytes of tensors."
    | Some counter ->
        let read (name: string) =
            (nonNull (counter.GetProperty(name, hidden))).GetValue null |> nonNull :?> int64

        (nonNull (counter.GetMethod("ResetPeak", hidden))).Invoke(null, [||]) |> ignore
        let before = read "Bytes"
        run ()
        read "PeakBytes" - before

let private infer (model: Backbone) (images: torch.Tensor) () =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    model.forward images |> ignore

let private train (model: Backbone) (images: torch.Tensor) (labels: torch.Tensor) () =
    use _ = torch.NewDisposeScope()
    torch.nn.functional.cross_entropy(model.forward images, labels).backward()

let private measure (architecture: Architecture) (batch: int) =
    use _ = torch.NewDisposeScope()
    let model = architecture.Build(seed = Nullable 1L)

    let images =
        torch.rand (
            [| int64 batch
               3L
               int64 architecture.Resolution.Height
               int64 architecture.Resolution.Width |]
        )

    let labels = torch.zeros ([| int64 batch |], dtype = torch.ScalarType.Int64)
    // The first run of a shape measures routes of linear layers, and compiles.
    model.eval ()
    infer model images ()
    let inference = growth (infer model images)
    model.train ()
    train model images labels ()

    for parameter in model.parameters () do
        parameter.grad <- null

    let training = growth (train model images labels)
    model.Dispose()
    inference, training

/// A small model of each family: channels from 16, one or two blocks a stage, at 112×112.
let private families =
    let side = ImageSize.Square 112

    let channels, depths, heads =
        [| 16; 32; 64; 128 |], [| 2; 1; 1; 1 |], [| 1; 2; 4; 8 |]

    let swin = Swin.Create("swin", 16, depths, heads, resolution = side, dropPath = 0.1)
    let pvt = Pvt.Create("pvt", channels, depths, heads, resolution = side)

    let nat =
        Nat.Create("nat", 16, depths, heads, layerScale = Nullable 1e-5, resolution = side)

    [ swin
      Variants.Slide swin
      Variants.QnA swin
      pvt
      Variants.Slide pvt
      PvtV2.Create("pvt-v2", channels, depths, heads, resolution = side)
      PvtV2.Create("pvt-v2-li", channels, depths, heads, linear = true, resolution = side)
      CSwin.Create("cswin", 16, depths, [| 2; 2; 4; 8 |], resolution = side)
      nat
      Nat.Create("dinat", 16, [| 2; 2; 2; 1 |], heads, dilations = [| 4; 2; 1; 1 |], resolution = side)
      QnAViT.Create(
          "qna-vit",
          16,
          [| 2; 4; 8; 16 |],
          [| 1; 1; 1; 0 |],
          [| 3; 3; 3; 3 |],
          [| 1; 0; 1; 1 |],
          [| 7; 7; 7; 4 |],
          [| 1; 2; 4; 8 |],
          resolution = side
      ) ]

let private within (predicted: int64) (measured: int64) what =
    let error = 100.0 * (float predicted / float measured - 1.0)

    Expect.isLessThan
        (abs error)
        15.0
        $"{what}: {float predicted / 1e6:F2} MB predicted, {float measured / 1e6:F2} MB measured, {error:F1}%%"

let private peaks =
    [ for backend in [ Backend.FusedCpu; Backend.Composite ] do
          for architecture in families ->
              testCase $"{architecture.Name}, {backend}"
              <| fun () ->
                  use _ = Backends.Use backend
                  let inference, training = measure architecture 2
                  let predicted = ActivationMemory.Of(architecture, 2, backend = backend)
                  within predicted.Inference inference "inference"
                  within predicted.Training training "training" ]

let private laws =
    testList
        "laws"
        [ testCase "twice the images take at most twice the memory; training takes more than inference"
          <| fun () ->
              for architecture in families do
                  for backend in [ Backend.FusedCpu; Backend.Composite ] do
                      let one, two =
                          ActivationMemory.Of(architecture, 1, backend = backend),
                          ActivationMemory.Of(architecture, 2, backend = backend)

                      Expect.isGreaterThan two.Inference one.Inference "more images"
                      Expect.isLessThanOrEqual two.Training (2L * one.Training) "at most twice"
                      Expect.isGreaterThan one.Training one.Inference "training"
          testCase "bytes go with the element type; bfloat16 has no fused gradients"
          <| fun () ->
              let swin = families.Head

              let of' dtype backend =
                  ActivationMemory.Of(swin, 2, Nullable dtype, backend)

              let single = of' torch.ScalarType.Float32 Backend.FusedCpu
              let double = of' torch.ScalarType.Float64 Backend.FusedCpu

              Expect.equal
                  (double.Inference, double.Training)
                  (2L * single.Inference, 2L * single.Training)
                  "float64"

              let half = of' torch.ScalarType.BFloat16 Backend.FusedCpu
              Expect.equal (2L * half.Inference) single.Inference "bfloat16"

              Expect.equal
                  (2L * half.Training)
                  (of' torch.ScalarType.Float32 Backend.Composite).Training
                  "by the composite"
          testCase "no images, no numbers, no such size"
          <| fun () ->
              let swin = families.Head
              let exact = Swin.Tiny.With(sizePolicy = SizePolicy.Exact)
              Expect.throwsT<ArgumentException> (fun () -> ActivationMemory.Of(swin, 0) |> ignore) "batch"

              Expect.throwsT<ArgumentException>
                  (fun () -> ActivationMemory.Of(swin, 1, Nullable torch.ScalarType.Int64) |> ignore)
                  "element type"

              Expect.throwsT<SpecificationException>
                  (fun () -> ActivationMemory.Of(exact, 1, image = Nullable(ImageSize.Square 225)) |> ignore)
                  "size" ]

/// The tests of this file. One at a time: the engine counts the bytes of all threads.
let tests = testSequenced <| testList "memory" [ testList "peaks" peaks; laws ]
