/// Maps for dense tasks, and embeddings of places on maps of other sizes than they were learned for.
module LocalAttention.Core.Tests.Features

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Verification
open TorchSharp

/// The model in evaluation, in double precision, every parameter filled from the seed.
let private build (architecture: Architecture) seed =
    let model = architecture.Build() |> inDoubles seed
    model.eval ()
    model

let private imagesAt (architecture: Architecture) seed (size: ImageSize) =
    numbers seed "x" [| 2; architecture.ImageChannels; size.Height; size.Width |]

let private features (model: Backbone) (images: NdArray<float>) =
    use _ = torch.NewDisposeScope()

    [ for map in model.features (toTensor torch.ScalarType.Float64 images) -> toArray map ]

let private small = ImageSize.Square 32

/// A PVT whose stages have 8 and 4 tokens a side at 32×32.
let private pvt =
    Pvt.Create("small-pvt", [| 4; 8 |], [| 1; 2 |], [| 1; 2 |], [| 2; 1 |], [| 2.0; 2.0 |], small, 3)

let private pvtV2 name linear classes =
    PvtV2.Create(name, [| 4; 8 |], [| 1; 1 |], [| 1; 2 |], linear, [| 2; 1 |], [| 2.0; 2.0 |], small, classes)

/// Learned vectors on a grid of any size: what is added to the tokens is seen where nothing else is left, as the
/// projection of the patches is zero and the block's branches are scaled by zero.
let private interpolation =
    let sizes =
        Gen.map2 (fun height width -> ImageSize(height, width)) (Gen.choose (1, 9)) (Gen.choose (1, 9))

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 60 }
        "places of another size lie on straight lines between the learned ones, pixel centres on pixel centres"
        (Prop.forAll (Arb.fromGen (Gen.zip sizes sizes)) (fun (learned, size) ->
            use _ = torch.NewDisposeScope()
            let block = Block(GlobalAttention 1, LayerScale = 0.0)

            use model =
                build
                    (Architecture(
                        "places",
                        PatchStem(1, 3, Norm = false),
                        ValueList.From [ Stage(ValueList.From [ block ], PositionEmbedding = true) ],
                        AveragePoolHead 2,
                        Resolution = learned
                    ))
                    1

            let zeroed =
                parametersOf model
                |> Map.filter (fun name _ ->
                    name.StartsWith "patch_embed"
                    || name.EndsWith "gamma_1"
                    || name.EndsWith "gamma_2")
                |> Map.map (fun _ -> NdArray.map (fun _ -> 0.0))

            setParameters zeroed model
            let vectors = (parametersOf model)["layers.0.pos_embed"]

            // The weight of learned place `j` at place `i`: one minus their distance in learned steps, if that is less,
            // the outermost places standing for all that lies beyond them.
            let weight n count i j =
                let at =
                    (float i + 0.5) * float n / float count - 0.5 |> max 0.0 |> min (float (n - 1))

                max 0.0 (1.0 - abs (at - float j))

            let expected =
                NdArray.init [| 2; size.Height; size.Width; 3 |] (fun index ->
                    List.sum
                        [ for y in 0 .. learned.Height - 1 do
                              for x in 0 .. learned.Width - 1 ->
                                  weight learned.Height size.Height index[1] y
                                  * weight learned.Width size.Width index[2] x
                                  * vectors[0, y * learned.Width + x, index[3]] ])

            // Products of two weights: some ten roundings of 1e-16.
            within 1e-14 0.0 (features model (imagesAt model.Architecture 1 size)).Head expected "the places"))

let private otherSizes =
    let withPlaces =
        Generate.architecture
        |> Gen.where (fun architecture -> architecture.Stages |> Seq.exists _.PositionEmbedding)

    let sizes =
        Gen.map2 (fun height width -> ImageSize(height, width)) (Gen.choose (1, 20)) (Gen.choose (1, 20))

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 40 }
        "logits equal those of plain loops at other sizes"
        (Prop.forAll (Arb.fromGen (Gen.zip withPlaces sizes)) (fun (architecture, size) ->
            if Validation.CheckSize(architecture, size).Count = 0 then
                use model = build architecture 7
                let images = imagesAt architecture 7 size
                let expected = PlainModel.forward architecture (parametersOf model) images
                // As at the declared size: rounding, and norms that stretch it.
                within 1e-8 1e-2 (run model images) expected "the logits"))

let private ofPvt =
    testCase "PVT takes rectangles that its reductions do not divide, and learns its places from them"
    <| fun () ->
        use model = build pvt 3
        let images = imagesAt pvt 3 (ImageSize(20, 44))
        let expected = PlainModel.forward pvt (parametersOf model) images
        within 1e-9 0.0 (run model images) expected "the logits"

        let _, slopes = gradients model images (numbers 3 "cotangent" [| 2; 3 |])

        for name in [ "layers.0.pos_embed"; "layers.1.pos_embed"; "cls_token" ] do
            Expect.isGreaterThan (NdArray.largest slopes[name]) 0.0 $"the gradient of {name}"

/// The law of dense tasks: without a class token, the maps are those of the model that never had one.
let private withoutClassToken =
    testCase "the class token takes no part in the maps of dense tasks"
    <| fun () ->
        use model = build pvt 5
        let without = pvt.With(head = AveragePoolHead 3)
        use plain = build without 6

        let parameters =
            parametersOf model
            |> Map.remove "cls_token"
            |> Map.map (fun name values ->
                if name = "layers.1.pos_embed" then
                    NdArray.ofArray [ 1; 16; 8 ] values.Elements[8..]
                else
                    values)

        setParameters parameters plain
        let images = imagesAt pvt 5 small
        let maps = features model images

        for actual, expected in List.zip maps (features plain images) do
            Expect.equal actual.Elements expected.Elements "the same map"

        // In the logits' own maps it does take part.
        use _ = torch.NewDisposeScope()

        let classified =
            model.stages (toTensor torch.ScalarType.Float64 images) |> Seq.last |> toArray

        Expect.equal classified.Shape maps[1].Shape "no place of its own"
        Expect.notEqual classified.Elements maps[1].Elements "seen by the others"

let private normalised =
    testCase "where stages have norms, so has the last map: its mean is the pooled vector"
    <| fun () ->
        let mean (map: NdArray<float>) =
            let tokens = map.Shape[1] * map.Shape[2]

            NdArray.init [| map.Shape[0]; map.Shape[3] |] (fun index ->
                List.sum
                    [ for y in 0 .. map.Shape[1] - 1 do
                          for x in 0 .. map.Shape[2] - 1 -> map[index[0], y, x, index[1]] ]
                / float tokens)

        let difference architecture =
            use model = build architecture 8
            let images = imagesAt architecture 8 small
            let pooled = run model images

            NdArray.map2 (-) pooled (mean (List.last (features model images)))
            |> NdArray.largest

        Expect.isLessThan (difference (pvtV2 "small-pvt-v2" false 0)) 1e-14 "PVTv2: a sum of 16 numbers"

        let swin = Swin.Create("small-swin", 4, [| 1; 1 |], [| 1; 1 |], 4, small, 0)
        Expect.isGreaterThan (difference swin) 1e-3 "Swin's are before the head's norm"

/// Every family's maps, at its own size and at another, have the inferred shapes.
let private everyFamily =
    let models =
        [ pvt
          pvtV2 "small-pvt-v2" false 3
          pvtV2 "small-pvt-v2-li" true 1000
          CSwin.Create("small-cswin", 4, [| 1; 1 |], [| 2; 2 |], [| 2; 2 |], small)
          Nat.Create("small-nat", 4, [| 2; 1 |], [| 2; 2 |], 2.0, 3, [| 2; 1 |], Nullable 1e-5, small)
          Variants.Slide(pvt) |> fun slide -> slide.With(head = AveragePoolHead 3)
          Variants.QnA(CSwin.Create("small-cswin", 4, [| 1; 1 |], [| 2; 2 |], [| 2; 2 |], small)) ]

    [ for architecture in models do
          testCase $"{architecture.Name}: maps of the inferred shapes"
          <| fun () ->
              use model = build architecture 2

              for size in [ small; ImageSize(40, 24) ] do
                  let trace = ShapeInference.Trace(architecture, size)

                  let expected =
                      [ for stage in 1 .. architecture.Stages.Count ->
                            let map =
                                trace
                                |> Seq.find (fun part -> part.Place.StartsWith $"stage {stage},")
                                |> _.Input

                            [| 2; map.Size.Height; map.Size.Width; map.Channels |] ]

                  let maps = features model (imagesAt architecture 2 size)
                  Expect.equal [ for map in maps -> map.Shape ] expected $"at {size}"

                  for map in maps do
                      Expect.all map.Elements Double.IsFinite "finite" ]

/// The tests of this file.
let tests =
    testList
        "features"
        [ interpolation
          otherSizes
          ofPvt
          withoutClassToken
          normalised
          testList "families" everyFamily ]
