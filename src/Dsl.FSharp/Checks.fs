namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// What is known of an architecture without a tensor: its mistakes, shapes, parameters, and its text.
[<AutoOpen>]
module Checks =
    /// <summary>All mistakes of an architecture; none when it builds.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyBlock (heads 5) |> problems |> List.iter (printfn "%O")</code></example>
    let problems (architecture: Architecture) : Problem list =
        List.ofSeq (Validation.Check architecture)

    /// The architecture if it builds, and otherwise all its mistakes.
    let validate (architecture: Architecture) : Result<Architecture, Problem list> =
        match problems architecture with
        | [] -> Ok architecture
        | mistakes -> Error mistakes

    /// The mistakes that images of another size would make; none when the model takes them.
    let sizeProblems (height: int) (width: int) (architecture: Architecture) : Problem list =
        List.ofSeq (Validation.CheckSize(architecture, ImageSize(height, width)))

    /// <summary>What happens to an image on its way, part by part: kinds, windows, heads, shapes, parameters.</summary>
    /// <example><code lang="fsharp">[ for layer in trace Swin.tiny -> layer.Place, string layer.Output ]</code></example>
    let trace (architecture: Architecture) : LayerTrace list =
        List.ofSeq (ShapeInference.Trace architecture)

    /// The same for images of another size.
    let traceAt (height: int) (width: int) (architecture: Architecture) : LayerTrace list =
        List.ofSeq (ShapeInference.Trace(architecture, ImageSize(height, width)))

    /// <summary>The shape of each stage's map, after its transition.</summary>
    /// <example><code lang="fsharp">shapes QnAViT.tiny |> List.map string // ["28×28×128"; "14×14×256"; …]</code></example>
    let shapes (architecture: Architecture) : MapShape list =
        let parts = trace architecture

        [ for number in 1 .. architecture.Stages.Count do
              let ofStage = parts |> List.filter _.Place.StartsWith($"stage {number},")

              match List.tryLast ofStage with
              | Some last -> last.Output
              | None -> () ]

    /// All parameters, as the official implementations count them.
    let parameters (architecture: Architecture) : int64 = ParameterCount.Of(architecture).All

    /// The parameters that an optimiser changes: fixed shift weights are not among them.
    let trainableParameters (architecture: Architecture) : int64 =
        ParameterCount.Of(architecture).Trainable

    /// The architecture as JSON.
    let toJson (architecture: Architecture) : string = SpecificationJson.Write architecture

    /// <summary>An architecture from JSON, or what is wrong with the text.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> toJson |> ofJson // Ok Swin.tiny</code></example>
    let ofJson (json: string) : Result<Architecture, Problem list> =
        try
            Ok(SpecificationJson.Read json)
        with :? SpecificationException as mistakes ->
            Error(List.ofSeq mistakes.Problems)
