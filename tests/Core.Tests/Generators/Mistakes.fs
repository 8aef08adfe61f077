/// Architectures that may be broken: valid ones in which up to three values were changed at random.
module LocalAttention.Core.Tests.Mistakes

open System
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification

/// One of the candidates, which may be of several kinds.
let private oneOf<'value> (candidates: 'value list) : Gen<'value> = Gen.elements candidates

let private number = Gen.elements [ -1; 0; 1; 2; 3; 4; 5; 6; 7; 9; 2_000_000_000 ]

let private real =
    Gen.elements [ -1.0; 0.0; 0.01; 0.3; 1.0; 300.0; Double.NaN; Double.PositiveInfinity ]

let private changedQnA (qna: QnAAttention) =
    gen {
        let! number = number
        let! real = real

        return!
            Gen.elements
                [ qna.With(window = number)
                  qna.With(heads = number)
                  qna.With(queries = number)
                  qna.With(width = number)
                  qna.With(scale = AttentionScale.PositiveNegative)
                  qna.With(scale = AttentionScale.PositiveNegative, queries = 1)
                  qna.With(norm = LargestNorm real) ]
    }

let private changedAttention (attention: Attention) : Gen<Attention> =
    gen {
        let! number = number
        let! real = real

        match attention with
        | :? QnAAttention as qna -> return! changedQnA qna |> Gen.map (fun changed -> changed :> Attention)
        | :? SlideAttention as slide ->
            return!
                oneOf<Attention>
                    [ slide.With(window = number)
                      slide.With(heads = number)
                      slide.With(scale = real)
                      slide.With(window = 2 * abs (number % 10) + 1, padding = EdgePadding.Reflect)
                      slide.With(window = 2 * abs (number % 10) + 1, padding = EdgePadding.Circular) ]
        | :? WindowAttention as window ->
            return! oneOf<Attention> [ window.With(window = number); window.With(heads = number) ]
        | attention -> return attention.WithHeads number
    }

let private changedBlock (block: Block) =
    gen {
        let! attention = changedAttention block.Attention
        let! real = real

        return!
            Gen.frequency
                [ 4, Gen.constant (block.With(attention = attention))
                  1, Gen.constant (block.With(mlpRatio = real))
                  1, Gen.constant (block.With(layerScale = real)) ]
    }

let private changedTransition (transition: Transition) : Gen<Transition> =
    gen {
        let! number = number
        let! real = real

        match transition with
        | :? StridedConvolution as convolution ->
            return!
                oneOf<Transition>
                    [ StridedConvolution(Kernel = number, Channels = convolution.Channels)
                      StridedConvolution(Stride = number, Channels = convolution.Channels)
                      StridedConvolution(Channels = number) ]
        | :? QnADownsampling as down ->
            let! qna = changedQnA down.Attention

            return!
                oneOf<Transition>
                    [ QnADownsampling(qna, Channels = down.Channels)
                      QnADownsampling(down.Attention, Channels = number)
                      QnADownsampling(down.Attention, Channels = down.Channels, Stride = number)
                      QnADownsampling(down.Attention, Channels = down.Channels, MlpRatio = real) ]
        | :? QnAUpsampling as up ->
            let! qna = changedQnA up.Attention

            return!
                oneOf<Transition>
                    [ QnAUpsampling(qna, Channels = up.Channels)
                      QnAUpsampling(up.Attention, Channels = number)
                      QnAUpsampling(up.Attention, Channels = up.Channels, Factor = number)
                      QnAUpsampling(up.Attention, Channels = up.Channels, LayerScale = real) ]
        | _ -> return PatchMerging(Channels = number) :> Transition
    }

let private anywhere change items =
    match List.length items with
    | 0 -> Gen.constant items
    | count ->
        gen {
            let! index = Gen.choose (0, count - 1)
            let! changed = change items[index]
            return List.updateAt index changed items
        }

let private changedStage (stage: Stage) =
    let inBlocks =
        List.ofSeq stage.Blocks
        |> anywhere changedBlock
        |> Gen.map (fun blocks -> stage.With(blocks = ValueList.From blocks))

    let inTransition =
        match stage.Transition with
        | null -> inBlocks
        | transition ->
            changedTransition transition
            |> Gen.map (fun changed -> stage.With(transition = changed))

    Gen.frequency
        [ 4, inBlocks
          2, inTransition
          1, Gen.constant (stage.With(blocks = ValueList.From [])) ]

let private changedStem (stem: Stem) : Gen<Stem> =
    gen {
        let! number = number

        match stem with
        | :? PatchStem as patches ->
            return!
                oneOf<Stem>
                    [ patches.With(patchSize = number)
                      patches.With(channels = number)
                      ConvolutionStem(ValueList.From []) ]
        | stem ->
            return!
                oneOf<Stem>
                    [ ConvolutionStem(ValueList.From [ Convolution(number, 2, stem.OutputChannels) ])
                      ConvolutionStem(ValueList.From [ Convolution(3, number, stem.OutputChannels) ])
                      ConvolutionStem(ValueList.From [ Convolution(3, 2, number) ]) ]
    }

let private changedHead (head: Head) : Gen<Head> =
    gen {
        let! number = number

        return!
            oneOf<Head>
                [ head.WithClasses(if number > 1000 then -7 else number)
                  QnAPoolHead(head.Classes, number)
                  QnAPoolHead(head.Classes, 1, Queries = number)
                  ClassTokenHead head.Classes ]
    }

let private changed (architecture: Architecture) : Gen<Architecture> =
    let inStages =
        List.ofSeq architecture.Stages
        |> anywhere changedStage
        |> Gen.map (fun stages -> architecture.With(stages = ValueList.From stages))

    let inWhole =
        gen {
            let! number = number
            let! real = real
            let! height = Gen.choose (0, 20)
            let! width = Gen.choose (0, 20)

            return!
                Gen.elements
                    [ architecture.With(name = " ")
                      architecture.With(stages = ValueList.From [])
                      architecture.With(imageChannels = number)
                      architecture.With(resolution = ImageSize(height, width))
                      architecture.With(resolution = ImageSize(number, width))
                      architecture.With(dropPath = real)
                      architecture.With(sizePolicy = SizePolicy.Exact)
                      architecture.With(conventions = architecture.Conventions.With(normEpsilon = real)) ]
        }

    let inStem =
        changedStem architecture.Stem
        |> Gen.map (fun stem -> architecture.With(stem = stem))

    let inHead =
        changedHead architecture.Head
        |> Gen.map (fun head -> architecture.With(head = head))

    Gen.frequency [ 6, inStages; 2, inWhole; 1, inStem; 1, inHead ]

/// An architecture with up to three changes; some of them harmless.
let possiblyBroken: Gen<Architecture> =
    let rec change count architecture =
        if count = 0 then
            Gen.constant architecture
        else
            changed architecture |> Gen.bind (change (count - 1))

    gen {
        let! architecture = Generate.architecture
        let! count = Gen.elements [ 1; 1; 2; 3; 0 ]
        return! change count architecture
    }

/// Possibly broken architectures, which shrink to any simpler ones.
let arbitraryPossiblyBroken =
    Arb.fromGenShrink (possiblyBroken, Shrink.anyArchitecture)
