/// Whole architectures that are valid and build in milliseconds.
module internal LocalAttention.Verification.ArchitectureGenerators

open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification.Picking

/// A stage for the map, and the map behind it.
let stage exact (map: MapShape) : Gen<Stage * MapShape> =
    gen {
        let! blockCount = Gen.elements [ 1; 1; 2; 0 ]

        let! blocks =
            AttentionGenerators.any exact map
            |> Gen.bind (PartGenerators.block map.Channels)
            |> Gen.listOfLength blockCount

        let blocks = ValueList.From blocks
        let! places = flag false
        let! norm = flag false
        let! goesOn = Gen.elements [ true; false ]

        if blockCount = 0 || goesOn then
            let! transition = PartGenerators.transition exact map

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
            AttentionGenerators.placeless map
            |> Gen.bind (PartGenerators.plainBlock map.Channels)
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
        let! stem = PartGenerators.stem
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

        let! head = PartGenerators.head classToken last
        let! imageChannels = usually 3 [ 1; 2 ]
        let! dropPath = usually 0.0 [ 0.1; 0.5 ]
        let! conventions = PartGenerators.conventions

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
