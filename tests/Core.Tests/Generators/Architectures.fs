/// Whole architectures that are valid and build in milliseconds, and how any architecture gets simpler.
module LocalAttention.Core.Tests.Architectures

open System
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Picking

let private stage exact (map: MapShape) : Gen<Stage * MapShape> =
    gen {
        let! blockCount = Gen.elements [ 1; 1; 2; 0 ]

        let! blocks =
            Attentions.any exact map
            |> Gen.bind (Parts.block map.Channels)
            |> Gen.listOfLength blockCount

        let blocks = ValueList.From blocks
        let! places = flag false
        let! norm = flag false
        let! goesOn = Gen.elements [ true; false ]

        if blockCount = 0 || goesOn then
            let! transition = Parts.transition exact map

            let behind =
                MapShape(transition.OutputSize map.Size, transition.OutputChannels map.Channels)

            return Stage(blocks, Transition = transition, PositionEmbedding = places, Norm = norm), behind
        else
            return Stage(blocks, PositionEmbedding = places, Norm = norm), map
    }

/// A stage that takes a class token: nothing in it asks for a token's place.
let private tokenStage (map: MapShape) : Gen<Stage * MapShape> =
    gen {
        let! blockCount = Gen.choose (0, 2)

        let! blocks =
            Attentions.placeless map
            |> Gen.bind (Parts.plainBlock map.Channels)
            |> Gen.listOfLength (max 1 blockCount)

        let! places = flag false
        let! norm = flag false
        return Stage(ValueList.From blocks, PositionEmbedding = places, Norm = norm), map
    }

let rec private stages exact classToken map count : Gen<Stage list * MapShape> =
    gen {
        if count = 0 then
            return [], map
        else
            let! first, behind =
                if classToken && count = 1 then
                    tokenStage map
                else
                    stage exact map

            let! others, last = stages exact classToken behind (count - 1)
            return first :: others, last
    }

let private side = Gen.choose (1, 8)

/// The map behind a stem.
let private stemSize (stem: Stem) (image: ImageSize) =
    match stem with
    | :? ConvolutionStem as convolutions ->
        convolutions.Convolutions
        |> Seq.fold (fun size convolution -> convolution.OutputSize size) image
    | stem -> image.DividedBy stem.Stride

/// An architecture that should build, of one to three stages, on maps of at most twelve tokens a side.
let valid: Gen<Architecture> =
    gen {
        let! stem = Parts.stem
        let! square = Gen.elements [ true; false ]
        let! height = side
        let! width = if square then Gen.constant height else side
        let! exact = usually false [ true ]
        // Without padding the image is a multiple of the patch; with it, the last patch may be cut.
        let! cut =
            if exact then
                Gen.constant 0
            else
                Gen.choose (0, stem.Stride - 1)

        let image =
            ImageSize(max 1 (height * stem.Stride - cut), max 1 (width * stem.Stride - cut))

        let! stageCount = Gen.choose (1, 3)
        let! classToken = Gen.frequency [ 4, Gen.constant false; 1, Gen.constant true ]

        let! stages, last =
            stages exact classToken (MapShape(stemSize stem image, stem.OutputChannels)) stageCount

        let! head = Parts.head classToken last
        let! imageChannels = usually 3 [ 1; 2 ]
        let! dropPath = usually 0.0 [ 0.1; 0.5 ]
        let! conventions = Parts.conventions

        return
            Architecture(
                "generated",
                stem,
                ValueList.From stages,
                head,
                ImageChannels = imageChannels,
                Resolution = image,
                DropPath = dropPath,
                SizePolicy = (if exact then SizePolicy.Exact else SizePolicy.Pad),
                Conventions = conventions
            )
    }

let private simplerBlock (block: Block) : Block list =
    [ Block(block.Attention)
      Block(block.Attention, MlpRatio = block.MlpRatio)
      Block(block.Attention, LayerScale = block.LayerScale)
      block.With(mlpConvolution = MlpConvolution.None)
      for attention in Attentions.simpler block.Attention do
          block.With(attention = attention) ]
    |> otherThan block

let private simplerStage (stage: Stage) : Stage list =
    [ Stage(stage.Blocks)
      Stage(stage.Blocks, Transition = stage.Transition)
      stage.With(positionEmbedding = false)
      stage.With(norm = false)
      for blocks in simplerList simplerBlock (List.ofSeq stage.Blocks) do
          stage.With(blocks = ValueList.From blocks)
      match stage.Transition with
      | null -> ()
      | transition ->
          for simpler in Parts.simplerTransition transition do
              stage.With(transition = simpler) ]
    |> otherThan stage

/// Architectures with one part less, or one part simpler; the largest bites first.
let simpler (architecture: Architecture) : Architecture seq =
    seq {
        let height, width = architecture.Resolution.Height, architecture.Resolution.Width

        for stages in simplerList simplerStage (List.ofSeq architecture.Stages) do
            architecture.With(stages = ValueList.From stages)

        for head in Parts.simplerHead architecture.Head do
            architecture.With(head = head)

        for stem in Parts.simplerStem architecture.Stem do
            architecture.With(stem = stem)

        for height in towards 1 height do
            architecture.With(resolution = ImageSize(height, width))

        for width in towards 1 width do
            architecture.With(resolution = ImageSize(height, width))

        for side in towards 1 (min height width) do
            architecture.With(resolution = ImageSize.Square side)

        yield!
            [ architecture.With(imageChannels = 1)
              architecture.With(dropPath = 0.0)
              architecture.With(sizePolicy = SizePolicy.Pad)
              architecture.With(conventions = Conventions.PyTorch) ]
            |> otherThan architecture
    }

/// Valid architectures, which shrink to valid ones.
let arbitraryValid =
    let shrink architecture =
        simpler architecture
        |> Seq.filter (fun smaller -> Validation.Check(smaller).Count = 0)

    Arb.fromGenShrink (valid, shrink)
