namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification
open LocalAttention.Dsl.Expressions

/// Blocks in a row: one, or two that alternate, so many times.
[<NoComparison>]
type internal Run = { Times: int; Blocks: Block list }

/// Blocks as code of the language.
module internal BlockCode =
    // ------------------------------------------------------------------------------------------ attentions

    let private norm (norm: QueryNorm) =
        match norm with
        | Free -> "freeNorm"
        | Unit false -> "unitNorm"
        | Unit true -> "unitNormHeld"
        | Largest limit -> $"(largestNorm {real limit})"

    let private qkvBias (biased: bool) = unusual "qkvBias" biased true flag

    let private selfAttention (order: QkvOrder) qkv projection =
        [ unusual "qkvOrder" order QkvOrder.QkvMajor choice
          (if not qkv && not projection then
               [ "biases false" ]
           else
               qkvBias qkv @ unusual "projectionBias" projection true flag) ]
        |> List.concat

    let private windowRefinements (window: WindowAttention) =
        let isLocal =
            window.Order = QkvOrder.HeadMajor
            && not window.QkvBias
            && not window.ProjectionBias

        let position = unusual "relativeBias" window.PositionBias true flag

        if isLocal then
            $"localWindow {integer window.Window}", position
        else
            $"window {integer window.Window}",
            selfAttention window.Order window.QkvBias window.ProjectionBias @ position

    /// The word for an attention, and what refines it; its heads are those of its block.
    let private kind (attention: Attention) : string * string list =
        match attention with
        | QnA qna ->
            $"qna {integer qna.Window}",
            List.concat
                [ unusual "queries" qna.Queries 2 integer
                  given "width" qna.Width integer
                  unusual "attentionScale" qna.Scale AttentionScale.Normal choice
                  unusual "position" qna.Position PositionBias.Relative choice
                  unusual "scalePosition" qna.ScalePositionBias false flag
                  unusual "queryNorm" qna.Norm QueryNorm.Unit norm
                  unusual "biases" qna.Bias false flag ]
        | Slide slide ->
            $"slide {integer slide.Window}",
            List.concat
                [ unusual "padding" slide.Padding EdgePadding.Zeros choice
                  unusual "deformed" slide.Deformed true flag
                  qkvBias slide.QkvBias
                  given "logitScale" slide.Scale real ]
        | Window window ->
            let word, refinements = windowRefinements window
            (if window.Shifted then $"shifted ({word})" else word), refinements
        | Neighbourhood neighbourhood ->
            let word = $"neighbourhood {integer neighbourhood.Window}"

            (if neighbourhood.Dilation = 1 then
                 word
             else
                 $"dilated {integer neighbourhood.Dilation} ({word})"),
            qkvBias neighbourhood.QkvBias
            @ unusual "relativeBias" neighbourhood.PositionBias true flag
        | CrossShaped cross -> $"crossShaped {integer cross.Stripe}", qkvBias cross.QkvBias
        | FewerKeys(SpatialReduction reduced) ->
            $"spatialReduction {integer reduced.Reduction}", qkvBias reduced.QkvBias
        | FewerKeys(Pooled pooled) -> $"pooledAttention {integer pooled.Pool}", qkvBias pooled.QkvBias
        | Global everywhere ->
            "globalAttention",
            (if everywhere.LocallyEnhanced then
                 [ "locallyEnhanced" ]
             else
                 [])
            @ selfAttention everywhere.Order everywhere.QkvBias everywhere.ProjectionBias

    // ------------------------------------------------------------------------------------------ blocks

    let private branches (mlpRatio: float) (layerScale: Nullable<float>) =
        unusual "mlpRatio" mlpRatio 4.0 real @ given "layerScale" layerScale real

    /// What can be said of blocks of any kind.
    let private ofAnyKind (block: Block) =
        $"heads {integer block.Attention.Heads}"
        :: branches block.MlpRatio block.LayerScale
        @ unusual "mlpConvolution" block.MlpConvolution MlpConvolution.None choice

    let private ofKind (block: Block) : Expression =
        let word, refinements = kind block.Attention

        { Terms = [ word ]
          Pipes = refinements }

    let rec private runs (blocks: Block list) : Run list =
        match blocks with
        | [] -> []
        | first :: _ ->
            let equal = blocks |> List.takeWhile ((=) first) |> List.length

            let alternating =
                blocks
                |> List.chunkBySize 2
                |> List.takeWhile ((=) (List.truncate 2 blocks))
                |> List.length

            if equal = 1 && alternating > 1 then
                { Times = alternating
                  Blocks = List.truncate 2 blocks }
                :: runs (List.skip (2 * alternating) blocks)
            else
                { Times = equal; Blocks = [ first ] } :: runs (List.skip equal blocks)

    let private times (count: int) (text: string) =
        if count = 1 then text else $"{count} * {text}"

    /// Plain and shifted windows in turn, alike in all else.
    let private swin (blocks: Block list) : Expression option =
        let windows =
            blocks
            |> List.map (fun block ->
                match block.Attention with
                | Window window -> Some window
                | _ -> None)

        match windows with
        | Some first :: _ :: _ when
            windows
            |> List.indexed
            |> List.forall (fun (index, window) -> window = Some(first.With(shifted = (index % 2 = 1))))
            && not first.Shifted
            ->
            Some
                { Terms = [ $"swinBlocks {blocks.Length} {integer first.Window}" ]
                  Pipes =
                    selfAttention first.Order first.QkvBias first.ProjectionBias
                    @ unusual "relativeBias" first.PositionBias true flag }
        | _ -> None

    /// Runs of blocks that are alike in what can be said of any kind; that is said once.
    let private group (shared: string list) (members: Run list) : Expression =
        let blocks =
            members
            |> List.collect (fun run -> List.replicate run.Times run.Blocks |> List.concat)

        match swin blocks, members with
        | Some alternating, _ ->
            { alternating with
                Pipes = shared @ alternating.Pipes }
        | None, [ { Blocks = [ block ] } as run ] ->
            let kind = ofKind block

            { Terms = [ times run.Times kind.Terms.Head ]
              Pipes = shared @ kind.Pipes }
        | None, _ ->
            { Terms =
                [ for run in members do
                      match run.Blocks with
                      | [ block ] -> times run.Times (term (ofKind block))
                      | pair ->
                          let both = pair |> List.map (ofKind >> term) |> String.concat " + "
                          times run.Times $"({both})" ]
              Pipes = shared }

    /// One block.
    let alone (block: Block) =
        group (ofAnyKind block) [ { Times = 1; Blocks = [ block ] } ]

    let rec private groups (members: Run list) : Expression list =
        match members with
        | [] -> []
        | { Blocks = first :: others } :: _ when
            others |> List.forall (fun block -> ofAnyKind block = ofAnyKind first)
            ->
            let shared = ofAnyKind first

            let alike (run: Run) =
                run.Blocks |> List.forall (fun block -> ofAnyKind block = shared)

            group shared (List.takeWhile alike members)
            :: groups (List.skipWhile alike members)
        | run :: rest ->
            let both = run.Blocks |> List.map (alone >> term) |> String.concat " + "

            { Terms = [ times run.Times $"({both})" ]
              Pipes = [] }
            :: groups rest

    /// Blocks in a row.
    let inRow (blocks: Block list) : Expression =
        match groups (runs blocks) with
        | [ single ] -> single
        | several ->
            { Terms = List.map term several
              Pipes = [] }
