/// Attentions of every kind and mode, small and valid on a given map.
module internal LocalAttention.Verification.AttentionGenerators

open System
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification.Picking

let private scales = Enum.GetValues<AttentionScale>() |> List.ofArray
let private positions = Enum.GetValues<PositionBias>() |> List.ofArray
let private paddings = Enum.GetValues<EdgePadding>() |> List.ofArray

let private norms: QueryNorm list =
    [ QueryNorm.Unit
      QueryNorm.Free
      UnitNorm(StopGradient = true)
      LargestNorm 0.5
      LargestNorm 2.0 ]

/// QnA whose output has the given channels.
let qna channels : Gen<QnAAttention> =
    gen {
        let! width = usually (Nullable()) [ Nullable 4; Nullable 6 ]
        let! heads = Gen.elements (divisors (width.GetValueOrDefault channels))
        let! queries = usually 2 [ 1; 3 ]
        let! scale = Gen.elements scales
        let even = queries * heads % 2 = 0
        let! window = Gen.elements [ 1; 3; 3; 5; 7 ]
        let! position = Gen.elements positions
        let! scalePositionBias = flag false
        let! norm = Gen.elements norms
        let! bias = flag false

        return
            QnAAttention(
                window,
                heads,
                Queries =
                    (if scale = AttentionScale.PositiveNegative && not even then
                         2
                     else
                         queries),
                Width = width,
                Scale = scale,
                Position = position,
                ScalePositionBias = scalePositionBias,
                Norm = norm,
                Bias = bias
            )
    }

/// Slide Attention whose window every padding can serve on the map.
let slide (map: MapShape) : Gen<SlideAttention> =
    gen {
        let! heads = Gen.elements (divisors map.Channels)
        let! padding = Gen.elements paddings

        let widest =
            match padding with
            | EdgePadding.Reflect -> map.Size.Shorter - 1
            | EdgePadding.Circular -> map.Size.Shorter
            | _ -> 3

        let! window = Gen.elements [ for radius in 0 .. min 2 widest -> 2 * radius + 1 ]
        let! deformed = flag true
        let! qkvBias = flag true
        let! scale = usually (Nullable()) [ Nullable 0.25; Nullable 2.0 ]

        return
            SlideAttention(
                window,
                heads,
                Padding = padding,
                Deformed = deformed,
                QkvBias = qkvBias,
                Scale = scale
            )
    }

/// Window attention; with `exact`, of windows that divide the map or hold it.
let window exact (map: MapShape) : Gen<WindowAttention> =
    let divides side length = length <= side || length % side = 0

    gen {
        let! heads = Gen.elements (divisors map.Channels)

        let! side =
            [ 1..8 ] @ [ max map.Size.Height map.Size.Width ]
            |> List.filter (fun side ->
                not exact || (divides side map.Size.Height && divides side map.Size.Width))
            |> Gen.elements

        let! shifted = Gen.elements [ true; false ]
        let! order = Gen.elements [ QkvOrder.QkvMajor; QkvOrder.HeadMajor ]
        let! qkvBias = flag true
        let! projectionBias = flag true
        let! positionBias = flag true

        return
            WindowAttention(
                side,
                heads,
                Shifted = shifted,
                Order = order,
                QkvBias = qkvBias,
                ProjectionBias = projectionBias,
                PositionBias = positionBias
            )
    }

/// Attention of all tokens to all.
let everywhere (map: MapShape) : Gen<GlobalAttention> =
    gen {
        let! heads = Gen.elements (divisors map.Channels)
        let! order = Gen.elements [ QkvOrder.QkvMajor; QkvOrder.HeadMajor ]
        let! qkvBias = flag true
        let! projectionBias = flag true
        let! locallyEnhanced = flag false

        return
            GlobalAttention(
                heads,
                Order = order,
                QkvBias = qkvBias,
                ProjectionBias = projectionBias,
                LocallyEnhanced = locallyEnhanced
            )
    }

/// Attention to patches; with `exact`, such as divide the map.
let reduction exact (map: MapShape) : Gen<SpatialReductionAttention> =
    gen {
        let! heads = Gen.elements (divisors map.Channels)

        let! side =
            [ 1; 1; 2; 2; 3; 4; 8 ]
            |> List.filter (fun side -> not exact || map.Size.IsMultipleOf side)
            |> Gen.elements

        let! qkvBias = flag true
        return SpatialReductionAttention(side, heads, QkvBias = qkvBias)
    }

/// Attention to the averages of cells, more or fewer than tokens.
let pooled (map: MapShape) : Gen<PooledAttention> =
    gen {
        let! heads = Gen.elements (divisors map.Channels)
        let! side = Gen.choose (1, 4)
        let! qkvBias = flag true
        return PooledAttention(side, heads, QkvBias = qkvBias)
    }

/// Whether a window divides the map, or holds it.
let private covers (map: MapShape) side =
    let divides length = length <= side || length % side = 0
    divides map.Size.Height && divides map.Size.Width

/// Attention in stripes, on an even number of channels; with `exact`, of stripes that divide the map or hold it.
let crossShaped exact (map: MapShape) : Gen<CrossShapedAttention> =
    gen {
        let! heads =
            divisors map.Channels
            |> List.filter (fun heads -> heads % 2 = 0)
            |> Gen.elements

        let! stripe =
            [ 1; 2; 3; 4; 7; max map.Size.Height map.Size.Width ]
            |> List.filter (fun stripe -> not exact || covers map stripe)
            |> Gen.elements

        let! qkvBias = flag true
        return CrossShapedAttention(stripe, heads, QkvBias = qkvBias)
    }

/// Neighbourhoods, dilated or not; with `exact`, such as the map holds.
let neighbourhood exact (map: MapShape) : Gen<NeighbourhoodAttention> =
    gen {
        let! heads = Gen.elements (divisors map.Channels)

        let! window, dilation =
            [ 1, 1; 3, 1; 3, 1; 5, 1; 7, 1; 1, 2; 3, 2; 3, 3; 5, 2 ]
            |> List.filter (fun (window, dilation) -> not exact || window * dilation <= map.Size.Shorter)
            |> Gen.elements

        let! qkvBias = flag true
        let! positionBias = flag true

        return
            NeighbourhoodAttention(
                window,
                heads,
                Dilation = dilation,
                QkvBias = qkvBias,
                PositionBias = positionBias
            )
    }

/// Attention that asks for no token's place, so that a class token may be among them.
let placeless (map: MapShape) : Gen<Attention> =
    let whole =
        everywhere map
        |> Gen.map (fun attention -> attention.With(locallyEnhanced = false) :> Attention)

    let plain =
        reduction true map
        |> Gen.map (fun attention -> attention.With(reduction = 1) :> Attention)

    Gen.oneof [ whole; plain ]

/// Any kind, valid on the map.
let any exact (map: MapShape) : Gen<Attention> =
    let upcasted (generator: Gen<'kind> when 'kind :> Attention) =
        generator |> Gen.map (fun attention -> attention :> Attention)

    Gen.frequency
        [ 3, upcasted (qna map.Channels)
          3, upcasted (slide map)
          3, upcasted (window exact map)
          1, upcasted (everywhere map)
          1, upcasted (reduction exact map)
          1, upcasted (pooled map)
          if map.Channels % 2 = 0 then
              2, upcasted (crossShaped exact map)
          2, upcasted (neighbourhood exact map) ]
