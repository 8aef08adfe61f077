/// Stems, transitions, heads and conventions, small and valid where they stand.
module internal LocalAttention.Verification.PartGenerators

open System
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification.Picking

/// No map of a generated architecture has a longer side.
let longestSide = 12

/// Channels that have some divisors and cost nothing.
let channels = Gen.elements [ 4; 6; 8; 12; 16 ]

let private mlpRatio = usually 2.0 [ 0.5; 1.5; 4.0 ]
let private layerScale = usually (Nullable()) [ Nullable 0.1; Nullable 1e-5 ]

/// A stem of patches or of convolutions.
let stem: Gen<Stem> =
    let patches =
        gen {
            let! patch = Gen.choose (1, 4)
            let! channels = channels
            let! bias = flag true
            let! norm = flag true
            return PatchStem(patch, channels, Bias = bias, Norm = norm) :> Stem
        }

    let convolution =
        gen {
            let! kernel = Gen.elements [ 1; 3; 5 ]
            let! stride = Gen.choose (1, 2)
            let! channels = channels
            // More zeros than half the kernel; fewer might leave nothing of a small map.
            let! padding =
                usually (Nullable()) [ Nullable(kernel / 2); Nullable(kernel / 2 + 1) ]

            return Convolution(kernel, stride, channels, Padding = padding)
        }

    let convolutions =
        gen {
            let! count = Gen.choose (1, 2)
            let! convolutions = Gen.listOfLength count convolution
            let! bias = flag false
            let! activated = flag true

            return
                ConvolutionStem(ValueList.From convolutions, Bias = bias, ActivatedBetween = activated)
                :> Stem
        }

    Gen.frequency [ 2, patches; 1, convolutions ]

/// A transition for the map, the channels behind it never above 16; with `exact`, one that divides the map.
let transition exact (map: MapShape) : Gen<Transition> =
    let explicitly byRule =
        gen {
            let! chosen = channels
            let! byRuleOnly = Gen.elements [ true; false ]

            return
                if byRuleOnly && byRule <= 16 then
                    Nullable()
                else
                    Nullable chosen
        }

    let behind byRule (chosen: Nullable<int>) = chosen.GetValueOrDefault byRule
    let doubled = 2 * map.Channels

    let merging =
        gen {
            let! chosen = explicitly doubled
            return PatchMerging(Channels = chosen) :> Transition
        }

    let convolution =
        gen {
            let! chosen = explicitly doubled
            let! kernel = Gen.elements [ 1; 3; 5 ]
            let! stride = usually 2 [ 1; 3 ]
            let! bias = flag false
            let! patches = flag false
            let divides = not exact || map.Size.IsMultipleOf 2

            return
                if patches && divides then
                    StridedConvolution(Channels = chosen, Kernel = 2, Stride = 2, Bias = bias) :> Transition
                else
                    StridedConvolution(Channels = chosen, Kernel = kernel, Stride = stride, Bias = bias)
        }

    let downsampling =
        gen {
            let! chosen = explicitly doubled
            let! qna = AttentionGenerators.qna (behind doubled chosen)
            let! stride = usually 2 [ 1; 3 ]
            let! skip = Gen.elements [ SkipPath.Convolution; SkipPath.AveragePool ]
            let! mlpRatio = mlpRatio
            let! layerScale = layerScale

            return
                QnADownsampling(
                    qna,
                    Channels = chosen,
                    Stride = stride,
                    Skip = skip,
                    MlpRatio = mlpRatio,
                    LayerScale = layerScale
                )
                :> Transition
        }

    let upsampling =
        gen {
            let halved = max 1 (map.Channels / 2)
            let! chosen = explicitly halved
            let! qna = AttentionGenerators.qna (behind halved chosen)
            let! factor = Gen.choose (1, 2)
            let! mlpRatio = mlpRatio |> Gen.map (max (1.0 / float (behind halved chosen)))
            let! layerScale = layerScale

            return
                QnAUpsampling(
                    qna,
                    Channels = chosen,
                    Factor = factor,
                    MlpRatio = mlpRatio,
                    LayerScale = layerScale
                )
                :> Transition
        }

    Gen.frequency
        [ if not exact || map.Size.IsMultipleOf 2 then
              2, merging
          2, convolution
          2, downsampling
          if 2 * max map.Size.Height map.Size.Width <= longestSide then
              1, upsampling ]

/// A block with the attention, its MLP of at least one hidden channel and without a convolution.
let plainBlock channels attention : Gen<Block> =
    gen {
        let! mlpRatio = mlpRatio |> Gen.map (max (1.0 / float channels))
        let! layerScale = layerScale
        return Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale)
    }

/// A block with the attention, its MLP of any kind.
let block channels attention : Gen<Block> =
    gen {
        let! plain = plainBlock channels attention

        let! convolution =
            usually MlpConvolution.None [ MlpConvolution.Depthwise; MlpConvolution.DepthwiseAfterRelu ]

        return plain.With(mlpConvolution = convolution)
    }

/// A head for the last map: one of a class token where there is such, one that pools by QnA only where the map is square.
let head classToken (map: MapShape) : Gen<Head> =
    gen {
        let! classes = Gen.elements [ 5; 3; 1; 0 ]
        let! heads = Gen.elements (divisors map.Channels)
        let! queries = Gen.choose (1, 3)
        let! skip = flag true
        let! pools = Gen.elements [ true; false ]

        return
            if classToken then
                ClassTokenHead classes :> Head
            elif pools && map.Size.IsSquare then
                QnAPoolHead(classes, heads, Queries = queries, Skip = skip)
            else
                AveragePoolHead classes
    }

/// Conventions of any mixture.
let conventions: Gen<Conventions> =
    gen {
        let! epsilon = Gen.elements [ 1e-5; 1e-6 ]
        let! embeddingEpsilon = usually (Nullable()) [ Nullable 1e-4 ]
        let! activation = Gen.elements (Enum.GetValues<Activation>() |> List.ofArray)
        let! initialization = Gen.elements (Enum.GetValues<Initialization>() |> List.ofArray)
        let! naming = Gen.elements (Enum.GetValues<ParameterNaming>() |> List.ofArray)

        return
            Conventions(
                NormEpsilon = epsilon,
                EmbeddingNormEpsilon = embeddingEpsilon,
                Activation = activation,
                Initialization = initialization,
                Naming = naming
            )
    }
