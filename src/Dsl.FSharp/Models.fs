namespace LocalAttention.Dsl

open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Export
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open TorchSharp

/// Models with their parameters: building, running, saving, loading.
[<AutoOpen>]
module Models =
    /// <summary>The model of an architecture, its parameters drawn at random.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The architecture has mistakes; the message is their text. <c>validate</c> returns them as a value.</exception>
    /// <example><code lang="fsharp">let model = QnAViT.tiny |> classes 10 |> build</code></example>
    let build (architecture: Architecture) : Backbone = architecture.Build()

    /// <summary>The same, its parameters drawn from a seed: the same ones each time.</summary>
    /// <example><code lang="fsharp">let model = QnAViT.tiny |> classes 10 |> buildSeeded 42L</code></example>
    let buildSeeded (seed: int64) (architecture: Architecture) : Backbone = architecture.Build(seed = seed)

    /// <summary>The model on a device: <c>torch.CUDA</c>, for example. It is the same object.</summary>
    /// <param name="device">Where its parameters are to live.</param>
    /// <param name="model">The model.</param>
    let onDevice (device: torch.Device) (model: Backbone) : Backbone =
        model.``to`` device |> ignore
        model

    /// <summary>Logits of images: <c>[B, channels, H, W]</c> to <c>[B, classes]</c>, without gradients or stochastic depth.</summary>
    /// <example><code lang="fsharp">let logits = model |> predict (torch.rand([| 8L; 3L; 224L; 224L |]))</code></example>
    let predict (images: torch.Tensor) (model: Backbone) : torch.Tensor =
        let training = model.training
        model.eval ()

        try
            use _ = torch.no_grad ()
            model.forward images
        finally
            model.train training

    /// <summary>Each stage's map before its transition, <c>[B, H, W, C]</c>: what dense tasks build on.</summary>
    /// <example><code lang="fsharp">[ for map in model |> features images -> map.shape ]</code></example>
    let features (images: torch.Tensor) (model: Backbone) : torch.Tensor list =
        let training = model.training
        model.eval ()

        try
            use _ = torch.no_grad ()
            List.ofSeq (model.features images)
        finally
            model.train training

    /// <summary>
    /// The model for inference: its slide layers' two convolutions merged into one, outputs unchanged. It is the same
    /// object; <c>train</c> undoes this by itself.
    /// </summary>
    /// <example><code lang="fsharp">let fast = SlideSwin.tiny |> build |> forInference</code></example>
    let forInference (model: Backbone) : Backbone =
        model.eval ()
        model.merge_shifts ()
        model

    /// <summary>Accuracy and loss on images with labels.</summary>
    /// <example><code lang="fsharp">(model |> evaluate fashion.Test).Accuracy</code></example>
    let evaluate (images: ImageDataset) (model: Backbone) : EvaluationResult = Evaluation.Of(model, images)

    /// The logits of each image of a data set, <c>[N, classes]</c>.
    let logits (images: ImageDataset) (model: Backbone) : torch.Tensor = Evaluation.Logits(model, images)

    /// <summary>The names of the classes that a model sees in the images of a data set.</summary>
    /// <example><code lang="fsharp">model |> recognise (fashion.Test.Take 5)</code></example>
    let recognise (images: ImageDataset) (model: Backbone) : string list =
        use all = logits images model
        use largest = all.argmax 1L
        [ for label in largest.data<int64>() -> images.Classes[int label] ]

    let private makeFolderOf (path: string) =
        match System.IO.Path.GetDirectoryName path with
        | null
        | "" -> ()
        | directory -> System.IO.Directory.CreateDirectory directory |> ignore

    /// <summary>Writes a model to a safetensors file, its architecture with it. The file appears whole or not at all.</summary>
    /// <example><code lang="fsharp">model |> save "checkpoints/small.safetensors"</code></example>
    let save (path: string) (model: Backbone) : unit =
        makeFolderOf path
        Checkpoint.Save(model, path)

    /// <summary>
    /// Writes a model to an ONNX file, which other runtimes run: any number of images of the architecture's resolution, in
    /// float32, without what training alone needs. The file appears whole or not at all.
    /// </summary>
    /// <exception cref="T:System.ArgumentException">The parameters are not of float32.</exception>
    /// <example><code lang="fsharp">SlideSwin.tiny |> build |> toOnnx "slide-swin-tiny.onnx"</code></example>
    let toOnnx (path: string) (model: Backbone) : unit =
        makeFolderOf path
        OnnxExport.Save(model, path)

    /// <summary>Rebuilds a model from a file alone.</summary>
    /// <example><code lang="fsharp">let model = load "checkpoints/small.safetensors"</code></example>
    let load (path: string) : Backbone = Checkpoint.Load path

    /// <summary>Fills a model with the parameters of a file, an official one for example. It is the same object.</summary>
    /// <example><code lang="fsharp">let model = Swin.tiny |> build |> withParameters "swin_tiny.safetensors"</code></example>
    let withParameters (path: string) (model: Backbone) : Backbone =
        Checkpoint.LoadInto(model, path)
        model

    /// The architecture that a file holds, without its parameters.
    let architectureIn (path: string) : Architecture = Checkpoint.ReadArchitecture path
