namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// Stages: blocks on maps of one size, and the transition to the next.
[<AutoOpen>]
module Stages =
    /// <summary>Blocks as a stage. They must know their heads.</summary>
    /// <example><code lang="fsharp">
    /// stage ((4 * window 14 |> heads 8) + (2 * qna 3 |> heads 32)) |> downsample (qna 3 |> heads 64)
    /// </code></example>
    let stage (blocks: Blocks<'kind, HeadsGiven, 'count>) : Stage = Stage(ValueList.From blocks.Items)

    /// A stage that is its transition alone: <c>noBlocks |> upsample (qna 3 |> heads 4)</c>.
    let noBlocks: Stage = Stage(ValueList.From [])

    /// <summary>More blocks at the end of a stage, before its transition.</summary>
    /// <example><code lang="fsharp">stage (2 * qna 3 |> heads 8) |> andThen (window 7 |> heads 4)</code></example>
    let andThen (blocks: Blocks<'kind, HeadsGiven, 'count>) (stage: Stage) : Stage =
        stage.With(blocks = ValueList.From(Seq.append stage.Blocks blocks.Items))

    /// Swin's patch merging, for <c>downsample</c>.
    let merge: PatchMerging = PatchMerging()

    /// A convolution of <c>kernel</c>×<c>kernel</c> tokens, for <c>downsample</c>; without a bias unless <c>downsample</c> is told.
    let convolve (kernel: int) : StridedConvolution = StridedConvolution(Kernel = kernel)

    /// <summary>
    /// Patches of <c>size</c>×<c>size</c> tokens that do not overlap, an even number, each projected to one token with a bias,
    /// for <c>downsample</c>: PVT's.
    /// </summary>
    /// <example><code lang="fsharp">stage (2 * spatialReduction 8 |> heads 1) |> downsample (patches 2, channels = 128)</code></example>
    let patches (size: int) : StridedConvolution =
        StridedConvolution(Kernel = size, Stride = size, Bias = true)

    /// <summary>A learned embedding of each token's place, added before the blocks: PVT's.</summary>
    /// <example><code lang="fsharp">stage (2 * spatialReduction 8 |> heads 1) |> positions</code></example>
    let positions (stage: Stage) : Stage = stage.With(positionEmbedding = true)

    /// <summary>A norm after the blocks, before the transition: PVTv2's. After the last stage the head has one.</summary>
    /// <example><code lang="fsharp">stage (2 * spatialReduction 8 |> heads 1) |> normed |> downsample (convolve 3)</code></example>
    let normed (stage: Stage) : Stage = stage.With(norm = true)

    /// The stage without a transition: the next one goes on with the same map.
    let noTransition (stage: Stage) : Stage =
        Stage(stage.Blocks, PositionEmbedding = stage.PositionEmbedding, Norm = stage.Norm)

    /// Any transition of the records.
    let transition (next: Transition) (stage: Stage) : Stage = stage.With(transition = next)

/// Transitions by name: methods, because each takes several kinds and has options. Each returns a function on stages.
[<AbstractClass; Sealed; AutoOpen>]
type Transitions =
    /// <summary>Ends a stage with a QnA block whose queries stand at every second position.</summary>
    /// <param name="by">The block; its heads are those after the transition.</param>
    /// <param name="stride">The step between queries: 2 unless said.</param>
    /// <param name="channels">Channels after it: twice those before, unless said.</param>
    /// <param name="skip">The path around the attention: a strided 1×1 convolution unless said.</param>
    /// <example><code lang="fsharp">stage (2 * qna 3 |> heads 8) |> downsample (qna 3 |> heads 16)</code></example>
    static member downsample
        (by: Blocks<QnA, HeadsGiven, One>, ?stride: int, ?channels: int, ?skip: SkipPath)
        : Stage -> Stage =
        let block = by.Items.Head

        transition (
            QnADownsampling(
                block.Attention :?> QnAAttention,
                Stride = defaultArg stride 2,
                Channels = Option.toNullable channels,
                Skip = defaultArg skip SkipPath.Convolution,
                MlpRatio = block.MlpRatio,
                LayerScale = block.LayerScale
            )
        )

    /// <summary>Ends a stage with patch merging.</summary>
    /// <param name="by">Always <c>merge</c>.</param>
    /// <param name="channels">Channels after it: twice those before, unless said.</param>
    /// <example><code lang="fsharp">stage (swinBlocks 2 7 |> heads 3) |> downsample merge</code></example>
    static member downsample(by: PatchMerging, ?channels: int) : Stage -> Stage =
        match channels with
        | None -> transition by
        | Some channels -> transition (PatchMerging(Channels = Nullable channels))

    /// <summary>Ends a stage with a strided convolution.</summary>
    /// <param name="by">Its kernel: <c>convolve 3</c>, or <c>patches 2</c>.</param>
    /// <param name="stride">Its step: 2 unless said; that of patches is their side.</param>
    /// <param name="channels">Channels after it: twice those before, unless said.</param>
    /// <param name="bias">Whether it has a bias: patches do and others do not, unless said.</param>
    /// <example><code lang="fsharp">stage (2 * slide 3 |> heads 3) |> downsample (convolve 3, channels = 96)</code></example>
    static member downsample
        (by: StridedConvolution, ?stride: int, ?channels: int, ?bias: bool)
        : Stage -> Stage =
        transition (
            StridedConvolution(
                Kernel = by.Kernel,
                Stride = defaultArg stride by.Stride,
                Bias = defaultArg bias by.Bias,
                Channels = (channels |> Option.map Nullable |> Option.defaultValue by.Channels)
            )
        )

    /// <summary>Ends a stage with a QnA block that makes each token <c>factor</c>×<c>factor</c> tokens.</summary>
    /// <param name="by">The block; its heads are those after the transition.</param>
    /// <param name="factor">How many times longer each side becomes: 2 unless said.</param>
    /// <param name="channels">Channels after it: half of those before, unless said.</param>
    /// <example><code lang="fsharp">stage (2 * qna 3 |> heads 8) |> upsample (qna 3 |> heads 4)</code></example>
    static member upsample(by: Blocks<QnA, HeadsGiven, One>, ?factor: int, ?channels: int) : Stage -> Stage =
        let block = by.Items.Head

        transition (
            QnAUpsampling(
                block.Attention :?> QnAAttention,
                Factor = defaultArg factor 2,
                Channels = Option.toNullable channels,
                MlpRatio = block.MlpRatio,
                LayerScale = block.LayerScale
            )
        )
