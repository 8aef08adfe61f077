/// Multiply-accumulates computed from the value: the reference table's, and those of small cases counted by loops.
module LocalAttention.Core.Tests.Costs

open Expecto
open FsCheck.FSharp
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification

let private table =
    let models =
        Zoo.All
        |> Seq.map (fun entry -> entry.Name.Replace('-', '_'), entry.Architecture)
        |> Map.ofSeq

    [ for row in Data.rows "zoo.csv" ->
          testCase row["name"]
          <| fun () ->
              let architecture =
                  Map.tryFind row["name"] models |> Expect.wantSome
                  <| "the zoo has the row's model"

              let cost = MultiplyAccumulates.Of architecture
              let merged = MultiplyAccumulates.Of(architecture, mergedShifts = true)
              Expect.equal (string cost.Total) row["macs_224"] "one forward pass"
              Expect.equal (string merged.Total) row["macs_224_merged"] "with merged shifts"

              Expect.equal
                  (MultiplyAccumulates.Trace architecture |> Seq.map _.Cost |> Seq.reduce (+))
                  cost
                  "the sum of the parts" ]

/// One block of the given attention between a stem of one pixel a token and a head without classes.
let private one (attention: Attention) channels (image: ImageSize) =
    Architecture(
        "one",
        PatchStem(1, channels),
        ValueList.From [ Stage(ValueList.From [ Block(attention, MlpRatio = 2.0) ]) ],
        AveragePoolHead 0,
        Resolution = image,
        ImageChannels = 1
    )

/// The block's cost.
let private blockOf attention channels image =
    let trace = MultiplyAccumulates.Trace(one attention channels image)
    (trace |> Seq.find (fun part -> part.Place.Contains "block")).Cost

/// Pairs of tokens that meet in the tiles over a padded map, and the tokens of that map: counted one by one.
let private tiled (map: ImageSize) height width =
    let height, width = min height map.Height, min width map.Width
    let mutable tokens, pairs = 0L, 0L

    for top in 0..height .. map.Height - 1 do
        for left in 0..width .. map.Width - 1 do
            for _ in 1..height do
                for _ in 1..width do
                    tokens <- tokens + 1L
                    pairs <- pairs + int64 (height * width)

    tokens, pairs

let private sizes = Gen.choose (1, 20) |> Gen.two |> Gen.map ImageSize

let private windows =
    testProperty "windows that pad count whole windows, projections included"
    <| Prop.forAll (Arb.fromGen (Gen.zip sizes (Gen.choose (1, 9)))) (fun (map, window) ->
        let tokens, pairs = tiled map window window
        let cost = blockOf (WindowAttention(window, 2)) 6 map
        let mlp = 2L * int64 map.Height * int64 map.Width * 6L * 12L
        Expect.equal cost (MultiplyAccumulates(4L * tokens * 36L, mlp, 0L, 2L * pairs * 6L)) "cost")

let private stripes =
    testProperty "stripes count whole stripes, the convolution of values included, but project the map alone"
    <| Prop.forAll (Arb.fromGen (Gen.zip sizes (Gen.choose (1, 9)))) (fun (map, stripe) ->
        let vertical, verticalPairs = tiled map map.Height stripe
        let horizontal, horizontalPairs = tiled map stripe map.Width
        let cost = blockOf (CrossShapedAttention(stripe, 2)) 6 map
        let tokens = int64 map.Height * int64 map.Width

        Expect.equal
            cost
            (MultiplyAccumulates(
                4L * tokens * 36L,
                2L * tokens * 6L * 12L,
                9L * 3L * (vertical + horizontal),
                2L * 3L * (verticalPairs + horizontalPairs)
            ))
            "cost")

let private reduction =
    testProperty "reduced keys: patches that hang over the border are whole ones"
    <| Prop.forAll (Arb.fromGen (Gen.zip sizes (Gen.choose (2, 5)))) (fun (map, reduction) ->
        let tokens = int64 map.Height * int64 map.Width

        let keys =
            int64 [ 0..reduction .. map.Height - 1 ].Length
            * int64 [ 0..reduction .. map.Width - 1 ].Length

        let cost = blockOf (SpatialReductionAttention(reduction, 2)) 6 map

        Expect.equal
            cost
            (MultiplyAccumulates(
                2L * (tokens + keys) * 36L,
                2L * tokens * 6L * 12L,
                keys * int64 (reduction * reduction) * 36L,
                2L * tokens * keys * 6L
            ))
            "cost")

let private examples =
    let map = ImageSize(5, 4)

    testList
        "by hand"
        [ testCase "slide: two convolutions, merged one, without the learned one one"
          <| fun () ->
              // 20 tokens of 8 channels: 9·9 products for each of keys and values, then 9 for logits and 9 for outputs.
              let cost = blockOf (SlideAttention(3, 2)) 8 map
              Expect.equal (cost.Convolution, cost.Attention) (4L * 81L * 8L * 20L, 18L * 8L * 20L) "both"
              let shifted = blockOf (SlideAttention(3, 2, Deformed = false)) 8 map
              Expect.equal shifted.Convolution (2L * 81L * 8L * 20L) "shifts only"

              let merged =
                  MultiplyAccumulates.Of(one (SlideAttention(3, 2)) 8 map, mergedShifts = true)
              // The stem is a product of one image channel with 8.
              Expect.equal merged.Convolution (2L * 81L * 8L * 20L + 20L * 8L) "merged, and the stem"
          testCase "qna: a narrower layer, upsampled"
          <| fun () ->
              let qna = QnAAttention(3, 2, Queries = 3, Width = 4)

              let architecture =
                  Architecture(
                      "up",
                      PatchStem(1, 8),
                      ValueList.From
                          [ Stage(
                                ValueList.From [],
                                Transition = QnAUpsampling(qna, Factor = 2, MlpRatio = 2.0)
                            ) ],
                      AveragePoolHead 5,
                      Resolution = map,
                      ImageChannels = 1
                  )

              let parts = MultiplyAccumulates.Trace architecture

              Expect.equal
                  (parts |> Seq.map (fun part -> part.Place, part.Cost) |> List.ofSeq)
                  [ "stem", MultiplyAccumulates(0L, 0L, 160L, 0L)
                    "stage 1, transition",
                    MultiplyAccumulates(
                        // 20 tokens of 8 to values of 4, 80 of 4 to 4 channels.
                        20L * 32L + 80L * 16L,
                        // 80 tokens of 4 channels, 8 hidden ones.
                        2L * 80L * 32L,
                        // The skip path projects the repeated tokens.
                        80L * 32L,
                        // Four sets of 3 queries with 2 heads; 9 places, 3 queries, 4 channels and 2 denominators.
                        20L * 8L * 24L + 80L * 9L * 3L * 6L
                    )
                    "head", MultiplyAccumulates(20L, 0L, 0L, 0L) ]
                  "parts"
          testCase "neighbourhoods wider than the map see padding, which is projected to them only"
          <| fun () ->
              let cost = blockOf (NeighbourhoodAttention(3, 2, Dilation = 2)) 4 (ImageSize(5, 9))
              // Padded to 6×9.
              Expect.equal cost.Projection ((3L * 54L + 45L) * 16L) "projections"
              Expect.equal cost.Attention (2L * 9L * 4L * 54L) "products"
          testCase "a class token is one of the last stage's tokens"
          <| fun () ->
              let architecture =
                  (one (SpatialReductionAttention(1, 2)) 4 map).With(head = ClassTokenHead 7)

              let cost = MultiplyAccumulates.Of architecture
              Expect.equal cost.Projection (4L * 21L * 16L + 28L) "projections and the classifier"
              Expect.equal cost.Attention (2L * 21L * 21L * 4L) "products"

              Expect.equal
                  (MultiplyAccumulates.OfFeatures architecture).Attention
                  (2L * 20L * 20L * 4L)
                  "dense tasks leave it out" ]

/// The tests of this file.
let tests =
    testList "costs" [ testList "table" table; windows; stripes; reduction; examples ]
