namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// A block with its place in a model: what a selection is asked about.
[<RequireQualifiedAccess; StructuredFormatDisplay("{Text}")>]
type PlacedBlock =
    {
        /// The number of its stage, counted from 1.
        Stage: int
        /// How many stages the model has.
        Stages: int
        /// Its number in the stage, counted from 1.
        Number: int
        /// How many blocks the stage has.
        Blocks: int
        /// The block itself.
        Block: Block
    }

    /// The place and the block on a line.
    member this.Text: string = $"{this}: {Words.block Words.givenHeads this.Block}"

    /// The place as tables and mistakes name it: <c>stage 2, block 3</c>.
    override this.ToString() =
        $"stage {this.Stage}, block {this.Number}"

/// <summary>
/// Some blocks of any model, as a value: by stage, by number, by kind, or by any question. Selections form a Boolean algebra
/// under <c>&lt;&amp;&gt;</c>, <c>&lt;|&gt;</c> and <c>Select.not</c>. Blocks that are all of one kind are so in the type, so that
/// <c>rewrite Select.qna (queries 4)</c> compiles and <c>rewrite Select.slide (queries 4)</c> does not.
/// </summary>
/// <example><code lang="fsharp">Select.stages [ 1; 2 ] &lt;&amp;&gt; Select.not Select.qna</code></example>
[<StructuredFormatDisplay("{Text}"); NoComparison; NoEquality>]
type Selection<'kind> =
    internal
        { Says: string
          StageNumbers: int list
          Holds: PlacedBlock -> bool }

    /// The selection in words.
    member this.Text: string = this.Says

    /// The same as <c>Text</c>.
    override this.ToString() = this.Says

/// Selections combined; F#'s own <c>&amp;&amp;&amp;</c> asks for two values of one type, which selections of two kinds are not.
[<AutoOpen>]
module SelectionOperators =
    /// <summary>Blocks that are in both; they are of the first one's kind.</summary>
    /// <example><code lang="fsharp">Select.qna &lt;&amp;&gt; Select.stage 3</code></example>
    let (<&>) (first: Selection<'first>) (second: Selection<'second>) : Selection<'first> =
        { Says = $"({first.Says} and {second.Says})"
          StageNumbers = first.StageNumbers @ second.StageNumbers
          Holds = fun placed -> first.Holds placed && second.Holds placed }

    /// <summary>Blocks that are in one or in both.</summary>
    /// <example><code lang="fsharp">Select.window &lt;|&gt; Select.globalAttention</code></example>
    let (<|>) (first: Selection<'first>) (second: Selection<'second>) : Selection<AnyKind> =
        { Says = $"({first.Says} or {second.Says})"
          StageNumbers = first.StageNumbers @ second.StageNumbers
          Holds = fun placed -> first.Holds placed || second.Holds placed }

/// What kinds of attention are asked by.
module internal Kinds =
    let isQna (attention: Attention) = attention :? QnAAttention
    let isSlide (attention: Attention) = attention :? SlideAttention
    let isWindow (attention: Attention) = attention :? WindowAttention
    let isGlobal (attention: Attention) = attention :? GlobalAttention

/// Selections of blocks, for <c>rewrite</c>, <c>replace</c> and <c>interleave</c>.
[<RequireQualifiedAccess>]
module Select =
    let private asking (says: string) (holds: PlacedBlock -> bool) : Selection<'kind> =
        { Says = says
          StageNumbers = []
          Holds = holds }

    let private ofKind (says: string) (isMeant: Attention -> bool) : Selection<'kind> =
        asking says (fun placed -> isMeant placed.Block.Attention)

    let private list (numbers: int list) = String.Join(", ", numbers)

    /// Every block.
    let all: Selection<AnyKind> = asking "all blocks" (fun _ -> true)

    /// No block.
    let none: Selection<AnyKind> = asking "no block" (fun _ -> false)

    /// <summary>The blocks of some stages, counted from 1. A rewrite refuses a model that lacks one of them.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> rewrite (Select.stages [ 1; 2 ]) (attention (slide 3))</code></example>
    let stages (numbers: int list) : Selection<AnyKind> =
        { Says = $"stages {list numbers}"
          StageNumbers = numbers
          Holds = fun placed -> List.contains placed.Stage numbers }

    /// The blocks of one stage, counted from 1. A rewrite refuses a model that lacks it.
    let stage (number: int) : Selection<AnyKind> =
        { stages [ number ] with
            Says = $"stage {number}" }

    /// <summary>The blocks of some numbers in their stages, counted from 1. A stage may have fewer.</summary>
    /// <example><code lang="fsharp">Swin.small |> rewrite (Select.stage 3 &lt;&amp;&gt; Select.blocks [ 1; 2 ]) (mlpRatio 3.0)</code></example>
    let blocks (numbers: int list) : Selection<AnyKind> =
        asking $"blocks {list numbers}" (fun placed -> List.contains placed.Number numbers)

    /// <summary>Every <c>step</c>-th block of each stage: for 2, the second, the fourth and so on; for 0 and below, none.</summary>
    /// <example><code lang="fsharp">Nat.mini |> rewrite (Select.neighbourhood &lt;&amp;&gt; Select.every 2) (dilated 2)</code></example>
    let every (step: int) : Selection<AnyKind> =
        asking $"every block of number {step}·n" (fun placed -> step > 0 && placed.Number % step = 0)

    /// The first block of each stage.
    let first: Selection<AnyKind> =
        asking "first blocks" (fun placed -> placed.Number = 1)

    /// The last block of each stage.
    let last: Selection<AnyKind> =
        asking "last blocks" (fun placed -> placed.Number = placed.Blocks)

    /// The QnA blocks; those in transitions are <c>everyQna</c>'s alone.
    let qna: Selection<QnA> = ofKind "qna blocks" Kinds.isQna

    /// The slide blocks.
    let slide: Selection<Slide> = ofKind "slide blocks" Kinds.isSlide

    /// The blocks of window attention, plain and shifted.
    let window: Selection<Window> = ofKind "window blocks" Kinds.isWindow

    /// The blocks of neighbourhood attention, plain and dilated.
    let neighbourhood: Selection<Neighbourhood> =
        ofKind "neighbourhood blocks" (fun attention -> attention :? NeighbourhoodAttention)

    /// The blocks of attention in stripes.
    let crossShaped: Selection<CrossShaped> =
        ofKind "cross-shaped blocks" (fun attention -> attention :? CrossShapedAttention)

    /// The blocks whose keys come from patches of the map.
    let spatialReduction: Selection<SpatialReduction> =
        ofKind "reduction blocks" (fun attention -> attention :? SpatialReductionAttention)

    /// The blocks whose keys come from a pooled map.
    let pooled: Selection<Pooled> =
        ofKind "pooled blocks" (fun attention -> attention :? PooledAttention)

    /// The blocks of global attention.
    let globalAttention: Selection<Global> = ofKind "global blocks" Kinds.isGlobal

    /// <summary>The blocks of which something is true.</summary>
    /// <example><code lang="fsharp">Select.where (fun placed -> placed.Block.Attention.Heads > 12)</code></example>
    let where (holds: PlacedBlock -> bool) : Selection<AnyKind> = asking "blocks by a question" holds

    /// <summary>All other blocks.</summary>
    /// <example><code lang="fsharp">Select.not (Select.stages [ 1; 2 ])</code></example>
    let not (selection: Selection<'kind>) : Selection<AnyKind> =
        { Says = $"not {selection.Says}"
          StageNumbers = selection.StageNumbers
          Holds = selection.Holds >> not }

    /// The blocks of each stage, with their places.
    let internal placed (architecture: Architecture) : PlacedBlock list list =
        [ for number, stage in Seq.indexed architecture.Stages ->
              [ for index, block in Seq.indexed stage.Blocks ->
                    { PlacedBlock.Stage = number + 1
                      Stages = architecture.Stages.Count
                      Number = index + 1
                      Blocks = stage.Blocks.Count
                      Block = block } ] ]

    /// <summary>The blocks of a model that a selection holds, in order.</summary>
    /// <example><code lang="fsharp">DiNAT.mini |> Select.from Select.neighbourhood |> List.map string // ["stage 1, block 1"; …]</code></example>
    let from (selection: Selection<'kind>) (architecture: Architecture) : PlacedBlock list =
        placed architecture |> List.concat |> List.filter selection.Holds
