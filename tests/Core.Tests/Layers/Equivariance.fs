/// A shifted map gives the shifted output: everywhere on a torus, else where no window reaches the border.
module LocalAttention.Core.Tests.Equivariance

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Oracle

/// The same sums over the same numbers, added up in another order at most: see the comparison with the oracle.
let private rounding = 1e-10

/// A case and how far its map is moved, in steps of the lattice that the layer is equivariant to.
let private moved generator =
    Gen.zip generator (Gen.zip (Gen.choose (-3, 3)) (Gen.choose (-3, 3)))

let private property name generator body =
    let shrink (case, shift) =
        simpler case |> Seq.map (fun smaller -> smaller, shift)

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 40 }
        name
        (Prop.forAll (Arb.fromGenShrink (moved generator, shrink)) body)

let private onTorus (case: LayerCase, (down, right)) =
    use layer = build case
    let x = input case
    let expected = run layer x |> NdArray.roll down right
    within rounding 0.0 (run layer (NdArray.roll down right x)) expected "the output of the rolled map"

/// Part of a map.
let private crop top left height width (map: NdArray<float>) =
    NdArray.init [| map.Shape[0]; height; width; map.Shape[3] |] (fun index ->
        map[index[0], top + index[1], left + index[2], index[3]])

/// Two crops of one large map, `(down, right)` steps of `stride` apart, agree wherever the window of a position lies
/// inside both.
let private farFromBorder radius stride upsampling (case: LayerCase, (down: int, right: int)) =
    let down, right = abs down, abs right
    use layer = build case
    let height = case.Map.Height + 2 * radius
    let width = case.Map.Width + 2 * radius

    let large =
        numbers case.Seed "x" [| case.Batch; height + stride * down; width + stride * right; case.Inputs |]

    let first = large |> crop 0 0 height width |> run layer

    let second =
        large |> crop (stride * down) (stride * right) height width |> run layer

    /// Whether the window of the output position lies inside a crop of this length.
    let inside position length =
        let centre = position / upsampling * stride
        centre - radius >= 0 && centre + radius < length

    let down, right = down * upsampling, right * upsampling
    let mutable compared = 0

    for b in 0 .. second.Shape[0] - 1 do
        for y in 0 .. second.Shape[1] - 1 do
            for x in 0 .. second.Shape[2] - 1 do
                if
                    inside y height
                    && inside (y + down) height
                    && inside x width
                    && inside (x + right) width
                then
                    compared <- compared + 1

                    for c in 0 .. second.Shape[3] - 1 do
                        let difference = abs (second[b, y, x, c] - first[b, y + down, x + right, c])

                        Expect.isLessThanOrEqual
                            difference
                            (rounding * max 1.0 (NdArray.largest first))
                            $"the difference at ({y}, {x}), channel {c}"

    compared

let private circular =
    slide
    |> Gen.map (fun case ->
        let slide = case.Attention :?> SlideAttention
        let widest = 2 * case.Map.Shorter + 1

        { case with
            Attention = slide.With(padding = EdgePadding.Circular, window = min slide.Window widest) })

let private interiorQnA =
    qna
    |> Gen.map (fun case ->
        { case with
            Pools = false
            Map = ImageSize(5, 6) })

let private oddWindow (case: LayerCase) =
    match case.Attention with
    | :? QnAAttention as qna -> qna.Window % 2 = 1
    | _ -> true

let private interiorSlide =
    slide |> Gen.map (fun case -> { case with Map = ImageSize(4, 5) })

let private interiorNeighbourhood =
    neighbourhood |> Gen.map (fun case -> { case with Map = ImageSize(4, 5) })

/// The convolution of values ends at the map's border.
let private placeless =
    everywhere
    |> Gen.map (fun case ->
        let attention = case.Attention :?> GlobalAttention

        { case with
            Attention = attention.With(locallyEnhanced = false) })

/// Attention to patches is equivariant to rolls by patches, as that to tokens is to rolls by tokens.
let private wholePatches =
    reduction
    |> Gen.map (fun case ->
        let side = 1 + (case.Attention :?> SpatialReductionAttention).Reduction % 3

        let attention =
            (case.Attention :?> SpatialReductionAttention).With(reduction = side)

        { case with
            Attention = attention
            Map = ImageSize(3 * side, 2 * side) })

/// Windows that are not shifted, and whole ones only: there is no other border.
let private wholeWindows =
    window
    |> Gen.map (fun case ->
        let window = case.Attention :?> WindowAttention
        let side = 1 + window.Window % 3

        { case with
            Attention = window.With(window = side, shifted = false)
            Map = ImageSize(3 * side, 2 * side) })

/// The tests of this file.
let tests =
    testList
        "equivariance"
        [ property "slide with circular padding is equivariant to every roll" circular onTorus
          property
              "slide is equivariant where its windows lie inside the map"
              interiorSlide
              (fun (case, shift) ->
                  let radius = (case.Attention :?> SlideAttention).Window / 2
                  farFromBorder radius 1 1 (case, shift) |> ignore)
          property "qna is equivariant to its stride where its windows lie inside the map"
          <| Gen.where oddWindow interiorQnA
          <| fun (case, shift) ->
              let radius = (case.Attention :?> QnAAttention).Window / 2
              farFromBorder radius case.Stride case.Upsampling (case, shift) |> ignore
          property
              "windows are equivariant to rolls by multiples of their side"
              wholeWindows
              (fun (case, (down, right)) ->
                  let side = (case.Attention :?> WindowAttention).Window
                  onTorus (case, (side * down, side * right)))
          property "attention of all tokens to all is equivariant to every roll" placeless onTorus
          property
              "attention to patches is equivariant to rolls by multiples of their side"
              wholePatches
              (fun (case, (down, right)) ->
                  let side = (case.Attention :?> SpatialReductionAttention).Reduction
                  onTorus (case, (side * down, side * right)))
          property
              "neighbourhood attention is equivariant where its windows need not be moved"
              interiorNeighbourhood
              (fun (case, shift) ->
                  let neighbourhood = case.Attention :?> NeighbourhoodAttention
                  let radius = neighbourhood.Window / 2 * neighbourhood.Dilation
                  farFromBorder radius 1 1 (case, shift) |> ignore)
          testCase "positions far from the border are there to be compared"
          <| fun () ->
              let case =
                  { Attention = QnAAttention(3, 2)
                    Inputs = 4
                    Outputs = 4
                    Stride = 2
                    Upsampling = 1
                    Pools = false
                    Map = ImageSize(6, 6)
                    Batch = 1
                    Seed = 1 }

              // Maps of 8×8 give 4×4 positions; windows of the second to the fourth lie inside, one step apart 2·2 do.
              Expect.equal (farFromBorder 1 2 1 (case, (1, 1))) 4 "positions compared" ]
