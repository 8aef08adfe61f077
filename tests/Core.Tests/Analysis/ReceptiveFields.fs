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

    architecture.With(stages = ValueList.From(List.take (stage - 1) stages @ [ last ]))

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
            let! seed = Picking.seed
            return architecture, place, row, column, seed
        }
        |> Some

let private generated =
    Architectures.valid
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
      "global", onTokens [ GlobalAttention 2 ] 3 4 ]

let private kinds =
    testList
        "of every unit"
        [ for name, architecture in examples do
              testCase name
              <| fun () -> everyUnit architecture $"stage 1, block {architecture.Stages[0].Blocks.Count}" ]

/// The tests of this file.
let tests = testList "receptive fields" [ property; kinds ]
