namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// What values look like as text. <c>LocalAttention.fsx</c> has F# Interactive use these for its values.
module Printing =
    let private lines (parts: string seq) = String.Join(Environment.NewLine, parts)

    let private plural (count: int) (one: string) =
        if count = 1 then $"1 {one}" else $"{count} {one}s"

    // Thousands are set apart as in the papers' tables; .NET's invariant "N0" is that.
    let private count (number: int64) = number.ToString "N0"

    let private square (side: Nullable<int>) =
        if side.HasValue then $"{side.Value}×{side.Value}" else ""

    let private orBlank (number: Nullable<int>) =
        if number.HasValue then string number.Value else ""

    /// One after the other of equal layers, told apart from the next by everything but their place.
    let private runs (layers: LayerTrace list) =
        let likeness (layer: LayerTrace) =
            layer.Kind, layer.Window, layer.Heads, layer.Output, layer.Parameters

        List.foldBack
            (fun (layer: LayerTrace) runs ->
                match runs with
                | (first: LayerTrace, length) :: rest when likeness layer = likeness first ->
                    (layer, length + 1) :: rest
                | _ -> (layer, 1) :: runs)
            layers
            []

    let private part (layer: LayerTrace) = layer.Place.Split(',') |> Array.head

    let private row (place: string) (layer: LayerTrace, length: int) =
        let parameters = int64 length * layer.Parameters.All

        [ place
          (if length = 1 then
               layer.Kind
           else
               $"{length} × {layer.Kind}")
          square layer.Window
          orBlank layer.Heads
          string layer.Output
          count parameters ]

    /// The rows of one stage; its name stands before the first.
    let private group (place: string, layers: LayerTrace list) =
        runs layers
        |> List.mapi (fun index run -> row (if index = 0 then place else "") run)

    let private columns =
        [ "part", Left
          "layers", Left
          "window", Right
          "heads", Right
          "output", Right
          "parameters", Right ]

    let private total (architecture: Architecture) =
        [ [ "total"; ""; ""; ""; ""; count (ParameterCount.Of(architecture).All) ] ]

    let private title (architecture: Architecture) =
        let outputs =
            match architecture.Head.Classes with
            | 0 -> "pooled features"
            | 1 -> "1 class"
            | classes -> $"{classes} classes"

        $"{architecture.Name}: images of {architecture.Resolution}×{architecture.ImageChannels}, {outputs}"

    /// Mistakes, one a line.
    let problems (mistakes: Problem list) : string =
        match mistakes with
        | [] -> "no mistakes"
        | _ ->
            lines
                [ plural (List.length mistakes) "mistake" + ":"
                  for mistake in mistakes do
                      $"  {mistake}" ]

    /// <summary>
    /// A table of an architecture's stages: layers, windows, heads, shapes, parameters; below it its mistakes, if it has any.
    /// </summary>
    /// <example><code lang="fsharp">printfn "%s" (Printing.architecture Swin.tiny)</code></example>
    let architecture (architecture: Architecture) : string =
        let parts =
            List.ofSeq (ShapeInference.Trace architecture)
            |> List.groupBy part
            |> List.map group

        lines
            [ title architecture
              Table.draw columns (parts @ [ total architecture ])
              match List.ofSeq (Validation.Check architecture) with
              | [] -> ()
              | mistakes -> $"This cannot be built. {problems mistakes}" ]

    let private named (name: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        if value = usual then [] else [ $"{name} {text value}" ]

    let private flag (name: string) (value: bool) (usual: bool) =
        if value = usual then
            []
        else
            [ (if value then name else $"no {name}") ]

    let private norm (norm: QueryNorm) =
        match norm with
        | Free -> "free"
        | Unit false -> "unit"
        | Unit true -> "unit, held in the gradient"
        | Largest limit -> $"at most {limit}"

    let private words (value: obj) =
        string value
        |> String.collect (fun letter ->
            if Char.IsUpper letter then
                $" {Char.ToLowerInvariant letter}"
            else
                string letter)
        |> _.Trim()

    /// What an attention's record says beside the kind, window and heads: only what is not the default.
    let private refinements (attention: Attention) =
        match attention with
        | QnA qna ->
            [ yield! named "queries" qna.Queries 2 string
              yield! named "width" qna.Width (Nullable()) (fun width -> string width.Value)
              yield! named "scale" qna.Scale AttentionScale.Normal words
              yield! named "position" qna.Position PositionBias.Relative words
              yield! flag "scaled position bias" qna.ScalePositionBias false
              yield! named "query norm" qna.Norm QueryNorm.Unit norm
              yield! flag "biases" qna.Bias false ]
        | Slide slide ->
            [ yield! named "padding" slide.Padding EdgePadding.Zeros words
              yield! flag "deformed path" slide.Deformed true
              yield! flag "qkv bias" slide.QkvBias true
              yield! named "scale" slide.Scale (Nullable()) (fun scale -> string scale.Value) ]
        | Window window ->
            [ yield! flag "shifted" window.Shifted false
              yield! named "order" window.Order QkvOrder.QkvMajor words
              yield! flag "qkv bias" window.QkvBias true
              yield! flag "projection bias" window.ProjectionBias true
              yield! flag "position bias" window.PositionBias true ]
        | Global everywhere ->
            [ yield! named "order" everywhere.Order QkvOrder.QkvMajor words
              yield! flag "qkv bias" everywhere.QkvBias true
              yield! flag "projection bias" everywhere.ProjectionBias true ]

    let private window (attention: Attention) =
        match attention with
        | QnA qna -> $" {qna.Window}×{qna.Window}"
        | Slide slide -> $" {slide.Window}×{slide.Window}"
        | Window window -> $" {window.Window}×{window.Window}"
        | Global _ -> ""

    let private attentionWords (heads: string) (attention: Attention) =
        $"{attention.Kind}{window attention}" :: heads :: refinements attention

    let private blockWords (heads: Attention -> string) (block: Block) =
        [ yield! attentionWords (heads block.Attention) block.Attention
          yield! named "MLP ratio" block.MlpRatio 4.0 string
          yield! named "layer scale" block.LayerScale (Nullable()) (fun scale -> string scale.Value) ]
        |> String.concat ", "

    let private given (attention: Attention) = plural attention.Heads "head"

    let private repeated (describe: 'value -> string) (values: 'value list) =
        List.foldBack
            (fun text runs ->
                match runs with
                | (first, length) :: rest when first = text -> (text, length + 1) :: rest
                | _ -> (text, 1) :: runs)
            (List.map describe values)
            []
        |> List.map (fun (text, length) -> if length = 1 then text else $"{length} × {text}")

    /// One attention on a line: kind, window, heads, and what is not the default.
    let attention (attention: Attention) : string =
        attentionWords (given attention) attention |> String.concat ", "

    /// One block on a line: kind, window, heads, and what is not the default.
    let block (block: Block) : string = blockWords given block

    /// One transition on a line.
    let transition (transition: Transition) : string =
        let channels =
            named "channels" transition.Channels (Nullable()) (fun channels -> string channels.Value)

        let inside (attention: QnAAttention) mlpRatio layerScale =
            block (Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale))

        match transition with
        | Merging _ -> "patch merging" :: channels
        | Strided convolution ->
            [ $"convolution {convolution.Kernel}×{convolution.Kernel}, stride {convolution.Stride}"
              yield! channels ]
        | QnADown down ->
            [ $"downsampling by {down.Stride} with {inside down.Attention down.MlpRatio down.LayerScale}"
              yield! channels
              yield! named "skip" down.Skip SkipPath.Convolution words ]
        | QnAUp up ->
            [ $"upsampling by {up.Factor} with {inside up.Attention up.MlpRatio up.LayerScale}"
              yield! channels ]
        |> String.concat ", "

    /// A stage's blocks, a line for each run of equal ones, and its transition.
    let stage (stage: Stage) : string =
        lines
            [ yield! repeated block (List.ofSeq stage.Blocks)
              match stage.Transition with
              | null -> ()
              | next -> $"then {transition next}" ]

    /// Blocks of the DSL, a line for each run of equal ones.
    let blocks (blocks: Blocks<'kind, 'heads, 'count>) : string =
        let heads =
            if typeof<'heads> = typeof<HeadsMissing> then
                fun _ -> "heads not given yet"
            else
                given

        match repeated (blockWords heads) blocks.Items with
        | [] -> "no block"
        | texts -> lines texts
