/// The shifts that the value predicts are those of a built model: they hold, and others measurably do not.
module LocalAttention.Core.Tests.EquivarianceOfModels

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Analysis
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Oracle
open LocalAttention.Verification
open TorchSharp

/// Both sides add up the same numbers, in another order at most. A sum of a thousand terms rounds by 1e-13 of its size, a
/// norm of tokens that vary little takes that up to a hundredfold, and the few layers one after the other ten times more.
let private rounding = 1e-10

/// What differs differs by terms of the sums, not by their rounding.
let private measurable = 1e-7

/// The maps of all stages, the map that enters the head, and the logits.
let private outputs (model: Backbone) (image: NdArray<float>) =
    use _ = Backends.Use Backend.Composite
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let image = toTensor torch.ScalarType.Float64 image
    let stages = model.features image |> Seq.map toArray |> List.ofSeq
    let last = model.stages image |> Seq.last |> toArray
    stages @ [ last ], toArray (model.forward image)

let private build (architecture: Architecture) seed =
    let model = architecture.Build() |> inDoubles seed
    model.eval ()
    model

let private predictions (architecture: Architecture) =
    let equivariance = Equivariance.Of architecture
    List.ofSeq equivariance.Stages @ [ equivariance.LastMap ], equivariance.Logits

/// Tokens that a shift of pixels is, where it is a whole number.
let private tokens (map: MapEquivariance) (pixels: int) =
    let tokens = float pixels / map.Stride

    if tokens = Math.Floor tokens then
        Some(int tokens)
    else
        None

/// The largest difference between the tokens of two maps, the second's being those of the first moved, over the rows and
/// columns that are asked for; none where there are none.
let private difference rows columns (down, right) (first: NdArray<float>) (second: NdArray<float>) =
    let height, width, channels = first.Shape[1], first.Shape[2], first.Shape[3]

    let differences =
        [ for row in rows do
              for column in columns do
                  for channel in 0 .. channels - 1 do
                      let other =
                          first[0,
                                ((row + down) % height + height) % height,
                                ((column + right) % width + width) % width,
                                channel]

                      abs (second[0, row, column, channel] - other) ]

    if differences.IsEmpty then
        None
    else
        Some(List.max differences / max 1.0 (NdArray.largest first))

/// Maps of an image and of the same image rolled up and to the left.
let private rolled (model: Backbone) seed (down, right) =
    let size = model.Architecture.Resolution

    let image =
        numbers seed "x" [| 1; model.Architecture.ImageChannels; size.Height; size.Width |]

    let other =
        NdArray.init image.Shape (fun index ->
            image[0, index[1], (index[2] + down) % size.Height, (index[3] + right) % size.Width])

    outputs model image, outputs model other

/// Maps of two crops of one large image, the second `(down, right)` further.
let private moved (model: Backbone) seed (down, right) =
    let size = model.Architecture.Resolution

    let large =
        numbers
            seed
            "x"
            [| 1
               model.Architecture.ImageChannels
               size.Height + down
               size.Width + right |]

    let crop top left =
        NdArray.init [| 1; large.Shape[1]; size.Height; size.Width |] (fun index ->
            large[0, index[1], index[2] + top, index[3] + left])

    outputs model (crop 0 0), outputs model (crop down right)

/// Rows or columns of the second crop that lie inside the band in both. Along an axis that nothing moves along, the border
/// is where it was, and where no move is left, there is no inside: everything is compared that is in both crops.
let private inside (before: int64) (after: int64) stride length pixels shift (step: Nullable<int64>) =
    let isInside token =
        float token * stride >= float before
        && float (token + 1) * stride <= float (int64 pixels - after)

    [ for token in 0 .. length - 1 - shift do
          if shift = 0 || not step.HasValue || (isInside token && isInside (token + shift)) then
              token ]

let private insideBoth (size: ImageSize) (map: MapEquivariance) (down, right) =
    let border = map.Border

    inside border.Top border.Bottom map.Stride map.Map.Height size.Height down map.Moved.Down,
    inside border.Left border.Right map.Stride map.Map.Width size.Width right map.Moved.Right

let private everywhere (map: MapEquivariance) =
    [ 0 .. map.Map.Height - 1 ], [ 0 .. map.Map.Width - 1 ]

/// How a shift is applied, what is predicted of it, and where tokens are compared.
type private Way =
    { Name: string
      Shift:
          Backbone
              -> int
              -> int * int
              -> (NdArray<float> list * NdArray<float>) * (NdArray<float> list * NdArray<float>)
      Lattice: MapEquivariance -> ShiftLattice
      Where: ImageSize -> MapEquivariance -> int * int -> int list * int list }

let private moves =
    { Name = "moved"
      Shift = moved
      Lattice = _.Moved
      Where = insideBoth }

let private rolls =
    { Name = "rolled"
      Shift = rolled
      Lattice = _.Rolled
      Where = fun _ map _ -> everywhere map }

/// Compares all maps that a shift shifts by whole tokens: the predicted ones must agree, and with `breaks` all others must
/// not. The number of maps that agreed, and of those that did not.
let private compare way breaks (model: Backbone) seed (down, right) =
    let maps, logits = predictions model.Architecture

    let (first, firstLogits), (second, secondLogits) =
        way.Shift model seed (down, right)

    let mutable agreed, differed = 0, 0

    let check what holds difference =
        if holds then
            agreed <- agreed + 1

            if not (difference <= rounding) then
                failtest
                    $"{what} {way.Name} by {down}, {right} differs by {difference}, against the prediction"
        elif breaks then
            differed <- differed + 1

            if not (difference >= measurable) then
                failtest
                    $"{what} {way.Name} by {down}, {right} agrees up to {difference}, which was not predicted"

    for index, map in List.indexed maps do
        let holds = (way.Lattice map).Contains(down, right)

        match tokens map down, tokens map right with
        | Some rowsDown, Some columnsRight ->
            let rows, columns =
                way.Where model.Architecture.Resolution map (rowsDown, columnsRight)

            difference rows columns (rowsDown, columnsRight) first[index] second[index]
            |> Option.iter (check map.Place holds)
        // The map cannot have shifted with the image; that the lattice leaves the shift out is all there is to ask.
        | _ -> Expect.isFalse holds $"{map.Place} has no tokens between its tokens"

    if way.Name = rolls.Name then
        let largest = NdArray.map2 (-) firstLogits secondLogits |> NdArray.largest

        largest / max 1.0 (NdArray.largest firstLogits)
        |> check "the logits" (logits.Rolled.Contains(down, right))

    agreed, differed

/// A multiple of one of the predicted steps along an axis, less than the image.
let private steps (length: int) (step: Nullable<int64>) =
    if step.HasValue && step.Value < int64 length then
        [ for multiple in 0..3 do
              let shift = multiple * int step.Value

              if shift < length then
                  shift ]
    else
        [ 0 ]

/// A shift in the lattice of one of the maps.
let private predicted way (architecture: Architecture) =
    let maps, _ = predictions architecture

    gen {
        let! map = Gen.elements maps
        let lattice = way.Lattice map
        let! down = Gen.elements (steps architecture.Resolution.Height lattice.Down)
        let! right = Gen.elements (steps architecture.Resolution.Width lattice.Right)
        return down, right
    }

/// Generated architectures on images that leave room beside the border bands.
let private roomy =
    gen {
        let! architecture = Generate.architecture
        let! more = Gen.choose (0, 6)
        let stride = architecture.Stem.Stride
        let size = architecture.Resolution

        // Pooling by QnA is bound to one size.
        let head: Head =
            match architecture.Head with
            | :? QnAPoolHead as pool -> AveragePoolHead pool.Classes
            | head -> head

        let larger =
            architecture.With(
                resolution = ImageSize(size.Height + 4 * more * stride, size.Width + 3 * more * stride),
                head = head
            )

        return
            if Validation.Check(larger).Count = 0 && larger.Resolution.Height <= 96 then
                larger
            else
                architecture
    }

let private property way count =
    let case =
        gen {
            let! architecture = roomy
            let! shift = predicted way architecture
            let! seed = Generate.seed
            return architecture, shift, seed
        }

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with
            maxTest = count }
        $"generated architectures are equivariant where predicted, {way.Name}"
    <| Prop.forAll (Arb.fromGen case) (fun (architecture, shift, seed) ->
        use model = build architecture seed
        compare way false model seed shift |> ignore)

let private blocks (attentions: Attention list) =
    ValueList.From [ for attention in attentions -> Block(attention, MlpRatio = 1.0) ]

let private model stem (image: ImageSize) (stages: Stage list) =
    Architecture(
        "example",
        stem,
        ValueList.From stages,
        AveragePoolHead 3,
        Resolution = image,
        ImageChannels = 1
    )

let private torus window =
    SlideAttention(window, 2, Padding = EdgePadding.Circular) :> Attention

/// Stages of the given attentions on patches, each but the last merged.
let private hierarchy patch image (stages: Attention list list) =
    let count = stages.Length

    [ for index, attentions in List.indexed stages ->
          if index < count - 1 then
              Stage(blocks attentions, Transition = PatchMerging(Channels = 4))
          else
              Stage(blocks attentions) ]
    |> model (PatchStem(patch, 4)) image

/// Models small enough that all shifts can be tried.
let private examples =
    [ "slide", hierarchy 2 (ImageSize(18, 20)) [ [ SlideAttention(3, 2) ] ]
      "slide on a torus", hierarchy 2 (ImageSize(28, 8)) [ [ torus 3 ]; [ torus 3 ] ]
      "slide, mirrored",
      hierarchy 1 (ImageSize(9, 10)) [ [ SlideAttention(3, 2, Padding = EdgePadding.Reflect) ] ]
      "qna", hierarchy 1 (ImageSize(8, 9)) [ [ QnAAttention(3, 2) ] ]
      "windows", hierarchy 1 (ImageSize(12, 9)) [ [ WindowAttention(3, 2) ] ]
      "shifted windows",
      hierarchy 2 (ImageSize(36, 30)) [ [ WindowAttention(3, 2); WindowAttention(3, 2, Shifted = true) ] ]
      "windows that hold the map", hierarchy 1 (ImageSize(4, 5)) [ [ WindowAttention(7, 2) ] ]
      "windows that hold the map, without biases",
      hierarchy 1 (ImageSize(4, 5)) [ [ WindowAttention(7, 2, PositionBias = false) ] ]
      "windows after merging", hierarchy 1 (ImageSize(24, 16)) [ [ torus 3 ]; [ WindowAttention(2, 2) ] ]
      "global", hierarchy 2 (ImageSize(6, 8)) [ [ GlobalAttention 2 ] ]
      "neighbourhoods", hierarchy 1 (ImageSize(9, 8)) [ [ NeighbourhoodAttention(3, 2) ] ]
      "dilated neighbourhoods",
      hierarchy 2 (ImageSize(20, 18)) [ [ NeighbourhoodAttention(3, 2, Dilation = 2) ] ]
      "cross-shaped stripes", hierarchy 1 (ImageSize(6, 8)) [ [ CrossShapedAttention(2, 2) ] ]
      "reduced keys", hierarchy 1 (ImageSize(12, 8)) [ [ SpatialReductionAttention(2, 2) ] ]
      "reduced keys of patches that hang over",
      hierarchy 1 (ImageSize(9, 8)) [ [ SpatialReductionAttention(4, 2) ] ]
      "keys of cells", hierarchy 1 (ImageSize(12, 10)) [ [ PooledAttention(4, 2) ] ]
      "keys of cells that do not come together", hierarchy 1 (ImageSize(7, 6)) [ [ PooledAttention(3, 2) ] ]
      "a convolution in the MLP",
      model
          (PatchStem(1, 4))
          (ImageSize(8, 9))
          [ Stage(ValueList.From [ Block(WindowAttention(1, 2), MlpConvolution = MlpConvolution.Depthwise) ]) ]
      "embeddings of places",
      model
          (PatchStem(2, 4))
          (ImageSize(8, 10))
          [ Stage(blocks [ WindowAttention(1, 2) ], PositionEmbedding = true) ]
      "a class token",
      (hierarchy 1 (ImageSize(6, 5)) [ [ torus 3 ]; [ SpatialReductionAttention(1, 2) ] ])
          .With(head = ClassTokenHead 3)
      "a class token without places, on a torus",
      (hierarchy 1 (ImageSize(8, 6)) [ [ torus 3 ]; [ SpatialReductionAttention(1, 2) ] ])
          .With(head = ClassTokenHead 3)
      "upsampling",
      model
          (PatchStem(2, 4))
          (ImageSize(16, 12))
          [ Stage(blocks [ torus 3 ], Transition = QnAUpsampling(QnAAttention(1, 2), Channels = 4))
            Stage(blocks [ WindowAttention(4, 2) ]) ]
      "downsampling beside a mean",
      model
          (PatchStem(1, 4))
          (ImageSize(22, 19))
          [ Stage(
                blocks [ WindowAttention(1, 2) ],
                Transition = QnADownsampling(QnAAttention(3, 2), Skip = SkipPath.AveragePool)
            ) ]
      "a stem of overlapping convolutions",
      model
          (ConvolutionStem(ValueList.From [ Convolution(3, 2, 4); Convolution(3, 1, 4) ]))
          (ImageSize(20, 17))
          [ Stage(blocks [ WindowAttention(1, 2) ]) ] ]

/// Shifts along each axis and along both, by few steps and by many.
let private shifts (architecture: Architecture) =
    let stride = architecture.Stem.Stride
    let size = architecture.Resolution

    let along length =
        [ 1; 2; 3; 4; 6; 9; 12 ]
        |> List.map ((*) stride)
        |> List.filter (fun shift -> shift < length)

    [ for down in along size.Height -> down, 0
      for right in along size.Width -> 0, right
      yield!
          List.allPairs (along size.Height) (along size.Width)
          |> List.indexed
          |> List.filter (fun (index, _) -> index % 4 = 0)
          |> List.map snd ]

/// All shifts of an example; where some are predicted, or some left out, there must be such comparisons.
let private exact way =
    testList
        $"and in no others, {way.Name}"
        [ for name, architecture in examples do
              testCase name
              <| fun () ->
                  use model = build architecture 1
                  let counts = [ for shift in shifts architecture -> compare way true model 1 shift ]
                  let agreed, differed = List.sumBy fst counts, List.sumBy snd counts
                  let maps = predictions architecture |> fst

                  if maps |> List.exists (fun map -> not (way.Lattice map).IsNone) then
                      Expect.isGreaterThan agreed 0 "maps that agreed"

                  // By one token.
                  let leftOut (map: MapEquivariance) =
                      let step = int64 (max 1.0 map.Stride)
                      not ((way.Lattice map).Contains(step, step))

                  if List.exists leftOut maps then
                      Expect.isGreaterThan differed 0 "maps that differed" ]

/// The first row behind the upper band agrees with where the image came from, and the last row in it does not; at the lower
/// band likewise.
let private tight (architecture: Architecture) =
    let map = predictions architecture |> fst |> List.last
    let rows (pixels: int64) = int (float pixels / map.Stride)

    if map.Moved.Down.HasValue then
        use model = build architecture 1
        let shift = int map.Moved.Down.Value
        let (first, _), (second, _) = moved model 1 (shift, 0)
        let shift = rows map.Moved.Down.Value
        let columns = [ 0 .. map.Map.Width - 1 ]
        let first, second = List.last first, List.last second
        let top, bottom = rows map.Border.Top, map.Map.Height - rows map.Border.Bottom

        let at row =
            difference [ row ] columns (shift, 0) first second |> Option.get

        Expect.isLessThan (top + shift) bottom "a row that is inside in both images"
        Expect.isLessThanOrEqual (at top) rounding "the first row inside"
        Expect.isLessThanOrEqual (at (bottom - shift - 1)) rounding "the last row inside"

        if top > 0 then
            Expect.isGreaterThanOrEqual (at (top - 1)) measurable "the last row of the upper band"

        if bottom < map.Map.Height then
            Expect.isGreaterThanOrEqual (at (bottom - shift)) measurable "the first row of the lower band"

/// The reasons are about what was found: the last one that speaks of what is left says what the lattices say, for both axes
/// or for each.
let private reasons =
    let ofAxis (moved: Nullable<int64>) (rolled: Nullable<int64>) (said: string) =
        let moves, rolls = moved.HasValue, rolled.HasValue

        if said.Contains "no shift is left" then
            Expect.isFalse (moves || rolls) said
        elif said.Contains "no roll is left" then
            Expect.isFalse rolls said
        elif said.Contains "only rolls are left" then
            Expect.isTrue (rolls && not moves) said
        else
            Expect.isTrue moves $"moves are left where nothing else is said: {said}"

    testList
        "reasons"
        [ for name, architecture in examples do
              testCase name
              <| fun () ->
                  let equivariance = Equivariance.Of architecture
                  let last = equivariance.LastMap

                  let said =
                      Seq.append equivariance.Stages [ last ]
                      |> Seq.collect _.Reasons
                      |> Seq.filter _.Contains("left")
                      |> Seq.tryLast
                      |> Option.defaultValue ""

                  let down, right =
                      match said.Split "; right, " with
                      | [| down; right |] -> down, right
                      | _ -> said, said

                  ofAxis last.Moved.Down last.Rolled.Down down
                  ofAxis last.Moved.Right last.Rolled.Right right ]

/// The tests of this file.
let tests =
    testList
        "equivariance of models"
        [ property moves 30
          property rolls 30
          reasons
          exact moves
          exact rolls
          testList
              "the band is no wider"
              [ for name, architecture in examples -> testCase name <| fun () -> tight architecture ] ]
