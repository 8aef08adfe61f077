namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// Rewrites of whole models. Each takes a function on blocks, which is any refinement or any composition of them, and
/// where to apply it; each returns a new model. Rewrites compose with <c>&gt;&gt;</c>, and their <c>try</c> forms, which
/// check each result, with <c>Result.bind</c>.
[<AutoOpen>]
module Rewrites =
    // ------------------------------------------------------------------------------------------ mistakes

    let private orRaise (architecture: Architecture) (mistakes: Problem list) =
        if not mistakes.IsEmpty then
            raise (SpecificationException($"'{architecture.Name}'", ValueList.From mistakes))

    /// The mistakes in the order in which an image meets them; those of the whole model first.
    let private alongTheWay (architecture: Architecture) (mistakes: Problem seq) =
        let order =
            ShapeInference.Trace architecture
            |> Seq.mapi (fun index layer -> layer.Place, index)
            |> Map.ofSeq

        // A place inside a part, "stem, convolution 2", or a whole stage stands where the first part of its name does.
        let position (problem: Problem) =
            match Map.tryFind problem.Place order with
            | Some index -> index
            | None ->
                let part = problem.Place.Split(',')[0]

                Map.toList order
                |> List.filter (fun (place, _) -> place.Split(',')[0] = part)
                |> List.map snd
                |> function
                    | [] when part.StartsWith "stage" -> System.Int32.MaxValue
                    | [] -> -1
                    | indices -> List.min indices

        mistakes |> List.ofSeq |> List.sortBy position

    /// <summary>
    /// A rewrite that checks its result: the model, or all its mistakes, the first one that an image would meet first.
    /// </summary>
    /// <example><code lang="fsharp">
    /// Swin.tiny
    /// |> validated (everyBlock (heads 6))
    /// |> Result.bind (validated (imageSize 256)) // Error: stage 1, block 1 …
    /// </code></example>
    let validated
        (change: Architecture -> Architecture)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        try
            let changed = change architecture

            match List.ofSeq (Validation.Check changed) with
            | [] -> Ok changed
            | mistakes -> Error(alongTheWay changed mistakes)
        with :? SpecificationException as refused ->
            Error(List.ofSeq refused.Problems)

    // ------------------------------------------------------------------------------------------ selected blocks

    let private requireStages (numbers: int list) (architecture: Architecture) =
        orRaise
            architecture
            [ for number in List.distinct numbers do
                  if number < 1 || number > architecture.Stages.Count then
                      Problem(
                          $"stage {number}",
                          $"'{architecture.Name}' has no such stage to rewrite",
                          $"use stages from 1 to {architecture.Stages.Count}"
                      ) ]

    let private mapStages (change: int -> Stage -> Stage) (architecture: Architecture) =
        architecture.With(
            stages = ValueList.From(Seq.mapi (fun index -> change (index + 1)) architecture.Stages)
        )

    /// Rewrites the blocks that are chosen among those of each stage; a stage without any stays the same object.
    let private rewriteChosen
        (chosen: PlacedBlock list -> bool list)
        (change: Blocks<'kind, HeadsGiven, One> -> Blocks<'replacement, HeadsGiven, 'count>)
        (architecture: Architecture)
        =
        let placed = Select.placed architecture

        architecture
        |> mapStages (fun number stage ->
            let choices = chosen placed[number - 1]

            if List.contains true choices then
                let rewritten (block: Block) isChosen =
                    if isChosen then
                        (change (Blocks.one block)).Items
                    else
                        [ block ]

                stage.With(blocks = ValueList.From(Seq.map2 rewritten stage.Blocks choices |> Seq.concat))
            else
                stage)

    /// <summary>Rewrites the blocks of a selection. One block may become several.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The selection names a stage that the model lacks; <c>tryRewrite</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">
    /// QnAViT.tiny |> rewrite (Select.qna &lt;&amp;&gt; Select.stage 3) (queries 4)
    /// Swin.tiny |> rewrite (Select.where (fun placed -> placed.Block.Attention.Heads > 6)) (mlpRatio 3.0)
    /// </code></example>
    let rewrite
        (selection: Selection<'kind>)
        (change: Blocks<'kind, HeadsGiven, One> -> Blocks<'replacement, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        requireStages selection.StageNumbers architecture
        architecture |> rewriteChosen (List.map selection.Holds) change

    /// The same, checked: the model, or its mistakes.
    let tryRewrite
        (selection: Selection<'kind>)
        (change: Blocks<'kind, HeadsGiven, One> -> Blocks<'replacement, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> validated (rewrite selection change)

    /// <summary>Another attention in the blocks of a selection, which otherwise stay as they are.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The selection names a stage that the model lacks; <c>tryReplace</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> replace (Select.stages [ 1; 2 ]) (slide 3)</code></example>
    let replace
        (selection: Selection<'kind>)
        (replacement: Blocks<'replacement, HeadsMissing, One>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite selection (attention replacement)

    /// The same, checked: the model, or its mistakes.
    let tryReplace
        (selection: Selection<'kind>)
        (replacement: Blocks<'replacement, HeadsMissing, One>)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> validated (replace selection replacement)

    /// <summary>
    /// Rewrites every second block of a selection, counted anew in each stage: the second of those that it holds there, the
    /// fourth, and so on.
    /// </summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The selection names a stage that the model lacks; <c>tryInterleave</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">
    /// Swin.tiny |> interleave Select.all (attention (slide 3)) // window, slide, window, slide, …
    /// Nat.mini |> interleave (Select.neighbourhood &lt;&amp;&gt; Select.stage 1) (dilated 8)
    /// </code></example>
    let interleave
        (selection: Selection<'kind>)
        (change: Blocks<'kind, HeadsGiven, One> -> Blocks<'replacement, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        requireStages selection.StageNumbers architecture

        let everySecond (blocks: PlacedBlock list) =
            let held = List.map selection.Holds blocks

            let numbers =
                List.scan (fun number isHeld -> if isHeld then number + 1 else number) 0 held

            List.map2 (fun isHeld number -> isHeld && number % 2 = 0) held (List.tail numbers)

        architecture |> rewriteChosen everySecond change

    /// The same, checked: the model, or its mistakes.
    let tryInterleave
        (selection: Selection<'kind>)
        (change: Blocks<'kind, HeadsGiven, One> -> Blocks<'replacement, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> validated (interleave selection change)

    /// <summary>Rewrites every block of a model. One block may become several.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyBlock (layerScale 1e-5 >> mlpRatio 3.0)</code></example>
    let everyBlock
        (change: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite Select.all change

    /// <summary>Rewrites every block of some stages, counted from 1.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The model has no such stage; <c>tryInStages</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">
    /// // The Slide Transformer paper's move: slide attention in the first two stages.
    /// Swin.tiny |> inStages [ 1; 2 ] (attention (slide 3))
    /// </code></example>
    let inStages
        (numbers: int list)
        (change: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite (Select.stages numbers) change

    /// The same, checked: the model, or its mistakes.
    let tryInStages
        (numbers: int list)
        (change: Blocks<AnyKind, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> validated (inStages numbers change)

    /// Rewrites every slide block of a model, to any kind.
    let everySlide
        (change: Blocks<Slide, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite Select.slide change

    /// <summary>Rewrites every block of window attention of a model, to any kind.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> everyWindow (attention (slide 3))</code></example>
    let everyWindow
        (change: Blocks<Window, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite Select.window change

    /// Rewrites every block of global attention of a model, to any kind.
    let everyGlobal
        (change: Blocks<Global, HeadsGiven, One> -> Blocks<'kind, HeadsGiven, 'count>)
        (architecture: Architecture)
        : Architecture =
        architecture |> rewrite Select.globalAttention change

    // ------------------------------------------------------------------------------------------ stages and transitions

    /// <summary>Changes some stages, counted from 1.</summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The model has no such stage; <c>tryMapStages</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> changeStages [ 1; 2; 3 ] (downsample (convolve 3))</code></example>
    let changeStages
        (numbers: int list)
        (change: Stage -> Stage)
        (architecture: Architecture)
        : Architecture =
        requireStages numbers architecture

        architecture
        |> mapStages (fun number stage -> if List.contains number numbers then change stage else stage)

    /// The same, checked: the model, or its mistakes.
    let tryMapStages
        (numbers: int list)
        (change: Stage -> Stage)
        (architecture: Architecture)
        : Result<Architecture, Problem list> =
        architecture |> validated (changeStages numbers change)

    let private inTransition
        (change: Blocks<QnA, HeadsGiven, One> -> Blocks<QnA, HeadsGiven, One>)
        (transition: Transition)
        : Transition =
        let rewritten attention mlpRatio layerScale =
            let block =
                (Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale)
                 |> Blocks.one
                 |> change)
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
        (change: Blocks<QnA, HeadsGiven, One> -> Blocks<QnA, HeadsGiven, One>)
        (architecture: Architecture)
        : Architecture =
        architecture
        |> rewrite Select.qna change
        |> mapStages (fun _ stage ->
            match stage.Transition with
            | null -> stage
            | transition -> stage.With(transition = inTransition change transition))

    // ------------------------------------------------------------------------------------------ kinds among blocks

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
    /// <example><code lang="fsharp">3 * (window 7 + qna 3) |> heads 4 |> whenQna (queries 4)</code></example>
    let whenQna
        (rewrite: Blocks<QnA, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks |> whenever Kinds.isQna rewrite

    /// Applies a rewrite to the slide blocks among some, and leaves the others.
    let whenSlide
        (rewrite: Blocks<Slide, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks |> whenever Kinds.isSlide rewrite

    /// Applies a rewrite to the blocks of window attention among some, and leaves the others.
    let whenWindow
        (rewrite: Blocks<Window, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks |> whenever Kinds.isWindow rewrite

    /// Applies a rewrite to the blocks of global attention among some, and leaves the others.
    let whenGlobal
        (rewrite: Blocks<Global, 'heads, One> -> Blocks<'replacement, 'heads, 'replacementCount>)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<AnyKind, 'heads, Many> =
        blocks |> whenever Kinds.isGlobal rewrite
