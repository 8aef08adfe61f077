namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// Models of other widths, depths and resolutions. A factor of 1 gives the model itself.
[<AutoOpen>]
module Scaling =
    let private requireFactor (what: string) (factor: float) (architecture: Architecture) =
        if not (Double.IsFinite factor && factor > 0.0) then
            let mistake =
                Problem(
                    "whole model",
                    $"its {what} cannot be multiplied by {factor}",
                    "use a number above 0, such as 1.25"
                )

            raise (SpecificationException($"'{architecture.Name}'", ValueList.From [ mistake ]))

    /// The largest number that is worked with: beyond every limit of a specification, which validation then names.
    let private beyond = 1.0e9

    /// The multiple of `unit` that is nearest to `factor` times `count`, at least one; halves go up.
    let private nearest (unit: int) (factor: float) (count: int) =
        let units = Math.Floor(factor * float count / float unit + 0.5)
        int (min beyond (max 1.0 units * float unit))

    // ------------------------------------------------------------------------------------------ width

    let rec private gcd (a: int64) (b: int64) = if b = 0L then a else gcd b (a % b)

    /// Channels as the source's times a fraction, and the number that the source's must be a multiple of.
    type private Followed =
        { Times: int64
          Over: int64
          Unit: int64 }

    /// No unit grows beyond what channels may be: heads that far are a mistake, which stays one.
    let private largestUnit = 65_536L

    let private source = { Times = 1L; Over = 1L; Unit = 1L }

    /// The same, the channels here being a multiple of `divisor` too.
    let private dividedBy (divisor: int) (followed: Followed) =
        let divisor = int64 (max 1 divisor) * followed.Over
        let needed = divisor / gcd divisor followed.Times
        let both = followed.Unit / gcd followed.Unit needed * needed

        if both <= largestUnit then
            { followed with Unit = both }
        else
            followed

    let private dividedByHeads (attention: Attention) (followed: Followed) =
        match attention with
        | QnA qna when qna.Width.HasValue -> followed
        | attention -> followed |> dividedBy attention.Heads

    let private doubled (followed: Followed) =
        if followed.Over > 1L then
            { followed with
                Over = followed.Over / 2L }
        else
            { followed with
                Times = min largestUnit (followed.Times * 2L) }

    let private halved (followed: Followed) =
        let followed = followed |> dividedBy 2

        if followed.Times > 1L then
            { followed with
                Times = followed.Times / 2L }
        else
            { followed with
                Over = min largestUnit (followed.Over * 2L) }

    /// What the transition's own attention asks of the channels after it.
    let private afterTransition (transition: Transition) (followed: Followed) =
        match transition with
        | QnADown down -> followed |> dividedByHeads down.Attention
        | QnAUp up -> followed |> dividedByHeads up.Attention
        | Merging _
        | Strided _ -> followed

    /// What the channels that begin at each source must be multiples of: of the stem, then of each transition that says its own.
    let private units (architecture: Architecture) : int list =
        let throughStage (finished: int64 list, followed: Followed) (stage: Stage) =
            let followed =
                stage.Blocks
                |> Seq.fold (fun followed block -> dividedByHeads block.Attention followed) followed

            match stage.Transition with
            | null -> finished, followed
            | transition when transition.Channels.HasValue ->
                followed.Unit :: finished, source |> afterTransition transition
            | transition ->
                let next =
                    match transition with
                    | QnAUp _ -> halved followed
                    | QnADown _
                    | Merging _
                    | Strided _ -> doubled followed

                finished, next |> afterTransition transition

        let finished, last = architecture.Stages |> Seq.fold throughStage ([], source)

        let last =
            match architecture.Head with
            | QnAPool pool -> last |> dividedBy pool.Heads
            | AveragePool _
            | ClassToken _ -> last

        last.Unit :: finished |> List.rev |> List.map int

    let private scaledQna (factor: float) (qna: QnAAttention) =
        if qna.Width.HasValue then
            qna.With(width = nearest (max 1 qna.Heads) factor qna.Width.Value)
        else
            qna

    let private scaledBlock (factor: float) (block: Block) =
        match block.Attention with
        | QnA qna -> block.With(attention = scaledQna factor qna)
        | _ -> block

    let private scaledTransition
        (factor: float)
        (channels: Nullable<int>)
        (transition: Transition)
        : Transition =
        match transition with
        | Merging _ -> PatchMerging(Channels = channels)
        | Strided convolution ->
            StridedConvolution(
                Kernel = convolution.Kernel,
                Stride = convolution.Stride,
                Bias = convolution.Bias,
                Channels = channels
            )
        | QnADown down ->
            QnADownsampling(
                scaledQna factor down.Attention,
                Stride = down.Stride,
                Skip = down.Skip,
                Channels = channels,
                MlpRatio = down.MlpRatio,
                LayerScale = down.LayerScale
            )
        | QnAUp up ->
            QnAUpsampling(
                scaledQna factor up.Attention,
                Factor = up.Factor,
                Channels = channels,
                MlpRatio = up.MlpRatio,
                LayerScale = up.LayerScale
            )

    let private scaledStem (factor: float) (unit: int) (stem: Stem) : Stem =
        match stem with
        | Patches patches -> patches.With(channels = nearest unit factor patches.Channels)
        | Convolutions convolutional ->
            let last = convolutional.Convolutions.Count - 1

            let scaled index (convolution: Convolution) =
                Convolution(
                    convolution.Kernel,
                    convolution.Stride,
                    nearest (if index = last then unit else 1) factor convolution.Channels,
                    Padding = convolution.Padding
                )

            convolutional.With(convolutions = ValueList.From(Seq.mapi scaled convolutional.Convolutions))

    /// <summary>
    /// Multiplies channels. Heads stay as many, so that each grows. Channels that are said, those of the stem and of transitions,
    /// become the nearest multiple of what lets all the heads divide them and the channels that follow from them; so scaling
    /// by <c>a</c> and then by <c>b</c> is scaling by <c>a·b</c> to within <c>2 + b</c> such multiples.
    /// </summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The factor is no number above 0; <c>validated</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> scaleWidth 1.25 |> shapes |> List.map string // 120, 240, 480, 960 channels</code></example>
    let scaleWidth (factor: float) (architecture: Architecture) : Architecture =
        requireFactor "width" factor architecture

        if factor = 1.0 then
            architecture
        else
            let units = units architecture

            let throughStage (units: int list) (stage: Stage) =
                let blocks = ValueList.From(Seq.map (scaledBlock factor) stage.Blocks)

                match stage.Transition with
                | null -> stage.With(blocks = blocks), units
                | transition ->
                    let channels, units =
                        if transition.Channels.HasValue then
                            Nullable(nearest units.Head factor transition.Channels.Value), units.Tail
                        else
                            Nullable(), units

                    stage.With(blocks = blocks, transition = scaledTransition factor channels transition),
                    units

            let stages, _ =
                Seq.toList architecture.Stages |> List.mapFold throughStage units.Tail

            architecture.With(
                stem = scaledStem factor units.Head architecture.Stem,
                stages = ValueList.From stages
            )

    // ------------------------------------------------------------------------------------------ depth

    /// After how many blocks a row repeats itself: at most all of them.
    let private period (blocks: Block list) =
        let blocks = Array.ofList blocks

        seq { 1 .. blocks.Length }
        |> Seq.find (fun period ->
            Seq.forall
                (fun index -> blocks[index] = blocks[index % period])
                (seq { period .. blocks.Length - 1 }))

    /// A row of another length, of the same make.
    let private stretched (count: int) (blocks: Block list) =
        let runs = Words.runs blocks

        if runs |> List.forall (fun (_, length) -> length = 1) then
            let period = period blocks
            [ for index in 0 .. count - 1 -> blocks[index % period] ]
        else
            let place (blocksBefore: int) =
                int (Math.Floor(float count * float blocksBefore / float blocks.Length + 0.5))

            let ends = runs |> List.scan (fun before (_, length) -> before + length) 0

            List.map2
                (fun (block, _) (first, last) -> List.replicate (place last - place first) block)
                runs
                (List.pairwise ends)
            |> List.concat

    /// <summary>
    /// Multiplies the number of blocks of each stage, rounded to the nearest, halves up, and at least one; so scaling by
    /// <c>a</c> and then by <c>b</c> is scaling by <c>a·b</c> to within <c>2 + b</c> blocks. Where no two neighbours are equal, as with
    /// plain and shifted windows in turn, their pattern goes on; elsewhere each run of equal blocks grows or shrinks.
    /// </summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The factor is no number above 0; <c>validated</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">Swin.tiny |> scaleDepth 1.5 // 3, 3, 9 and 3 blocks</code></example>
    let scaleDepth (factor: float) (architecture: Architecture) : Architecture =
        requireFactor "depth" factor architecture

        if factor = 1.0 then
            architecture
        else
            let scaled (stage: Stage) =
                if stage.Blocks.Count = 0 then
                    stage
                else
                    let count = min 10_000 (nearest 1 factor stage.Blocks.Count)
                    stage.With(blocks = ValueList.From(stretched count (List.ofSeq stage.Blocks)))

            architecture.With(stages = ValueList.From(Seq.map scaled architecture.Stages))

    // ------------------------------------------------------------------------------------------ resolution

    /// Pixels between the tokens of the coarsest map.
    let private coarsest (architecture: Architecture) =
        let after (stride: int64, largest: int64) (stage: Stage) =
            let stride =
                match stage.Transition with
                | null -> stride
                | Merging _ -> stride * 2L
                | Strided convolution -> stride * int64 (max 1 convolution.Stride)
                | QnADown down -> stride * int64 (max 1 down.Stride)
                | QnAUp up -> max 1L (stride / int64 (max 1 up.Factor))
                |> min (int64 beyond)

            stride, max largest stride

        let stem = int64 (max 1 architecture.Stem.Stride)
        architecture.Stages |> Seq.fold after (stem, stem) |> snd |> int

    /// <summary>
    /// Multiplies the sides of the image, rounded to the nearest multiples of the coarsest map's stride, halves up, and at least one
    /// of them; so scaling by <c>a</c> and then by <c>b</c> is scaling by <c>a·b</c> to within <c>2 + b</c> strides.
    /// </summary>
    /// <exception cref="T:LocalAttention.Core.Specification.SpecificationException">The factor is no number above 0; <c>validated</c> returns that as a value.</exception>
    /// <example><code lang="fsharp">(Swin.tiny |> scaleResolution 1.15).Resolution // 256×256</code></example>
    let scaleResolution (factor: float) (architecture: Architecture) : Architecture =
        requireFactor "resolution" factor architecture

        if factor = 1.0 then
            architecture
        else
            let side = nearest (coarsest architecture) factor
            let size = architecture.Resolution
            architecture.With(resolution = ImageSize(side size.Height, side size.Width))

    // ------------------------------------------------------------------------------------------ all three

    /// <summary>
    /// Compound scaling with the factors of EfficientNet (arXiv 1905.11946, section 3.3): depth by 1.2, width by 1.1, resolution by
    /// 1.15, each to the power of a coefficient. Of convolutions that makes about twice as much work for each 1 of it.
    /// </summary>
    /// <example><code lang="fsharp">[ for coefficient in 0.0 .. 3.0 -> Nat.mini |> compound coefficient |> named $"nat, {coefficient}" ]</code></example>
    let compound (coefficient: float) (architecture: Architecture) : Architecture =
        architecture
        |> scaleDepth (1.2 ** coefficient)
        |> scaleWidth (1.1 ** coefficient)
        |> scaleResolution (1.15 ** coefficient)

    /// <c>scaleWidth</c>, checked: the model, or its mistakes.
    let tryScaleWidth (factor: float) : Architecture -> Result<Architecture, Problem list> =
        validated (scaleWidth factor)

    /// <c>scaleDepth</c>, checked: the model, or its mistakes.
    let tryScaleDepth (factor: float) : Architecture -> Result<Architecture, Problem list> =
        validated (scaleDepth factor)

    /// <c>scaleResolution</c>, checked: the model, or its mistakes.
    let tryScaleResolution (factor: float) : Architecture -> Result<Architecture, Problem list> =
        validated (scaleResolution factor)

    /// <c>compound</c>, checked: the model, or its mistakes.
    let tryCompound (coefficient: float) : Architecture -> Result<Architecture, Problem list> =
        validated (compound coefficient)
