namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// Blocks of each kind of attention, and what can be refined about them. Refinements of different things commute:
/// <c>heads 8 |> queries 3</c> is <c>queries 3 |> heads 8</c>.
[<AutoOpen>]
module Attentions =
    /// Heads of a block that has none yet. No function lets it out: a stage takes blocks with heads only.
    let private headless = 1

    // ------------------------------------------------------------------------------------------ the kinds

    /// <summary>A block of query-and-attend in a window of <c>size</c>×<c>size</c> tokens, with two learned queries.</summary>
    /// <example><code lang="fsharp">stage (2 * qna 3 |> heads 8 |> queries 4)</code></example>
    let qna (size: int) : Blocks<QnA, HeadsMissing, One> =
        Blocks.one (Block(QnAAttention(size, headless)))

    /// <summary>A block of Slide Attention in a window of <c>size</c>×<c>size</c> tokens, its shifts deformed by a learned path.</summary>
    /// <example><code lang="fsharp">stage (2 * slide 3 |> heads 3 |> padding EdgePadding.Circular)</code></example>
    let slide (size: int) : Blocks<Slide, HeadsMissing, One> =
        Blocks.one (Block(SlideAttention(size, headless)))

    /// <summary>A block of attention in windows of <c>size</c>×<c>size</c> tokens that do not overlap.</summary>
    /// <example><code lang="fsharp">stage (4 * window 14 |> heads 8)</code></example>
    let window (size: int) : Blocks<Window, HeadsMissing, One> =
        Blocks.one (Block(WindowAttention(size, headless)))

    /// <summary>A block of attention of all tokens to all tokens.</summary>
    /// <example><code lang="fsharp">stage (2 * globalAttention |> heads 16)</code></example>
    let globalAttention: Blocks<Global, HeadsMissing, One> =
        Blocks.one (Block(GlobalAttention(headless)))

    /// <summary>
    /// A block of attention to fewer keys: one for each patch of <c>side</c>×<c>side</c> tokens; 1: one for each token.
    /// </summary>
    /// <example><code lang="fsharp">stage (2 * spatialReduction 8 |> heads 1 |> mlpRatio 8.0) |> positions</code></example>
    let spatialReduction (side: int) : Blocks<SpatialReduction, HeadsMissing, One> =
        Blocks.one (Block(SpatialReductionAttention(side, headless)))

    /// <summary>A block of attention to <c>side</c>×<c>side</c> keys, however many tokens there are.</summary>
    /// <example><code lang="fsharp">stage (3 * pooledAttention 7 |> heads 1 |> mlpConvolution MlpConvolution.DepthwiseAfterRelu)</code></example>
    let pooledAttention (side: int) : Blocks<Pooled, HeadsMissing, One> =
        Blocks.one (Block(PooledAttention(side, headless)))

    /// <summary>
    /// A block of attention in stripes of <c>width</c> tokens, vertical ones for half of its heads and horizontal ones for the
    /// others, which are an even number.
    /// </summary>
    /// <example><code lang="fsharp">stage (21 * crossShaped 7 |> heads 8)</code></example>
    let crossShaped (width: int) : Blocks<CrossShaped, HeadsMissing, One> =
        Blocks.one (Block(CrossShapedAttention(width, headless)))

    /// <summary>A block of attention in a window of <c>size</c>×<c>size</c> tokens around each, moved inwards at the border.</summary>
    /// <example><code lang="fsharp">stage (3 * (neighbourhood 7 + dilated 8 (neighbourhood 7)) |> heads 2)</code></example>
    let neighbourhood (size: int) : Blocks<Neighbourhood, HeadsMissing, One> =
        Blocks.one (Block(NeighbourhoodAttention(size, headless)))

    /// <summary>The same windows of every <c>step</c>-th token.</summary>
    /// <example><code lang="fsharp">3 * (neighbourhood 7 + dilated 8 (neighbourhood 7)) |> heads 2</code></example>
    let dilated
        (step: int)
        (blocks: Blocks<Neighbourhood, 'heads, 'count>)
        : Blocks<Neighbourhood, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (neighbourhood: NeighbourhoodAttention) -> neighbourhood.With(dilation = step))

    /// <summary>
    /// Attention of all tokens to all, to whose output a depthwise convolution of the values is added: CSwin's last stage.
    /// </summary>
    /// <example><code lang="fsharp">stage (globalAttention |> locallyEnhanced |> heads 16)</code></example>
    let locallyEnhanced (blocks: Blocks<Global, 'heads, 'count>) : Blocks<Global, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (everywhere: GlobalAttention) -> everywhere.With(locallyEnhanced = true))

    /// <summary>The same windows, moved by half their side in both directions.</summary>
    /// <example><code lang="fsharp">3 * (window 7 + shifted (window 7)) |> heads 12</code></example>
    let shifted (blocks: Blocks<Window, 'heads, 'count>) : Blocks<Window, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(shifted = true))

    /// <summary>Swin's blocks: windows of <c>size</c>×<c>size</c> tokens, every second one shifted.</summary>
    /// <example><code lang="fsharp">stage (swinBlocks 6 7 |> heads 12)</code></example>
    let swinBlocks (count: int) (size: int) : Blocks<Window, HeadsMissing, Many> =
        { Items =
            [ for index in 1..count do
                  yield! (if index % 2 = 0 then shifted (window size) else window size).Items ] }

    /// A block of the records as it is, for code that works on those.
    let ofBlock (block: Block) : Blocks<AnyKind, HeadsGiven, One> = Blocks.one block

    /// The records of blocks whose heads are given.
    let toBlocks (blocks: Blocks<'kind, HeadsGiven, 'count>) : Block list = blocks.Items

    // ------------------------------------------------------------------------------------------ of every kind

    /// <summary>The number of heads, which must divide the block's channels.</summary>
    /// <example><code lang="fsharp">2 * qna 3 |> heads 8</code></example>
    let heads (count: int) (blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, HeadsGiven, 'count> =
        blocks |> Blocks.mapAttention _.WithHeads(count)

    /// Hidden channels of the MLP over the block's: 4 unless said.
    let mlpRatio (ratio: float) (blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, 'heads, 'count> =
        blocks |> Blocks.map _.With(mlpRatio = ratio)

    /// <summary>A learned scale of both branches that starts at <c>initial</c> (arXiv 2103.17239).</summary>
    /// <example><code lang="fsharp">2 * slide 3 |> heads 3 |> layerScale 1e-5</code></example>
    let layerScale (initial: float) (blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, 'heads, 'count> =
        blocks |> Blocks.map _.With(layerScale = initial)

    /// Branches without a layer scale, as blocks are made.
    let noLayerScale (blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.map (fun block ->
            Block(block.Attention, MlpRatio = block.MlpRatio, MlpConvolution = block.MlpConvolution))

    /// <summary>Whether the MLP mixes neighbouring tokens: a depthwise convolution of its hidden channels, none unless said.</summary>
    /// <example><code lang="fsharp">3 * spatialReduction 8 |> heads 1 |> mlpConvolution MlpConvolution.Depthwise</code></example>
    let mlpConvolution
        (convolution: MlpConvolution)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<'kind, 'heads, 'count> =
        blocks |> Blocks.map _.With(mlpConvolution = convolution)

    /// <summary>The side of the attention window. Among blocks of several kinds, those without a window stay as they are.</summary>
    /// <example><code lang="fsharp">QnAViT.tiny |> everyQna (windowSize 7)</code></example>
    let windowSize
        (size: int)
        (blocks: Blocks<'kind, 'heads, 'count> when 'kind :> HasWindow)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (qna: QnAAttention) -> qna.With(window = size))
        |> Blocks.mapOnly (fun (slide: SlideAttention) -> slide.With(window = size))
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(window = size))
        |> Blocks.mapOnly (fun (neighbourhood: NeighbourhoodAttention) -> neighbourhood.With(window = size))

    /// <summary>Another attention in blocks that otherwise stay as they are: heads, MLP and layer scale are theirs.</summary>
    /// <example><code lang="fsharp">Swin.tiny |> inStages [ 1; 2 ] (attention (slide 3))</code></example>
    let attention
        (replacement: Blocks<'kind, HeadsMissing, One>)
        (blocks: Blocks<'replaced, 'heads, 'count>)
        : Blocks<'kind, 'heads, 'count> =
        let template = replacement.Items.Head.Attention

        blocks
        |> Blocks.mapAttention (fun replaced -> template.WithHeads replaced.Heads)

    // ------------------------------------------------------------------------------------------ QnA

    let private ofQnA
        (change: QnAAttention -> QnAAttention)
        (blocks: Blocks<QnA, 'heads, 'count>)
        : Blocks<QnA, 'heads, 'count> =
        Blocks.mapOnly change blocks

    /// <summary>Learned queries; the outputs of all of them are summed. 2 unless said.</summary>
    /// <example><code lang="fsharp">2 * qna 3 |> heads 8 |> queries 4</code></example>
    let queries (count: int) (blocks: Blocks<QnA, 'heads, 'count>) : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(queries = count)

    /// Channels of queries and values, where they are not those of the output; the heads then divide these.
    let width (channels: int) (blocks: Blocks<QnA, 'heads, 'count>) : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(width = channels)

    /// <summary>How offsets and queries are weighed in the numerator.</summary>
    /// <example><code lang="fsharp">qna 3 |> attentionScale AttentionScale.PositiveNegative |> heads 8</code></example>
    let attentionScale
        (scale: AttentionScale)
        (blocks: Blocks<QnA, 'heads, 'count>)
        : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(scale = scale)

    /// <summary>How scores depend on the offset in the window.</summary>
    /// <example><code lang="fsharp">qna 5 |> position PositionBias.Contextual |> heads 8</code></example>
    let position (bias: PositionBias) (blocks: Blocks<QnA, 'heads, 'count>) : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(position = bias)

    /// Whether the relative position bias is divided by √d.
    let scalePosition (scaled: bool) (blocks: Blocks<QnA, 'heads, 'count>) : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(scalePositionBias = scaled)

    /// <summary>What is done to the norm of the queries: <c>freeNorm</c>, <c>unitNorm</c>, <c>unitNormHeld</c>, <c>largestNorm 1.0</c>.</summary>
    /// <example><code lang="fsharp">qna 3 |> queryNorm (largestNorm 1.0) |> heads 8</code></example>
    let queryNorm (norm: QueryNorm) (blocks: Blocks<QnA, 'heads, 'count>) : Blocks<QnA, 'heads, 'count> =
        blocks |> ofQnA _.With(norm = norm)

    /// Queries as they are.
    let freeNorm: QueryNorm = QueryNorm.Free

    /// Queries of norm 1: the default.
    let unitNorm: QueryNorm = QueryNorm.Unit

    /// Queries of norm 1, the norm held constant in the gradient.
    let unitNormHeld: QueryNorm = UnitNorm(StopGradient = true)

    /// Queries scaled down to a norm of at most <c>limit</c>.
    let largestNorm (limit: float) : QueryNorm = LargestNorm limit

    // ------------------------------------------------------------------------------------------ Slide

    let private ofSlide
        (change: SlideAttention -> SlideAttention)
        (blocks: Blocks<Slide, 'heads, 'count>)
        : Blocks<Slide, 'heads, 'count> =
        Blocks.mapOnly change blocks

    /// <summary>What stands outside the map: zeros unless said.</summary>
    /// <example><code lang="fsharp">slide 3 |> padding EdgePadding.Circular |> heads 3</code></example>
    let padding (edge: EdgePadding) (blocks: Blocks<Slide, 'heads, 'count>) : Blocks<Slide, 'heads, 'count> =
        blocks |> ofSlide _.With(padding = edge)

    /// Whether a learned path deforms the fixed shifts, as it does unless said; without it this is plain local attention.
    let deformed (deforms: bool) (blocks: Blocks<Slide, 'heads, 'count>) : Blocks<Slide, 'heads, 'count> =
        blocks |> ofSlide _.With(deformed = deforms)

    /// The factor of the logits, where it is not 1/√d.
    let logitScale (factor: float) (blocks: Blocks<Slide, 'heads, 'count>) : Blocks<Slide, 'heads, 'count> =
        blocks |> ofSlide _.With(scale = factor)

    // ------------------------------------------------------------------------------------------ fewer keys, stripes

    /// Tokens on a side of the patch that becomes one key.
    let reduction
        (side: int)
        (blocks: Blocks<SpatialReduction, 'heads, 'count>)
        : Blocks<SpatialReduction, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (reduced: SpatialReductionAttention) -> reduced.With(reduction = side))

    /// Keys on a side of the pooled map.
    let poolSize (side: int) (blocks: Blocks<Pooled, 'heads, 'count>) : Blocks<Pooled, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (pooled: PooledAttention) -> pooled.With(pool = side))

    /// Tokens across a stripe.
    let stripeWidth
        (width: int)
        (blocks: Blocks<CrossShaped, 'heads, 'count>)
        : Blocks<CrossShaped, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (cross: CrossShapedAttention) -> cross.With(stripe = width))

    // ------------------------------------------------------------------------------------------ biases and their order

    /// <summary>Whether the projections to queries, keys and values have biases.</summary>
    /// <example><code lang="fsharp">window 7 |> qkvBias false |> heads 3</code></example>
    let qkvBias
        (biased: bool)
        (blocks: Blocks<'kind, 'heads, 'count> when 'kind :> HasQkv)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (slide: SlideAttention) -> slide.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (everywhere: GlobalAttention) -> everywhere.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (neighbourhood: NeighbourhoodAttention) ->
            neighbourhood.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (cross: CrossShapedAttention) -> cross.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (reduced: SpatialReductionAttention) -> reduced.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (pooled: PooledAttention) -> pooled.With(qkvBias = biased))

    /// Whether the output projection has a bias.
    let projectionBias
        (biased: bool)
        (blocks: Blocks<'kind, 'heads, 'count> when 'kind :> SelfAttention)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(projectionBias = biased))
        |> Blocks.mapOnly (fun (everywhere: GlobalAttention) -> everywhere.With(projectionBias = biased))

    /// <summary>
    /// Projections with a bias, or without one, in blocks of any kind. The output's is left where it always has one: everywhere
    /// but in QnA, windows and global attention.
    /// </summary>
    /// <example><code lang="fsharp">qna 3 |> biases true |> heads 8</code></example>
    let biases (biased: bool) (blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (qna: QnAAttention) -> qna.With(bias = biased))
        |> Blocks.mapOnly (fun (slide: SlideAttention) -> slide.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (window: WindowAttention) ->
            window.With(qkvBias = biased, projectionBias = biased))
        |> Blocks.mapOnly (fun (everywhere: GlobalAttention) ->
            everywhere.With(qkvBias = biased, projectionBias = biased))
        |> Blocks.mapOnly (fun (neighbourhood: NeighbourhoodAttention) ->
            neighbourhood.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (cross: CrossShapedAttention) -> cross.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (reduced: SpatialReductionAttention) -> reduced.With(qkvBias = biased))
        |> Blocks.mapOnly (fun (pooled: PooledAttention) -> pooled.With(qkvBias = biased))

    /// Whether logits have a learned bias for each relative position and head, as they do unless said.
    let relativeBias
        (biased: bool)
        (blocks: Blocks<'kind, 'heads, 'count> when 'kind :> HasRelativeBias)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(positionBias = biased))
        |> Blocks.mapOnly (fun (neighbourhood: NeighbourhoodAttention) ->
            neighbourhood.With(positionBias = biased))

    /// In which order the joint projection lays out queries, keys and values.
    let qkvOrder
        (order: QkvOrder)
        (blocks: Blocks<'kind, 'heads, 'count> when 'kind :> SelfAttention)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> Blocks.mapOnly (fun (window: WindowAttention) -> window.With(order = order))
        |> Blocks.mapOnly (fun (everywhere: GlobalAttention) -> everywhere.With(order = order))

    /// <summary>QnA-ViT's windows, which its code calls local self-attention: head-major, and without biases.</summary>
    /// <example><code lang="fsharp">stage ((4 * localWindow 14 |> heads 8) + (2 * qna 3 |> heads 32))</code></example>
    let localWindow (size: int) : Blocks<Window, HeadsMissing, One> =
        window size |> qkvOrder QkvOrder.HeadMajor |> biases false
