namespace LocalAttention.Dsl

open LocalAttention.Core.Specification
open LocalAttention.Dsl.BlockCode
open LocalAttention.Dsl.Expressions

/// <summary>
/// Specifications as code of this language: what they would be written as by hand. The code evaluates to an equal value wherever
/// <c>LocalAttention.Dsl</c> is open: in a script, or pasted into F# Interactive.
/// </summary>
[<RequireQualifiedAccess>]
module Code =
    /// Lines longer than this are broken where they can be.
    let private longest = 100

    /// <summary>A block as code: <c>qna 3 |> heads 8 |> mlpRatio 2.0</c>. It evaluates to blocks of the language, of which it is the one.</summary>
    /// <example><code lang="fsharp">Code.block Swin.tiny.Stages[0].Blocks[1]</code></example>
    let block (block: Block) : string = onOneLine (alone block)

    /// <summary>An attention as code, that of a block which has it and is otherwise as blocks are.</summary>
    /// <example><code lang="fsharp">Code.attention Swin.tiny.Stages[0].Blocks[1].Attention</code></example>
    let attention (attention: Attention) : string = block (Block attention)

    // ------------------------------------------------------------------------------------------ stages

    let private arguments (first: string) (others: string list list) =
        match List.concat others with
        | [] when first.Contains ' ' -> $"({first})"
        | [] -> first
        | others ->
            let all = String.concat ", " (first :: others)
            $"({all})"

    let private inside (attention: QnAAttention) mlpRatio layerScale =
        block (Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale))

    /// <summary>A transition as the word that ends a stage with it: <c>downsample (qna 3 |> heads 16)</c>.</summary>
    /// <example><code lang="fsharp">Code.transition (PatchMerging())</code></example>
    let transition (transition: Transition) : string =
        let channels = optional "channels" transition.Channels integer

        match transition with
        | Merging _ -> "downsample " + arguments "merge" [ channels ]
        | Strided convolution when convolution.IsPatches && convolution.Kernel = convolution.Stride ->
            "downsample "
            + arguments
                $"patches {integer convolution.Kernel}"
                [ channels; argument "bias" convolution.Bias true flag ]
        | Strided convolution ->
            "downsample "
            + arguments
                $"convolve {integer convolution.Kernel}"
                [ argument "stride" convolution.Stride 2 integer
                  channels
                  argument "bias" convolution.Bias false flag ]
        | QnADown down ->
            "downsample "
            + arguments
                (inside down.Attention down.MlpRatio down.LayerScale)
                [ argument "stride" down.Stride 2 integer
                  channels
                  argument "skip" down.Skip SkipPath.Convolution choice ]
        | QnAUp up ->
            "upsample "
            + arguments
                (inside up.Attention up.MlpRatio up.LayerScale)
                [ argument "factor" up.Factor 2 integer; channels ]

    let private pipes (stage: Stage) =
        [ if stage.PositionEmbedding then
              "positions"
          if stage.Norm then
              "normed"
          match stage.Transition with
          | null -> ()
          | next -> transition next ]

    /// The lines of a stage.
    let private stageLines (stage: Stage) : string list =
        let pipes = pipes stage

        if stage.Blocks.Count = 0 then
            [ piped "noBlocks" pipes ]
        else
            let blocks = inRow (List.ofSeq stage.Blocks)
            let first = $"stage ({onOneLine blocks})"
            let whole = piped first pipes

            if whole.Length <= longest then
                [ whole ]
            elif first.Length <= longest then
                first :: steps pipes
            else
                [ "stage ("
                  yield! indented 4 (sum blocks.Terms @ steps blocks.Pipes)
                  ")"
                  yield! steps pipes ]

    /// <summary>A stage as code.</summary>
    /// <example><code lang="fsharp">Code.stage Swin.tiny.Stages[0]</code></example>
    let stage (stage: Stage) : string = Words.lines (stageLines stage)

    // ------------------------------------------------------------------------------------------ the whole

    /// The record itself, for convolutions whose paddings no word can give.
    let private convolutionRecord (convolution: Convolution) =
        let values =
            [ integer convolution.Kernel
              integer convolution.Stride
              integer convolution.Channels
              if convolution.Padding.HasValue then
                  $"Padding = {integer convolution.Padding.Value}" ]
            |> String.concat ", "

        $"LocalAttention.Core.Specification.Convolution({values})"

    /// <summary>A stem as code: <c>patchify 4 96</c>.</summary>
    /// <example><code lang="fsharp">Code.stem Swin.tiny.Stem</code></example>
    let stem (stem: Stem) : string =
        match stem with
        | Patches patches ->
            unusual "patchBias" patches.Bias true flag
            @ unusual "patchNorm" patches.Norm true flag
            |> piped $"patchify {integer patches.PatchSize} {integer patches.Channels}"
        | Convolutions convolutions ->
            let layers = List.ofSeq convolutions.Convolutions

            let tuple (convolution: Convolution) =
                $"{integer convolution.Kernel}, {integer convolution.Stride}, {integer convolution.Channels}"

            let refinements =
                (if convolutions.ActivatedBetween then
                     []
                 else
                     [ "plainBetween" ])
                @ unusual "convolutionBias" convolutions.Bias false flag

            match layers, layers |> List.map _.Padding |> List.distinct with
            | [], _ -> piped "convolutions []" refinements
            | _, [ padding ] ->
                let tuples =
                    match List.map tuple layers with
                    // Without parentheses the compiler asks whether a list of three numbers is meant.
                    | [ single ] -> $"({single})"
                    | several -> String.concat "; " several

                piped $"convolutions [ {tuples} ]" (given "convolutionPadding" padding integer @ refinements)
            | _ ->
                let records = layers |> List.map convolutionRecord |> String.concat "; "

                piped
                    $"(convolutions []).With(convolutions = LocalAttention.Core.Specification.ValueList.From [ {records} ])"
                    refinements

    /// <summary>A head as code: <c>classify 1000</c>.</summary>
    /// <example><code lang="fsharp">Code.head QnAViT.tiny.Head</code></example>
    let head (head: Head) : string =
        match head with
        | AveragePool pool when pool.Classes = 0 -> "pooledFeatures"
        | AveragePool pool -> $"classify {integer pool.Classes}"
        | ClassToken token -> $"classifyByToken {integer token.Classes}"
        | QnAPool pool ->
            "classifyByQna "
            + arguments
                (integer pool.Classes)
                [ [ $"heads = {integer pool.Heads}" ]
                  argument "queries" pool.Queries 2 integer
                  argument "skip" pool.Skip true flag ]

    /// The words that lead from some conventions to others; none where the only way is not to give what those give.
    let private between (known: Conventions) (conventions: Conventions) =
        if
            known.EmbeddingNormEpsilon.HasValue
            && not conventions.EmbeddingNormEpsilon.HasValue
        then
            None
        else
            Some
                [ yield! unusual "normEpsilon" conventions.NormEpsilon known.NormEpsilon real
                  if conventions.EmbeddingNormEpsilon <> known.EmbeddingNormEpsilon then
                      yield! given "embeddingNormEpsilon" conventions.EmbeddingNormEpsilon real
                  yield! unusual "activation" conventions.Activation known.Activation choice
                  yield! unusual "initialization" conventions.Initialization known.Initialization choice
                  yield! unusual "parameterNaming" conventions.Naming known.Naming choice ]

    /// The nearest conventions that have a name, and what differs.
    let private conventionWords (conventions: Conventions) =
        // The first of the shortest is taken: a name rather than a single difference from the default.
        [ [ "conventions flax" ], Conventions.Flax
          [ "conventions pvt" ], Conventions.Pvt
          [ "conventions cswin" ], Conventions.CSwin
          [ "conventions nat" ], Conventions.Nat
          [], Conventions.PyTorch ]
        |> List.choose (fun (word, known) -> between known conventions |> Option.map (List.append word))
        |> List.minBy List.length

    let private size (size: ImageSize) =
        if size.IsSquare then
            unusual "imageSize" size.Height 224 integer
        else
            [ $"imageSize ({integer size.Height}, {integer size.Width})" ]

    let private stagesLines (stages: Stage list) =
        match List.map stageLines stages with
        | [] -> []
        | [ [ single ] ] when single.Length < longest -> [ $"|> stages [ {single} ]" ]
        | several ->
            let lines = List.concat several
            let last = lines.Length - 1

            "|> stages"
            :: (lines
                |> List.mapi (fun index line ->
                    let opened = if index = 0 then $"    [ {line}" else $"      {line}"
                    if index = last then $"{opened} ]" else opened))

    let private inParentheses (text: string) = $"({text})"

    /// <summary>
    /// An architecture as code of this language: defaults are left out, runs of equal blocks are multiplied, and only a stem whose
    /// convolutions are padded differently names the records behind the words. Wrong architectures have code too.
    /// </summary>
    /// <example><code lang="fsharp">
    /// printfn "%s" (Code.architecture Swin.tiny)
    /// </code></example>
    let architecture (architecture: Architecture) : string =
        let pipes =
            List.concat
                [ (match head architecture.Head with
                   | "pooledFeatures" -> []
                   | word -> [ $"head {inParentheses word}" ])
                  size architecture.Resolution
                  unusual "imageChannels" architecture.ImageChannels 3 integer
                  unusual "dropPath" architecture.DropPath 0.0 real
                  unusual "sizePolicy" architecture.SizePolicy SizePolicy.Pad choice
                  conventionWords architecture.Conventions ]

        [ $"backbone {quoted architecture.Name} {inParentheses (stem architecture.Stem)}"
          yield! stagesLines (List.ofSeq architecture.Stages)
          yield! steps pipes ]
        |> Words.lines
