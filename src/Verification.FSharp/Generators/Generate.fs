namespace LocalAttention.Verification

open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Verification.Picking

/// <summary>
/// Generators of specifications that can be built, small enough for hundreds of models a second: at most 16 channels, maps of at
/// most 12 tokens a side, every kind and mode among them. <c>Shrink</c> has what makes them simpler.
/// </summary>
/// <example><code lang="fsharp">
/// let anArchitecture = Arb.fromGenShrink (Generate.architecture, Shrink.architecture)
/// Prop.forAll anArchitecture (fun architecture -> parameters architecture > 0L) |> Check.QuickThrowOnFailure
/// </code></example>
[<RequireQualifiedAccess>]
module Generate =
    let private exact (policy: SizePolicy) = policy = SizePolicy.Exact

    // ------------------------------------------------------------------------------------------ sizes and numbers

    /// Channels that have divisors for heads: 4, 6, 8, 12 or 16.
    [<CompiledName "Channels">]
    let channels: Gen<int> = PartGenerators.channels

    /// Sizes of maps: sides from 1 to 7, every third one a square.
    [<CompiledName "MapSize">]
    let mapSize: Gen<ImageSize> =
        let side = Gen.choose (1, 7)

        Gen.frequency
            [ 1, side |> Gen.map ImageSize.Square
              2, Gen.map2 (fun height width -> ImageSize(height, width)) side side ]

    /// Maps: a size, and channels.
    [<CompiledName "Map">]
    let map: Gen<MapShape> =
        Gen.map2 (fun size channels -> MapShape(size, channels)) mapSize channels

    /// Seeds of weights and of inputs.
    [<CompiledName "Seed">]
    let seed: Gen<int> = Picking.seed

    /// <summary>Batches of one or two images or maps.</summary>
    /// <param name="channels">Channels of each.</param>
    /// <param name="size">Rows and columns of each.</param>
    [<CompiledName "Input">]
    let input (channels: int) (size: ImageSize) : Gen<Input> =
        gen {
            let! batch = Gen.choose (1, 2)
            let! seed = seed

            return
                { Batch = batch
                  Size = size
                  Channels = channels
                  Seed = seed }
        }

    // ------------------------------------------------------------------------------------------ attentions

    /// Query-and-attend whose output has the given channels.
    [<CompiledName "QnA">]
    let qna (channels: int) : Gen<QnAAttention> = AttentionGenerators.qna channels

    /// Slide Attention whose window every padding can serve on the map.
    [<CompiledName "Slide">]
    let slide (map: MapShape) : Gen<SlideAttention> = AttentionGenerators.slide map

    /// Attention in windows; of the exact policy, such as divide the map or hold it.
    [<CompiledName "Window">]
    let window (policy: SizePolicy) (map: MapShape) : Gen<WindowAttention> =
        AttentionGenerators.window (exact policy) map

    /// Attention of all tokens to all.
    [<CompiledName "GlobalAttention">]
    let globalAttention (map: MapShape) : Gen<GlobalAttention> = AttentionGenerators.everywhere map

    /// Attention to patches; of the exact policy, such as divide the map.
    [<CompiledName "SpatialReduction">]
    let spatialReduction (policy: SizePolicy) (map: MapShape) : Gen<SpatialReductionAttention> =
        AttentionGenerators.reduction (exact policy) map

    /// Attention to averages of cells, more or fewer than tokens.
    [<CompiledName "PooledAttention">]
    let pooledAttention (map: MapShape) : Gen<PooledAttention> = AttentionGenerators.pooled map

    /// Attention in stripes, on an even number of channels; of the exact policy, stripes that divide the map or hold it.
    [<CompiledName "CrossShaped">]
    let crossShaped (policy: SizePolicy) (map: MapShape) : Gen<CrossShapedAttention> =
        AttentionGenerators.crossShaped (exact policy) map

    /// Neighbourhoods, dilated or not; of the exact policy, such as the map holds.
    [<CompiledName "Neighbourhood">]
    let neighbourhood (policy: SizePolicy) (map: MapShape) : Gen<NeighbourhoodAttention> =
        AttentionGenerators.neighbourhood (exact policy) map

    /// Attention of any kind.
    [<CompiledName "Attention">]
    let attention (policy: SizePolicy) (map: MapShape) : Gen<Attention> =
        AttentionGenerators.any (exact policy) map

    /// Layers: attention of any kind and a map for it.
    [<CompiledName "Layer">]
    let layer: Gen<Layer> =
        gen {
            let! map = map
            let! attention = attention SizePolicy.Pad map
            return { Attention = attention; Map = map }
        }

    // ------------------------------------------------------------------------------------------ parts of models

    /// Blocks: attention of any kind, and an MLP of any kind.
    [<CompiledName "Block">]
    let block (policy: SizePolicy) (map: MapShape) : Gen<Block> =
        attention policy map |> Gen.bind (PartGenerators.block map.Channels)

    /// Stems of patches or of convolutions.
    [<CompiledName "Stem">]
    let stem: Gen<Stem> = PartGenerators.stem

    /// Transitions of any kind; of the exact policy, such as divide the map.
    [<CompiledName "Transition">]
    let transition (policy: SizePolicy) (map: MapShape) : Gen<Transition> =
        PartGenerators.transition (exact policy) map

    /// Stages for a map: up to two blocks, with a transition or without.
    [<CompiledName "Stage">]
    let stage (policy: SizePolicy) (map: MapShape) : Gen<Stage> =
        ArchitectureGenerators.stage (exact policy) map |> Gen.map fst

    /// Heads for the last map, without a class token.
    [<CompiledName "Head">]
    let head (map: MapShape) : Gen<Head> = PartGenerators.head false map

    /// Conventions of any mixture.
    [<CompiledName "Conventions">]
    let conventions: Gen<Conventions> = PartGenerators.conventions

    /// Whole architectures of one to three stages.
    [<CompiledName "Architecture">]
    let architecture: Gen<Architecture> = ArchitectureGenerators.valid

/// <summary>
/// Generators with their shrinkers, for FsCheck to find by type: architectures, layers, attentions, blocks, sizes of maps,
/// inputs.
/// </summary>
/// <example>
/// In F# <c>ArbMap.defaults |> ArbMap.mergeWith&lt;Arbitraries&gt;</c>, or the <c>arbitrary</c> of a configuration; in a suite of
/// xUnit or NUnit <c>[Property(Arbitrary = new[] { typeof(Arbitraries) })]</c>.
/// </example>
[<AbstractClass; Sealed>]
type Arbitraries =
    /// Valid architectures, which shrink to valid ones.
    static member Architecture() : Arbitrary<Architecture> =
        Arb.fromGenShrink (Generate.architecture, Shrink.architecture)

    /// Layers that stand on a map.
    static member Layer() : Arbitrary<Layer> =
        Arb.fromGenShrink (Generate.layer, Shrink.layer)

    /// Attentions of any kind, each valid on some map.
    static member Attention() : Arbitrary<Attention> =
        Arb.fromGenShrink (Generate.layer |> Gen.map _.Attention, Shrink.attention)

    /// Blocks of any kind, each valid on some map.
    static member Block() : Arbitrary<Block> =
        Arb.fromGenShrink (Generate.map |> Gen.bind (Generate.block SizePolicy.Pad), Shrink.block)

    /// Sizes of maps.
    static member ImageSize() : Arbitrary<ImageSize> =
        Arb.fromGenShrink (Generate.mapSize, Shrink.size)

    /// Maps of any size and channels.
    static member MapShape() : Arbitrary<MapShape> =
        let simpler (map: MapShape) =
            seq {
                for size in Shrink.size map.Size do
                    MapShape(size, map.Channels)

                for channels in towards 1 map.Channels do
                    MapShape(map.Size, channels)
            }

        Arb.fromGenShrink (Generate.map, simpler)

    /// Inputs on any map.
    static member Input() : Arbitrary<Input> =
        Arb.fromGenShrink (
            Generate.map |> Gen.bind (fun map -> Generate.input map.Channels map.Size),
            Shrink.input
        )
