namespace LocalAttention.Verification

open LocalAttention.Core.Specification
open LocalAttention.Verification.Picking

/// An attention layer, and the map that it stands on.
type Layer =
    { Attention: Attention
      Map: MapShape }

    /// An architecture of nothing but the layer's block on maps of this size.
    member internal layer.Alone: Architecture =
        Architecture(
            "layer",
            PatchStem(1, layer.Map.Channels),
            ValueList.From [ Stage(ValueList.From [ Block layer.Attention ]) ],
            AveragePoolHead 1,
            Resolution = layer.Map.Size
        )

/// <summary>
/// How specifications get simpler: the same with one part less, or one part simpler, the largest bites first. Shrinking
/// ends at a value of which nothing simpler still fails.
/// </summary>
/// <example><code lang="fsharp">
/// Arb.fromGenShrink (Generate.architecture, Shrink.architecture)
/// </code></example>
[<RequireQualifiedAccess>]
module Shrink =
    let private isValid (architecture: Architecture) =
        Validation.Check(architecture).Count = 0

    let private mapBlocks change (stage: Stage) =
        stage.With(blocks = ValueList.From(change (List.ofSeq stage.Blocks)))

    let private mapStages change (architecture: Architecture) =
        architecture.With(stages = ValueList.From(Seq.map change architecture.Stages))

    /// One head and half the channels everywhere.
    let private narrow (architecture: Architecture) =
        let stage (stage: Stage) =
            let blocks = stage |> mapBlocks (List.map SimplerParts.narrowBlock)

            match stage.Transition with
            | null -> blocks
            | transition -> blocks.With(transition = SimplerParts.narrowTransition transition)

        (mapStages stage architecture)
            .With(
                stem = SimplerParts.narrowStem architecture.Stem,
                head = SimplerParts.narrowHead architecture.Head
            )

    /// Simpler attention: of all tokens to all, which is the simplest kind, then the same kind with simpler parts.
    [<CompiledName "Attention">]
    let attention (attention: Attention) : Attention seq = SimplerAttentions.ofAny attention

    /// Simpler attention of the same kind.
    [<CompiledName "SameKind">]
    let sameKind (attention: Attention) : Attention seq = SimplerAttentions.ofKind attention

    /// Simpler blocks.
    [<CompiledName "Block">]
    let block (block: Block) : Block seq = SimplerParts.block block

    /// Simpler stems: patches, fewer channels, default flags.
    [<CompiledName "Stem">]
    let stem (stem: Stem) : Stem seq = SimplerParts.stem stem

    /// Simpler transitions: patch merging, then the same kind with simpler parts.
    [<CompiledName "Transition">]
    let transition (transition: Transition) : Transition seq = SimplerParts.transition transition

    /// Simpler heads: average pooling, fewer classes.
    [<CompiledName "Head">]
    let head (head: Head) : Head seq = SimplerParts.head head

    let private simplerStage (stage: Stage) : Stage list =
        [ Stage(stage.Blocks)
          Stage(stage.Blocks, Transition = stage.Transition)
          stage.With(positionEmbedding = false)
          stage.With(norm = false)
          for blocks in simplerList SimplerParts.block (List.ofSeq stage.Blocks) do
              stage.With(blocks = ValueList.From blocks)
          match stage.Transition with
          | null -> ()
          | transition ->
              for simpler in SimplerParts.transition transition do
                  stage.With(transition = simpler) ]
        |> otherThan stage

    /// Simpler stages.
    [<CompiledName "Stage">]
    let stage (stage: Stage) : Stage seq = simplerStage stage

    /// Smaller maps: one token, one row or column, half of them, one less.
    [<CompiledName "Size">]
    let size (size: ImageSize) : ImageSize seq =
        seq {
            for side in towards 1 size.Shorter do
                ImageSize.Square side

            ImageSize.Square size.Shorter

            for height in towards 1 size.Height do
                ImageSize(height, size.Width)

            for width in towards 1 size.Width do
                ImageSize(size.Height, width)
        }
        |> Seq.filter (fun smaller -> smaller <> size)

    /// Simpler architectures, whether they can be built or not.
    [<CompiledName "AnyArchitecture">]
    let anyArchitecture (architecture: Architecture) : Architecture seq =
        let simplerStages =
            simplerList simplerStage (List.ofSeq architecture.Stages)
            |> Seq.map (fun stages -> architecture.With(stages = ValueList.From stages))

        seq {
            mapStages (mapBlocks (List.truncate 1)) architecture
            narrow (mapStages (mapBlocks (List.truncate 1)) architecture)
            narrow architecture
            yield! simplerStages

            for head in SimplerParts.head architecture.Head do
                architecture.With(head = head)

            for stem in SimplerParts.stem architecture.Stem do
                architecture.With(stem = stem)

            for size in size architecture.Resolution do
                architecture.With(resolution = size)

            architecture.With(imageChannels = 1)
            architecture.With(dropPath = 0.0)
            architecture.With(sizePolicy = SizePolicy.Pad)
            architecture.With(conventions = Conventions.PyTorch)
        }
        |> Seq.filter (fun simpler -> simpler <> architecture)

    /// <summary>Simpler architectures that can be built, simplest first.</summary>
    /// <example><code lang="fsharp">Shrink.architecture Swin.tiny |> Seq.head</code></example>
    [<CompiledName "Architecture">]
    let architecture (architecture: Architecture) : Architecture seq =
        anyArchitecture architecture |> Seq.filter isValid

    /// Simpler layers that can be built: simpler attention, a smaller map, fewer channels.
    [<CompiledName "Layer">]
    let layer (layer: Layer) : Layer seq =
        seq {
            for attention in attention layer.Attention do
                { layer with Attention = attention }

            for size in size layer.Map.Size do
                { layer with
                    Map = MapShape(size, layer.Map.Channels) }

            for channels in towards 1 layer.Map.Channels do
                { layer with
                    Map = MapShape(layer.Map.Size, channels) }

            let narrow = SimplerAttentions.narrow layer.Attention

            for channels in towards 1 layer.Map.Channels do
                { Attention = narrow
                  Map = MapShape(layer.Map.Size, channels) }
        }
        |> Seq.filter (fun simpler -> simpler <> layer && isValid simpler.Alone)

    /// Simpler inputs: one image, smaller, of fewer channels.
    [<CompiledName "Input">]
    let input (input: Input) : Input seq =
        seq {
            for size in size input.Size do
                { input with Size = size }

            for batch in towards 1 input.Batch do
                { input with Batch = batch }

            for channels in towards 1 input.Channels do
                { input with Channels = channels }
        }
