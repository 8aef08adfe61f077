namespace LocalAttention.Dsl

open System
open System.Globalization
open LocalAttention.Core.Specification

/// What is refined, and the refinements behind it: <c>2 * qna 3</c>, then <c>heads 8</c> and others.
type private Expression =
    {
        /// What is summed.
        Terms: string list
        /// Words behind the sum, each after a <c>|&gt;</c>.
        Pipes: string list
    }

/// Blocks in a row: one, or two that alternate, so many times.
[<NoComparison>]
type private Run = { Times: int; Blocks: Block list }

/// <summary>
/// Specifications as code of this language: what they would be written as by hand. The code evaluates to an equal value wherever
/// <c>LocalAttention.Dsl</c> is open: in a script, or pasted into F# Interactive.
/// </summary>
[<RequireQualifiedAccess>]
module Code =
    /// Lines longer than this are broken where they can be.
    let private longest = 100

    // ------------------------------------------------------------------------------------------ literals

    let private integer (number: int) =
        if number < 0 then $"({number})" else string number

    let private real (number: float) =
        if Double.IsNaN number then
            "nan"
        elif Double.IsInfinity number then
            (if number > 0.0 then "infinity" else "(-infinity)")
        else
            let digits = number.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant()
            // .NET writes at least two digits of an exponent.
            let short = digits.Replace("e-0", "e-").Replace("e+0", "e+")

            let literal =
                if short.IndexOfAny [| '.'; 'e' |] < 0 then
                    short + ".0"
                else
                    short

            if number < 0.0 then $"({literal})" else literal

    let private flag (value: bool) = if value then "true" else "false"

    let private quoted (text: string) =
        let letter (letter: char) =
            match letter with
            | '"' -> "\\\""
            | '\\' -> "\\\\"
            | '\n' -> "\\n"
            | '\t' -> "\\t"
            | other when Char.IsAsciiLetterOrDigit other || other = ' ' -> string other
            | other when
                Char.IsControl other
                || Char.IsSurrogate other
                || Char.IsSeparator other
                || Char.GetUnicodeCategory other = UnicodeCategory.Format
                ->
                $"\\u{int other:X4}"
            | other -> string other

        "\"" + String.collect letter text + "\""

    let private choice (value: 'choice when 'choice: struct and 'choice :> Enum) =
        let kind = typeof<'choice>.Name

        match Enum.GetName<'choice> value with
        | null -> $"(enum<{kind}> {integer (Convert.ToInt32 value)})"
        | name -> $"{kind}.{name}"

    // ------------------------------------------------------------------------------------------ expressions

    let private piped (first: string) (pipes: string list) = String.concat " |> " (first :: pipes)

    let private onOneLine (expression: Expression) =
        piped (String.concat " + " expression.Terms) expression.Pipes

    /// As a term among others.
    let private term (expression: Expression) =
        match expression with
        | { Terms = [ single ]; Pipes = [] } -> single
        | expression -> $"({onOneLine expression})"

    let private indented (spaces: int) (lines: string list) =
        let margin = String.replicate spaces " "
        lines |> List.map (fun line -> margin + line)

    let private sum (terms: string list) =
        List.mapi (fun index term -> if index = 0 then term else $"+ {term}") terms

    let private steps (pipes: string list) =
        pipes |> List.map (fun pipe -> $"|> {pipe}")

    /// A word where a value is not the usual one.
    let private unusual (word: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        if value = usual then [] else [ $"{word} {text value}" ]

    let private given (word: string) (value: Nullable<'value>) (text: 'value -> string) =
        if value.HasValue then
            [ $"{word} {text value.Value}" ]
        else
            []

    /// An optional argument where a value is not the usual one.
    let private argument (name: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        unusual $"{name} =" value usual text

    let private optional (name: string) (value: Nullable<'value>) (text: 'value -> string) =
        given $"{name} =" value text

    // ------------------------------------------------------------------------------------------ attentions

    let private norm (norm: QueryNorm) =
        match norm with
        | Free -> "freeNorm"
        | Unit false -> "unitNorm"
        | Unit true -> "unitNormHeld"
        | Largest limit -> $"(largestNorm {real limit})"

    let private qkvBias (biased: bool) = unusual "qkvBias" biased true flag

    let private selfAttention (order: QkvOrder) qkv projection =
        [ unusual "qkvOrder" order QkvOrder.QkvMajor choice
          (if not qkv && not projection then
               [ "biases false" ]
           else
               qkvBias qkv @ unusual "projectionBias" projection true flag) ]
        |> List.concat

    let private windowRefinements (window: WindowAttention) =
        let isLocal =
            window.Order = QkvOrder.HeadMajor
            && not window.QkvBias
            && not window.ProjectionBias

        let position = unusual "relativeBias" window.PositionBias true flag

        if isLocal then
            $"localWindow {integer window.Window}", position
        else
            $"window {integer window.Window}",
            selfAttention window.Order window.QkvBias window.ProjectionBias @ position

    /// The word for an attention, and what refines it; its heads are those of its block.
    let private kind (attention: Attention) : string * string list =
        match attention with
        | QnA qna ->
            $"qna {integer qna.Window}",
            List.concat
                [ unusual "queries" qna.Queries 2 integer
                  given "width" qna.Width integer
                  unusual "attentionScale" qna.Scale AttentionScale.Normal choice
                  unusual "position" qna.Position PositionBias.Relative choice
                  unusual "scalePosition" qna.ScalePositionBias false flag
                  unusual "queryNorm" qna.Norm QueryNorm.Unit norm
                  unusual "biases" qna.Bias false flag ]
        | Slide slide ->
            $"slide {integer slide.Window}",
            List.concat
                [ unusual "padding" slide.Padding EdgePadding.Zeros choice
                  unusual "deformed" slide.Deformed true flag
                  qkvBias slide.QkvBias
                  given "logitScale" slide.Scale real ]
        | Window window ->
            let word, refinements = windowRefinements window
            (if window.Shifted then $"shifted ({word})" else word), refinements
        | Neighbourhood neighbourhood ->
            let word = $"neighbourhood {integer neighbourhood.Window}"

            (if neighbourhood.Dilation = 1 then
                 word
             else
                 $"dilated {integer neighbourhood.Dilation} ({word})"),
            qkvBias neighbourhood.QkvBias
            @ unusual "relativeBias" neighbourhood.PositionBias true flag
        | CrossShaped cross -> $"crossShaped {integer cross.Stripe}", qkvBias cross.QkvBias
        | FewerKeys(SpatialReduction reduced) ->
            $"spatialReduction {integer reduced.Reduction}", qkvBias reduced.QkvBias
        | FewerKeys(Pooled pooled) -> $"pooledAttention {integer pooled.Pool}", qkvBias pooled.QkvBias
        | Global everywhere ->
            "globalAttention",
            (if everywhere.LocallyEnhanced then
                 [ "locallyEnhanced" ]
             else
                 [])
            @ selfAttention everywhere.Order everywhere.QkvBias everywhere.ProjectionBias

    // ------------------------------------------------------------------------------------------ blocks

    let private branches (mlpRatio: float) (layerScale: Nullable<float>) =
        unusual "mlpRatio" mlpRatio 4.0 real @ given "layerScale" layerScale real

    /// What can be said of blocks of any kind.
    let private ofAnyKind (block: Block) =
        $"heads {integer block.Attention.Heads}"
        :: branches block.MlpRatio block.LayerScale
        @ unusual "mlpConvolution" block.MlpConvolution MlpConvolution.None choice

    let private ofKind (block: Block) : Expression =
        let word, refinements = kind block.Attention

        { Terms = [ word ]
          Pipes = refinements }

    let rec private runs (blocks: Block list) : Run list =
        match blocks with
        | [] -> []
        | first :: _ ->
            let equal = blocks |> List.takeWhile ((=) first) |> List.length

            let alternating =
                blocks
                |> List.chunkBySize 2
                |> List.takeWhile ((=) (List.truncate 2 blocks))
                |> List.length

            if equal = 1 && alternating > 1 then
                { Times = alternating
                  Blocks = List.truncate 2 blocks }
                :: runs (List.skip (2 * alternating) blocks)
            else
                { Times = equal; Blocks = [ first ] } :: runs (List.skip equal blocks)

    let private times (count: int) (text: string) =
        if count = 1 then text else $"{count} * {text}"

    /// Plain and shifted windows in turn, alike in all else.
    let private swin (blocks: Block list) : Expression option =
        let windows =
            blocks
            |> List.map (fun block ->
                match block.Attention with
                | Window window -> Some window
                | _ -> None)

        match windows with
        | Some first :: _ :: _ when
            windows
            |> List.indexed
            |> List.forall (fun (index, window) -> window = Some(first.With(shifted = (index % 2 = 1))))
            && not first.Shifted
            ->
            Some
                { Terms = [ $"swinBlocks {blocks.Length} {integer first.Window}" ]
                  Pipes =
                    selfAttention first.Order first.QkvBias first.ProjectionBias
                    @ unusual "relativeBias" first.PositionBias true flag }
        | _ -> None

    /// Runs of blocks that are alike in what can be said of any kind; that is said once.
    let private group (shared: string list) (members: Run list) : Expression =
        let blocks =
            members
            |> List.collect (fun run -> List.replicate run.Times run.Blocks |> List.concat)

        match swin blocks, members with
        | Some alternating, _ ->
            { alternating with
                Pipes = shared @ alternating.Pipes }
        | None, [ { Blocks = [ block ] } as run ] ->
            let kind = ofKind block

            { Terms = [ times run.Times kind.Terms.Head ]
              Pipes = shared @ kind.Pipes }
        | None, _ ->
            { Terms =
                [ for run in members do
                      match run.Blocks with
                      | [ block ] -> times run.Times (term (ofKind block))
                      | pair ->
                          let both = pair |> List.map (ofKind >> term) |> String.concat " + "
                          times run.Times $"({both})" ]
              Pipes = shared }

    let private alone (block: Block) =
        group (ofAnyKind block) [ { Times = 1; Blocks = [ block ] } ]

    let rec private groups (members: Run list) : Expression list =
        match members with
        | [] -> []
        | { Blocks = first :: others } :: _ when
            others |> List.forall (fun block -> ofAnyKind block = ofAnyKind first)
            ->
            let shared = ofAnyKind first

            let alike (run: Run) =
                run.Blocks |> List.forall (fun block -> ofAnyKind block = shared)

            group shared (List.takeWhile alike members)
            :: groups (List.skipWhile alike members)
        | run :: rest ->
            let both = run.Blocks |> List.map (alone >> term) |> String.concat " + "

            { Terms = [ times run.Times $"({both})" ]
              Pipes = [] }
            :: groups rest

    let private inRow (blocks: Block list) : Expression =
        match groups (runs blocks) with
        | [ single ] -> single
        | several ->
            { Terms = List.map term several
              Pipes = [] }

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

            match layers |> List.map _.Padding |> List.distinct with
            | []
            | [ _ ] ->
                let tuples = layers |> List.map tuple |> String.concat "; "

                let padding =
                    match layers with
                    | first :: _ -> given "convolutionPadding" first.Padding integer
                    | [] -> []

                piped
                    (if tuples = "" then
                         "convolutions []"
                     else
                         $"convolutions [ {tuples} ]")
                    (padding @ refinements)
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
