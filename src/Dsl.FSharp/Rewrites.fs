namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// Rewrites of whole models. Each takes a function on blocks, which is any refinement or any composition of them, and
/// where to apply it; each returns a new model. Rewrites compose with <c>&gt;&gt;</c>.
[<AutoOpen>]
module Rewrites =
    let private mapStages (change: int -> Stage -> Stage) (architecture: Architecture) =
        architecture.With(
            stages = ValueList.From(Seq.mapi (fun index -> change (index + 1)) architecture.Stages)
        )

    let private rewriteBlocks rewrite (stage: Stage) =
        stage.With(blocks = ValueList.From(Seq.collect (ofBlock >> rewrite >> toBlocks) stage.Blocks))

    // ------------------------------------------------------------------------------------------ which blocks

    let private whenever
        (isMeant: Attention -> bool)
        (rewrite: Blocks<'meant, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        let rewritten (block: Block) =
            if isMeant block.Attention then
                (rewrite (Blocks.one block)).Items
            else
                [ block ]

        { Items = List.collect rewritten blocks.Items }

    /// <summary>Applies a rewrite to the QnA blocks among some, and leaves the others.</summary>
    /// <example><code lang="fsharp">QnAViT.tiny |> inStages [ 3 ] (whenQna (attention (slide 3)))</code></example>
    let whenQna
        (rewrite: Blocks<QnA, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks
        |> whenever
            (function
            | QnA _ -> true
            | _ -> false)
            rewrite

    /// Applies a rewrite to the slide blocks among some, and leaves the others.
    let whenSlide
        (rewrite: Blocks<Slide, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks
        |> whenever
            (function
            | Slide _ -> true
            | _ -> false)
            rewrite

    /// Applies a rewrite to the blocks of window attention among some, and leaves the others.
    let whenWindow
        (rewrite: Blocks<Window, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks
        |> whenever
            (function
            | Window _ -> true
            | _ -> false)
            rewrite

    /// Applies a rewrite to the blocks of global attention among some, and leaves the others.
    let whenGlobal
        (rewrite: Blocks<Global, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks
        |> whenever
            (function
            | Global _ -> true
            | _ -> false)
            rewrite

    // ------------------------------------------------------------------------------------------ every block of a model

    /// <summary>Rewrites every block of a model. One block may become several.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyBlock (layerScale 1e-5 >> mlpRatio 3.0)</code></example>
    let everyBlock
        (rewrite: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> mapStages (fun _ -> rewriteBlocks rewrite)

    let private inTransition
        (rewrite: Blocks<QnA, HeadsGiven, One> -> Blocks<QnA, HeadsGiven, One>)
        (transition: Transition)
        : Transition =
        let rewritten attention mlpRatio layerScale =
            let block =
                (Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale)
                 |> Blocks.one
                 |> rewrite)
                    .Items.Head

            block.Attention :?> QnAAttention, block

        match transition with
        | QnADown down ->
            let attention, block = rewritten down.Attention down.MlpRatio down.LayerScale

            QnADownsampling(
                attention,
                Stride = down.Stride,
                Skip = down.Skip,
                Channels = down.Channels,
                MlpRatio = block.MlpRatio,
                LayerScale = block.LayerScale
            )
        | QnAUp up ->
            let attention, block = rewritten up.Attention up.MlpRatio up.LayerScale

            QnAUpsampling(
                attention,
                Factor = up.Factor,
                Channels = up.Channels,
                MlpRatio = block.MlpRatio,
                LayerScale = block.LayerScale
            )
        | Merging _
        | Strided _ -> transition

    /// <summary>Rewrites every QnA block of a model, those in its transitions included; it stays a QnA block.</summary>
    /// <example><code lang="fsharp">let family = [ for k in [ 3; 5; 7; 9 ] -> QnAViT.tiny |> everyQna (windowSize k) ]</code></example>
    let everyQna
        (rewrite: Blocks<QnA, HeadsGiven, One> -> Blocks<QnA, HeadsGiven, One>)
        (architecture: Architecture)
        : Architecture =
        architecture
        |> everyBlock (whenQna rewrite)
        |> mapStages (fun _ stage ->
            match stage.Transition with
            | null -> stage
            | transition -> stage.With(transition = inTransition rewrite transition))

    /// Rewrites every slide block of a model, to any kind.
    let everySlide
        (rewrite: Blocks<Slide, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> everyBlock (whenSlide rewrite)

    /// <summary>Rewrites every block of window attention of a model, to any kind.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyWindow (attention (slide 3))</code></example>
    let everyWindow
        (rewrite: Blocks<Window, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> everyBlock (whenWindow rewrite)

    /// Rewrites every block of global attention of a model, to any kind.
    let everyGlobal
        (rewrite: Blocks<Global, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> everyBlock (whenGlobal rewrite)

    // ------------------------------------------------------------------------------------------ some stages of a model

    let private missingStages (numbers: int list) (architecture: Architecture) =
        [ for number in List.distinct numbers do
              if number < 1 || number > architecture.Stages.Count then
                  Problem(
                      $"stage {number}",
                      $"'{architecture.Name}' has no such stage to rewrite",
                      $"use stages from 1 to {architecture.Stages.Count}"
                  ) ]

    /// Changes some stages, counted from 1, or says which of them the model does not have.
    let tryMapStages
        (numbers: int list)
        (change: Stage -> Stage)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        match missingStages numbers architecture with
        | [] ->
            architecture
            |> mapStages (fun number stage -> if List.contains number numbers then change stage else stage)
            |> Ok
        | missing -> Error missing

    let private orRaise (architecture: Architecture) (result: Result<Architecture, Problem list>) =
        match result with
        | Ok rewritten -> rewritten
        | Error problems -> raise (SpecificationException($"'{architecture.Name}'", ValueList.From problems))

    /// <summary>Changes some stages, counted from 1.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The model has no such stage; <c>tryMapStages</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> changeStages [ 1; 2; 3 ] (downsample (convolve 3))</code></example>
    let changeStages
        (numbers: int list)
        (change: Stage -> Stage)
        (architecture: Architecture)
        : Architecture =
        architecture |> tryMapStages numbers change |> orRaise architecture

    /// Rewrites every block of some stages, counted from 1, or says which of them the model does not have.
    let tryInStages
        (numbers: int list)
        (rewrite: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> tryMapStages numbers (rewriteBlocks rewrite)

    /// <summary>Rewrites every block of some stages, counted from 1.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The model has no such stage; <c>tryInStages</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">
    /// // The Slide Transformer paper's move: slide attention in the first two stages.
    /// Swin.tiny |> inStages [ 1; 2 ] (attention (slide 3))
    /// </code></example>
    let inStages
        (numbers: int list)
        (rewrite: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> changeStages numbers (rewriteBlocks rewrite)
