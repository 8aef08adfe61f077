/// How attentions of each kind get simpler: default flags, smaller windows, fewer heads.
module internal LocalAttention.Verification.SimplerAttentions

open LocalAttention.Core.Specification
open LocalAttention.Dsl
open LocalAttention.Verification.Picking

/// Windows nearer to 1, odd ones among them.
let private sides window =
    towards 1 window @ [ (if window > 2 then window - 2 else window) ]
    |> otherThan window

let private withoutWidth (qna: QnAAttention) =
    QnAAttention(
        qna.Window,
        qna.Heads,
        Queries = qna.Queries,
        Scale = qna.Scale,
        Position = qna.Position,
        ScalePositionBias = qna.ScalePositionBias,
        Norm = qna.Norm,
        Bias = qna.Bias
    )

/// Simpler QnA: default modes, smaller window, one head, two queries.
let ofQnA (qna: QnAAttention) : QnAAttention list =
    [ QnAAttention(qna.Window, qna.Heads)
      for side in sides qna.Window do
          qna.With(window = side)
      for heads in towards 1 qna.Heads do
          qna.With(heads = heads)
      for queries in towards 2 qna.Queries do
          qna.With(queries = queries)
      withoutWidth qna
      qna.With(scale = AttentionScale.Normal)
      qna.With(position = PositionBias.Relative)
      qna.With(scalePositionBias = false)
      qna.With(norm = QueryNorm.Unit)
      qna.With(bias = false) ]
    |> otherThan qna

let private ofSlide (slide: SlideAttention) : SlideAttention list =
    [ SlideAttention(slide.Window, slide.Heads)
      for side in sides slide.Window do
          slide.With(window = side)
      for heads in towards 1 slide.Heads do
          slide.With(heads = heads)
      slide.With(padding = EdgePadding.Zeros)
      slide.With(deformed = true)
      slide.With(qkvBias = true)
      SlideAttention(
          slide.Window,
          slide.Heads,
          Padding = slide.Padding,
          Deformed = slide.Deformed,
          QkvBias = slide.QkvBias
      ) ]
    |> otherThan slide

let private ofWindow (window: WindowAttention) : WindowAttention list =
    [ WindowAttention(window.Window, window.Heads)
      for side in towards 1 window.Window do
          window.With(window = side)
      for heads in towards 1 window.Heads do
          window.With(heads = heads)
      window.With(shifted = false)
      window.With(order = QkvOrder.QkvMajor)
      window.With(qkvBias = true)
      window.With(projectionBias = true)
      window.With(positionBias = true) ]
    |> otherThan window

let private ofGlobal (everywhere: GlobalAttention) : GlobalAttention list =
    [ GlobalAttention everywhere.Heads
      for heads in towards 1 everywhere.Heads do
          everywhere.With(heads = heads)
      everywhere.With(order = QkvOrder.QkvMajor)
      everywhere.With(qkvBias = true)
      everywhere.With(projectionBias = true)
      everywhere.With(locallyEnhanced = false) ]
    |> otherThan everywhere

let private ofReduction (reduced: SpatialReductionAttention) : SpatialReductionAttention list =
    [ for side in towards 1 reduced.Reduction do
          reduced.With(reduction = side)
      for heads in towards 1 reduced.Heads do
          reduced.With(heads = heads)
      reduced.With(qkvBias = true) ]
    |> otherThan reduced

let private ofPooled (pooled: PooledAttention) : PooledAttention list =
    [ for side in towards 1 pooled.Pool do
          pooled.With(pool = side)
      for heads in towards 1 pooled.Heads do
          pooled.With(heads = heads)
      pooled.With(qkvBias = true) ]
    |> otherThan pooled

let private ofCrossShaped (cross: CrossShapedAttention) : CrossShapedAttention list =
    [ for stripe in towards 1 cross.Stripe do
          cross.With(stripe = stripe)
      for heads in towards 2 cross.Heads do
          // Half of them attend in vertical stripes, half in horizontal ones.
          if heads % 2 = 0 then
              cross.With(heads = heads)
      cross.With(qkvBias = true) ]
    |> otherThan cross

let private ofNeighbourhood (neighbourhood: NeighbourhoodAttention) : NeighbourhoodAttention list =
    [ NeighbourhoodAttention(neighbourhood.Window, neighbourhood.Heads)
      for side in sides neighbourhood.Window do
          neighbourhood.With(window = side)
      for heads in towards 1 neighbourhood.Heads do
          neighbourhood.With(heads = heads)
      for dilation in towards 1 neighbourhood.Dilation do
          neighbourhood.With(dilation = dilation)
      neighbourhood.With(qkvBias = true)
      neighbourhood.With(positionBias = true) ]
    |> otherThan neighbourhood

let private upcasted (simpler: 'kind list when 'kind :> Attention) =
    simpler |> List.map (fun attention -> attention :> Attention)

/// Simpler attention of the same kind.
let ofKind (attention: Attention) : Attention list =
    match attention with
    | QnA qna -> upcasted (ofQnA qna)
    | Slide slide -> upcasted (ofSlide slide)
    | Window window -> upcasted (ofWindow window)
    | Neighbourhood neighbourhood -> upcasted (ofNeighbourhood neighbourhood)
    | CrossShaped cross -> upcasted (ofCrossShaped cross)
    | FewerKeys(SpatialReduction reduced) -> upcasted (ofReduction reduced)
    | FewerKeys(Pooled pooled) -> upcasted (ofPooled pooled)
    | Global everywhere -> upcasted (ofGlobal everywhere)

/// Simpler attention: the simplest kind, which is that of all tokens to all, then the same kind with simpler parts.
let ofAny (attention: Attention) : Attention list =
    match attention with
    | Global _ -> ofKind attention
    | _ -> GlobalAttention 1 :: GlobalAttention attention.Heads :: ofKind attention

/// As few heads as the kind can have, and a width of QnA that is the block's: then any channels do, even ones at least.
let narrow (attention: Attention) : Attention =
    match attention with
    | QnA qna -> (withoutWidth qna).With(heads = 1)
    | CrossShaped cross -> cross.With(heads = 2)
    | other -> other.WithHeads 1
