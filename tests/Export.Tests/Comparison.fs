/// Exports a model, runs the file in ONNX Runtime, and compares with what the model itself computes.
module LocalAttention.Export.Tests.Comparison

open System
open System.IO
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Export
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests
open LocalAttention.Oracle
open TorchSharp

/// Of the largest output: those of runtimes in float32 differ by the rounding of sums, which are of at most some
/// thousand terms, 2⁻²⁴ of each, through some dozen layers whose norms bring them back to order one.
let tolerance = 1e-4

/// Runs something in a new folder, and removes it.
let inFolder (run: string -> 'result) : 'result =
    let folder = Directory.CreateTempSubdirectory("export-tests-").FullName

    try
        run folder
    finally
        Directory.Delete(folder, recursive = true)

/// A model in evaluation mode without a parameter that has no effect.
let lively (seed: int) (architecture: Architecture) : Backbone =
    let model = architecture.Build()
    Tensors.enliven seed model
    model.eval ()
    model

let private images (architecture: Architecture) (size: ImageSize) batch =
    let shape = [| batch; architecture.ImageChannels; size.Height; size.Width |]

    Counter.array $"images of {batch}" shape

/// Fails unless the exported model computes what the model does, for each number of images. Where outputs are below `floor`,
/// they are compared on its scale: what is left of sums that cancel is the rounding of their terms. Gives the file's bytes.
let agreesWith
    (floor: float)
    (runtime: Lazy<Runtime.Runtime>)
    (model: Backbone)
    (size: ImageSize)
    (batches: int list)
    =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let architecture = model.Architecture
    let inputs = batches |> List.map (images architecture size)

    let answer, file =
        inFolder (fun folder ->
            let path = Path.Combine(folder, "model.onnx")
            OnnxExport.Save(model, path, size)

            let inputs =
                [ for input in inputs -> Array.map int64 input.Shape, Array.map float32 input.Elements ]

            runtime.Value.Run(path, inputs), File.ReadAllBytes path)

    Expect.equal answer.Input "images" "name of the input"

    Expect.equal
        answer.Output
        (if architecture.Head.Classes > 0 then
             "logits"
         else
             "features")
        "name of the output"

    for input, (shape, numbers) in List.zip inputs answer.Outputs do
        let expected = Tensors.run model input

        let actual = NdArray.ofArray (Array.map int shape) (Array.map float numbers)

        Tensors.within tolerance floor actual expected $"output for {input.Shape[0]} images"

    file

/// The same for a new model of an architecture.
let agrees floor runtime seed (architecture: Architecture) size batches =
    use model = lively seed architecture
    agreesWith floor runtime model size batches |> ignore
