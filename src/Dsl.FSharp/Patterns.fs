namespace LocalAttention.Dsl

open System.Diagnostics
open LocalAttention.Core.Specification

/// The closed hierarchies of the specification as complete patterns. Only this file knows them from outside: a new case
/// is added here once, and the compiler then points at every match that must know it.
[<AutoOpen>]
module Patterns =
    let private unknown (value: obj) =
        raise (UnreachableException $"{value.GetType().Name} is not in Patterns.fs.")

    /// <summary>
    /// The kind of an attention, with its record. An active pattern has seven cases at most, so the two kinds with fewer keys
    /// than tokens are one, which <c>SpatialReduction</c> and <c>Pooled</c> tell apart.
    /// </summary>
    /// <example><code lang="fsharp">
    /// let windowOf (attention: Attention) =
    ///     match attention with
    ///     | QnA qna -> Some qna.Window
    ///     | Slide slide -> Some slide.Window
    ///     | Window window -> Some window.Window
    ///     | Neighbourhood neighbourhood -> Some neighbourhood.Window
    ///     | CrossShaped _
    ///     | FewerKeys(SpatialReduction _ | Pooled _)
    ///     | Global _ -> None
    /// </code></example>
    let (|QnA|Slide|Window|Neighbourhood|CrossShaped|FewerKeys|Global|) (attention: Attention) =
        match attention with
        | :? QnAAttention as qna -> QnA qna
        | :? SlideAttention as slide -> Slide slide
        | :? WindowAttention as window -> Window window
        | :? NeighbourhoodAttention as neighbourhood -> Neighbourhood neighbourhood
        | :? CrossShapedAttention as cross -> CrossShaped cross
        | :? SpatialReductionAttention as reduced -> FewerKeys(Choice1Of2 reduced)
        | :? PooledAttention as pooled -> FewerKeys(Choice2Of2 pooled)
        | :? GlobalAttention as everywhere -> Global everywhere
        | other -> unknown other

    /// How tokens became fewer keys: a patch of them each (PVT), or cells of a map of fixed size (linear PVTv2).
    let (|SpatialReduction|Pooled|) (fewer: Choice<SpatialReductionAttention, PooledAttention>) =
        match fewer with
        | Choice1Of2 reduced -> SpatialReduction reduced
        | Choice2Of2 pooled -> Pooled pooled

    /// What queries' norms are: as they are, one (whether it is held constant in the gradient), or limited.
    let (|Free|Unit|Largest|) (norm: QueryNorm) =
        match norm with
        | :? FreeNorm -> Free
        | :? UnitNorm as one -> Unit one.StopGradient
        | :? LargestNorm as largest -> Largest largest.Limit
        | other -> unknown other

    /// The kind of a transition, with its record.
    let (|Merging|Strided|QnADown|QnAUp|) (transition: Transition) =
        match transition with
        | :? PatchMerging as merging -> Merging merging
        | :? StridedConvolution as convolution -> Strided convolution
        | :? QnADownsampling as down -> QnADown down
        | :? QnAUpsampling as up -> QnAUp up
        | other -> unknown other

    /// The kind of a stem, with its record.
    let (|Patches|Convolutions|) (stem: Stem) =
        match stem with
        | :? PatchStem as patches -> Patches patches
        | :? ConvolutionStem as convolutions -> Convolutions convolutions
        | other -> unknown other

    /// The kind of a head, with its record.
    let (|AveragePool|QnAPool|ClassToken|) (head: Head) =
        match head with
        | :? ClassTokenHead as token -> ClassToken token
        | :? AveragePoolHead as average -> AveragePool average
        | :? QnAPoolHead as pool -> QnAPool pool
        | other -> unknown other
