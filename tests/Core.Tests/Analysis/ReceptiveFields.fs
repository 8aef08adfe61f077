/// The receptive field from the value is the support of a built model's gradient, pixel by pixel.
module LocalAttention.Core.Tests.ReceptiveFields

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Verification
open TorchSharp

/// The architecture up to a place, as one whose last map is that of the place.
let private until (place: string) (architecture: Architecture) =
    let stage, rest =
        match place.Replace("stage ", "").Split(", ") with
        | [| stage; rest |] -> int stage, rest
        | parts -> int parts[0], ""

    let stages = List.ofSeq architecture.Stages |> List.take stage
    let last = List.last stages

    let last =
        match rest with
        | "transition" -> last
        | "" -> Stage(last.Blocks, PositionEmbedding = last.PositionEmbedding, Norm = last.Norm)
        | block ->
            let blocks = Seq.take (int (block.Replace("block ", ""))) last.Blocks
            Stage(ValueList.From blocks, PositionEmbedding = last.PositionEmbedding)

    // A class token goes with the last stage's map; other heads have no part in any.
    let head: Head =
        match architecture.Head with
        | :? ClassTokenHead as head when stage = architecture.Stages.Count -> head
        | head -> AveragePoolHead head.Classes

    architecture.With(stages = ValueList.From(List.take (stage - 1) stages @ [ last ]), head = head)

/// Where the gradient of one unit, its channels weighed by random numbers, is not zero. Nothing stands for a number that
/// is small: outside the field the gradient is exactly zero, as no operation leads there. The fused kernels that multiply
/// spectra instead of shifting are left out, as they smear roundings over the map.
let private support (architecture: Architecture) place row column seed =
    use _ = Backends.Use Backend.Composite
    use _ = torch.NewDisposeScope()
    use model = (until place architecture).Build() |> inDoubles seed
    model.eval ()
    let size = architecture.Resolution

    let image =
        numbers seed "x" [| 1; architecture.ImageChannels; size.Height; size.Width |]
        |> toTensor torch.ScalarType.Float64

    let image = image.requires_grad_ ()
    let map = Seq.last (model.stages image)
    let unit = map.select(0, 0L).select(0, int64 row).select(0, int64 column)

    let weights =
        numbers seed "weights" [| int map.shape[3] |]
        |> toTensor torch.ScalarType.Float64

    (unit * weights).sum().backward()

    match image.grad with
    | null -> failtest "the image has no gradient"
    | gradient ->
        let largest = gradient.abs().sum(0L, 1L)
        let array = toArray largest
        Array2D.init size.Height size.Width (fun y x -> array[y, x] <> 0.0)

let private drawn height width (isMember: int -> int -> bool) =
    String.Join(
        "\n",
        [ for y in 0 .. height - 1 ->
              String [| for x in 0 .. width - 1 -> if isMember y x then '#' else '.' |] ]
    )

/// Fails unless the predicted field is what gradients reach. A ReLU or a cancelling sum may hide a pixel from one set of
/// numbers, hence several; none of them may reach a pixel outside.
let private isField (architecture: Architecture) place row column seed =
    let field = ReceptiveField.Of(architecture, (place: string), row, column)
    let size = architecture.Resolution
    let predicted = drawn size.Height size.Width (fun y x -> field.Pixels[y, x])
    let seen = Array2D.create size.Height size.Width false
    let mutable attempt = 0
    let mutable found = ""

    while found <> predicted && attempt < 4 do
        let support = support architecture place row column (seed + attempt)

        support
        |> Array2D.iteri (fun y x isMember ->
            if isMember && not field.Pixels[y, x] then
                failtest
                    $"pixel {y}, {x} is seen by unit {row}, {column} of {place}, against the prediction\n{predicted}"

            seen[y, x] <- seen[y, x] || isMember)

        found <- drawn size.Height size.Width (fun y x -> seen[y, x])
        attempt <- attempt + 1

    Expect.equal found predicted $"the field of unit {row}, {column} of {place}"

/// The places whose maps can be asked for, and the size of each map.
let private places (architecture: Architecture) =
    [ for layer in ShapeInference.Trace architecture do
          if
              layer.Place.Contains "block"
              || (layer.Place.Contains "transition"
                  // With another stage behind it; what is cut off at a transition without blocks is no valid model.
                  && layer.Output.Tokens > 0L)
          then
              layer.Place, layer.Output.Size ]
    |> List.filter (fun (place, _) -> Validation.Check(until place architecture).Count = 0)

let private chosen architecture =
    match places architecture with
    | [] -> None
    | places ->
        gen {
            let! place, size = Gen.elements places
            let! row = Gen.choose (0, size.Height - 1)
            let! column = Gen.choose (0, size.Width - 1)
            let! seed = Generate.seed
            return architecture, place, row, column, seed
        }
        |> Some

let private generated =
    Generate.architecture
    |> Gen.map chosen
    |> Gen.where Option.isSome
    |> Gen.bind Option.get

let private property =
    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = 100 }
        "of generated architectures"
    <| Prop.forAll (Arb.fromGen generated) (fun (architecture, place, row, column, seed) ->
        isField architecture place row column seed)

/// One channel of pixels as tokens, stages of the given blocks.
let private model stem (image: ImageSize) (stages: Stage list) =
    Architecture(
        "example",
        stem,
        ValueList.From stages,
        AveragePoolHead 2,
        Resolution = image,
        ImageChannels = 1
    )

let private blocks (attentions: Attention list) =
    ValueList.From [ for attention in attentions -> Block(attention, MlpRatio = 1.0) ]

let private onTokens (attentions: Attention list) height width =
    model (PatchStem(1, 4)) (ImageSize(height, width)) [ Stage(blocks attentions) ]

/// Every unit of the last map.
let private everyUnit architecture place =
    let size = places architecture |> List.find (fst >> (=) place) |> snd

    for row in 0 .. size.Height - 1 do
        for column in 0 .. size.Width - 1 do
            isField architecture place row column (100 * row + column)

let private examples =
    [ "slide", onTokens [ SlideAttention(5, 2) ] 6 4
      "slide on a torus", onTokens [ SlideAttention(3, 2, Padding = EdgePadding.Circular) ] 5 4
      "slide, mirrored", onTokens [ SlideAttention(5, 2, Padding = EdgePadding.Reflect) ] 4 3
      "qna", onTokens [ QnAAttention(3, 2) ] 4 6
      "windows", onTokens [ WindowAttention(3, 2) ] 7 5
      "windows, then shifted ones, on a map that they do not divide",
      onTokens [ WindowAttention(4, 2); WindowAttention(4, 2, Shifted = true) ] 7 9
      "shifted windows as wide as the map", onTokens [ WindowAttention(4, 2, Shifted = true) ] 6 4
      "global", onTokens [ GlobalAttention 2 ] 3 4
      "global with a convolution of values", onTokens [ GlobalAttention(2, LocallyEnhanced = true) ] 3 4
      "neighbourhoods", onTokens [ NeighbourhoodAttention(3, 2) ] 6 4
      "neighbourhoods as large as the map and larger", onTokens [ NeighbourhoodAttention(5, 2) ] 5 3
      "dilated neighbourhoods", onTokens [ NeighbourhoodAttention(3, 2, Dilation = 2) ] 9 7
      "dilated neighbourhoods on a map that is padded",
      onTokens [ NeighbourhoodAttention(3, 2, Dilation = 3) ] 7 10
      "cross-shaped stripes", onTokens [ CrossShapedAttention(2, 2) ] 7 4
      "stripes, then neighbourhoods",
      onTokens [ CrossShapedAttention(2, 2); NeighbourhoodAttention(3, 2) ] 5 6
      "reduced keys", onTokens [ SpatialReductionAttention(2, 2) ] 4 5
      "keys of cells", onTokens [ PooledAttention(2, 2) ] 5 4
      "a convolution in the MLP",
      model
          (PatchStem(1, 4))
          (ImageSize(5, 4))
          [ Stage(
                ValueList.From
                    [ Block(WindowAttention(1, 2), MlpConvolution = MlpConvolution.Depthwise)
                      Block(WindowAttention(2, 2), MlpConvolution = MlpConvolution.DepthwiseAfterRelu) ]
            ) ] ]

/// One token from each pixel, then the transition.
let private transitions: (string * Transition) list =
    [ "patch merging", PatchMerging()
      "a strided convolution", StridedConvolution(Kernel = 5, Stride = 3)
      "patches", StridedConvolution(Kernel = 2, Stride = 2)
      "a stride that leaves tokens out", StridedConvolution(Kernel = 1, Stride = 2)
      "qna downsampling", QnADownsampling(QnAAttention(3, 2), Stride = 2)
      "qna downsampling beside a mean",
      QnADownsampling(QnAAttention(3, 2), Stride = 4, Skip = SkipPath.AveragePool)
      "qna upsampling", QnAUpsampling(QnAAttention(3, 2), Channels = 4) ]

let private stems: (string * Stem) list =
    [ "patches that hang over", PatchStem(3, 4)
      "convolutions", ConvolutionStem(ValueList.From [ Convolution(3, 2, 4); Convolution(3, 1, 4) ])
      "convolutions without padding",
      ConvolutionStem(ValueList.From [ Convolution(3, 2, 4, Padding = 0); Convolution(3, 1, 4, Padding = 0) ]) ]

let private kinds =
    testList
        "of every unit"
        [ for name, architecture in examples do
              testCase name
              <| fun () -> everyUnit architecture $"stage 1, block {architecture.Stages[0].Blocks.Count}" ]

/// Those of all units of the last map, gathered from the built model as a whole.
let private ofLogits =
    testList
        "of logits"
        [ testCase "a stride leaves pixels out"
          <| fun () ->
              let architecture =
                  model
                      (PatchStem(1, 4))
                      (ImageSize(5, 6))
                      [ Stage(ValueList.From [], Transition = StridedConvolution(Kernel = 1, Stride = 2)) ]

              Expect.equal
                  (string (ReceptiveField.OfLogits architecture))
                  "rows 0, 2, 4 × columns 0, 2, 4, 9 pixels"
                  "pixels"
          testCase "a class token sees all of the map, and without blocks nothing"
          <| fun () ->
              let seeing = onTokens [ GlobalAttention 2 ] 3 4
              Expect.isTrue (ReceptiveField.OfLogits(seeing.With(head = ClassTokenHead 2)).IsWhole) "all"

              let blind =
                  model
                      (PatchStem(1, 4))
                      (ImageSize(3, 4))
                      [ seeing.Stages[0]; Stage(ValueList.From [], Norm = true) ]

              if Validation.Check(blind.With(head = ClassTokenHead 2)).Count = 0 then
                  Expect.isTrue
                      (ReceptiveField.OfLogits(blind.With(head = ClassTokenHead 2)).IsEmpty)
                      "nothing" ]

let private theory =
    testList
        "in theory"
        [ testCase "the growth formula"
          <| fun () ->
              // 4 pixels a token; a window of 3 adds 2 tokens of 4 pixels, merging one of them, a window of 3 two of 8.
              let stages =
                  [ Stage(blocks [ SlideAttention(3, 2) ], Transition = PatchMerging())
                    Stage(blocks [ QnAAttention(3, 2) ]) ]

              let architecture = model (PatchStem(4, 4)) (ImageSize(64, 64)) stages
              let field = ReceptiveField.Of(architecture, 2, 3, 4)
              Expect.equal field.Down (TheoreticalField(12L, 32L, 8.0)) "down"
              Expect.equal field.Right (TheoreticalField(20L, 32L, 8.0)) "right"
              Expect.equal field.Down.Centre (Nullable 27.5) "the middle of the third token, from 24 to 31"

              Expect.equal
                  (string field.Pixels)
                  "rows 12–43 × columns 20–51, 1024 pixels"
                  "far from the border it is exact"

              let corner = ReceptiveField.Of(architecture, 2, 0, 0)
              Expect.equal corner.Down (TheoreticalField(-12L, 32L, 8.0)) "beyond the border"
              Expect.equal (string corner.Pixels) "rows 0–19 × columns 0–19, 400 pixels" "cut at the border"
          testCase "windows do not move with their token"
          <| fun () ->
              let attentions: Attention list =
                  [ WindowAttention(4, 2); WindowAttention(4, 2, Shifted = true) ]

              let field = ReceptiveField.Of(onTokens attentions 16 16, 1, 5, 6)
              // The shifted window from 2 to 5 reaches the windows from 0 to 7, that from 6 to 9 those from 4 to 11.
              Expect.equal field.Down (TheoreticalField(0L, 8L, 1.0)) "down"
              Expect.equal field.Right (TheoreticalField(4L, 8L, 1.0)) "right"
          testCase "attention to all tokens has no end"
          <| fun () ->
              let field = ReceptiveField.Of(onTokens [ GlobalAttention 2 ] 4 4, 1, 0, 0)
              Expect.equal field.Down (TheoreticalField(Nullable(), Nullable(), 1.0)) "down"
              Expect.isFalse field.Down.Centre.HasValue "no middle" ]

let private refusals =
    testList
        "refusals"
        [ testCase "a place that is not there"
          <| fun () ->
              Expect.throwsC
                  (fun () ->
                      ReceptiveField.Of(onTokens [ QnAAttention(3, 2) ] 4 4, "stage 2", 0, 0)
                      |> ignore)
                  (fun refused ->
                      Expect.stringContains
                          refused.Message
                          "there is no place 'stage 2' with a map; use one of: stage 1; stem; stage 1, block 1"
                          "what is there")
          testCase "a unit outside the map"
          <| fun () ->
              Expect.throwsC
                  (fun () -> ReceptiveField.Of(onTokens [ QnAAttention(3, 2) ] 4 5, 1, 4, 0) |> ignore)
                  (fun refused ->
                      Expect.stringContains
                          refused.Message
                          "there is no unit at row 4 and column 0 of stage 1: its map is 4×5; count both from 0"
                          "the map") ]

let private built =
    testList
        "of every unit behind"
        [ for name, transition in transitions do
              testCase name
              <| fun () ->
                  let stage = Stage(blocks [ WindowAttention(1, 2) ], Transition = transition)
                  everyUnit (model (PatchStem(1, 4)) (ImageSize(7, 5)) [ stage ]) "stage 1, transition"
          for name, stem in stems do
              testCase $"a stem of {name}"
              <| fun () ->
                  everyUnit
                      (model stem (ImageSize(11, 10)) [ Stage(blocks [ WindowAttention(1, 2) ]) ])
                      "stage 1, block 1"
          testCase "positions and a class token"
          <| fun () ->
              let stage =
                  Stage(blocks [ WindowAttention(2, 2) ], PositionEmbedding = true, Norm = true)

              let last =
                  Stage(blocks [ SpatialReductionAttention(1, 2) ], PositionEmbedding = true)

              let architecture = model (PatchStem(1, 4)) (ImageSize(3, 4)) [ stage; last ]
              let architecture = architecture.With(head = ClassTokenHead 2)
              everyUnit architecture "stage 2, block 1" ]

/// The tests of this file.
let tests =
    testList "receptive fields" [ property; kinds; built; ofLogits; theory; refusals ]
