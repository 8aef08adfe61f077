namespace LocalAttention.Dsl

open System
open LocalAttention.Core.Specification

/// Lines of text: a number of things, things in a row, the words for a part of a model.
module internal Words =
    let lines (parts: string seq) : string = String.Join(Environment.NewLine, parts)

    let plural (count: int) (one: string) : string =
        if count = 1 then $"1 {one}" else $"{count} {one}s"

    /// <c>PositiveNegative</c> as <c>positive negative</c>.
    let lowered (value: obj) : string =
        string value
        |> String.collect (fun letter ->
            if Char.IsUpper letter then
                $" {Char.ToLowerInvariant letter}"
            else
                string letter)
        |> _.Trim()

    /// Equal neighbours as one and their number.
    let runs (values: 'value list) : ('value * int) list =
        List.foldBack
            (fun value runs ->
                match runs with
                | (first, length) :: rest when first = value -> (value, length + 1) :: rest
                | _ -> (value, 1) :: runs)
            values
            []

    /// What differs from the default, with its name.
    let private unusual (name: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        if value = usual then [] else [ $"{name} {text value}" ]

    let private flag (name: string) (value: bool) (usual: bool) =
        if value = usual then
            []
        else
            [ (if value then name else $"no {name}") ]

    let private number (name: string) (value: Nullable<'value>) =
        unusual name value (Nullable()) (fun given -> string given.Value)

    /// What is done to the norm of queries.
    let queryNorm (norm: QueryNorm) : string =
        match norm with
        | Free -> "free"
        | Unit false -> "unit"
        | Unit true -> "unit, held in the gradient"
        | Largest limit -> $"at most {limit}"

    let private refinements (attention: Attention) =
        match attention with
        | QnA qna ->
            [ unusual "queries" qna.Queries 2 string
              number "width" qna.Width
              unusual "scale" qna.Scale AttentionScale.Normal lowered
              unusual "position" qna.Position PositionBias.Relative lowered
              flag "scaled position bias" qna.ScalePositionBias false
              unusual "query norm" qna.Norm QueryNorm.Unit queryNorm
              flag "biases" qna.Bias false ]
        | Slide slide ->
            [ unusual "padding" slide.Padding EdgePadding.Zeros lowered
              flag "deformed path" slide.Deformed true
              flag "qkv bias" slide.QkvBias true
              number "scale" slide.Scale ]
        | Window window ->
            [ flag "shifted" window.Shifted false
              unusual "order" window.Order QkvOrder.QkvMajor lowered
              flag "qkv bias" window.QkvBias true
              flag "projection bias" window.ProjectionBias true
              flag "position bias" window.PositionBias true ]
        | Global everywhere ->
            [ unusual "order" everywhere.Order QkvOrder.QkvMajor lowered
              flag "qkv bias" everywhere.QkvBias true
              flag "projection bias" everywhere.ProjectionBias true
              flag "locally enhanced" everywhere.LocallyEnhanced false ]
        | Neighbourhood neighbourhood ->
            [ unusual "dilation" neighbourhood.Dilation 1 string
              flag "qkv bias" neighbourhood.QkvBias true
              flag "position bias" neighbourhood.PositionBias true ]
        | CrossShaped cross -> [ flag "qkv bias" cross.QkvBias true ]
        | FewerKeys(SpatialReduction reduced) -> [ flag "qkv bias" reduced.QkvBias true ]
        | FewerKeys(Pooled pooled) -> [ flag "qkv bias" pooled.QkvBias true ]

    /// The side that an attention is of: of its window, the width of its stripes, the side of what becomes a key.
    let private side (attention: Attention) =
        match attention with
        | QnA qna -> $" {qna.Window}×{qna.Window}"
        | Slide slide -> $" {slide.Window}×{slide.Window}"
        | Window window -> $" {window.Window}×{window.Window}"
        | Neighbourhood neighbourhood -> $" {neighbourhood.Window}×{neighbourhood.Window}"
        | CrossShaped cross -> $" {cross.Stripe}"
        | FewerKeys(SpatialReduction reduced) -> $" {reduced.Reduction}×{reduced.Reduction}"
        | FewerKeys(Pooled pooled) -> $" {pooled.Pool}×{pooled.Pool}"
        | Global _ -> ""

    /// Kind, side, heads, and what is not the default.
    let attention (heads: Attention -> string) (attention: Attention) : string list =
        $"{attention.Kind}{side attention}"
        :: heads attention
        :: List.concat (refinements attention)

    /// The heads of an attention that has been given some.
    let givenHeads (attention: Attention) : string = plural attention.Heads "head"

    /// The same for a block, with its MLP where that is not the default.
    let block (heads: Attention -> string) (block: Block) : string =
        attention heads block.Attention
        @ unusual "MLP ratio" block.MlpRatio 4.0 string
        @ unusual "MLP convolution" block.MlpConvolution MlpConvolution.None lowered
        @ number "layer scale" block.LayerScale
        |> String.concat ", "

    /// A convolution of a stem.
    let convolution (convolution: Convolution) : string =
        $"convolution {convolution.Kernel}×{convolution.Kernel}, stride {convolution.Stride}, channels {convolution.Channels}"
        :: number "padding" convolution.Padding
        |> String.concat ", "

    /// A stem with its channels, and what is not the default.
    let stem (stem: Stem) : string =
        let parts =
            match stem with
            | Patches patches ->
                $"patches {patches.PatchSize}×{patches.PatchSize}, channels {patches.Channels}"
                :: List.concat [ flag "bias" patches.Bias true; flag "norm" patches.Norm true ]
            | Convolutions stem ->
                List.map convolution (List.ofSeq stem.Convolutions)
                @ List.concat
                    [ flag "bias" stem.Bias false
                      flag "norm and activation between" stem.ActivatedBetween true ]

        String.concat ", " parts

    /// A head with its classes, and what is not the default.
    let head (head: Head) : string =
        let kind =
            match head with
            | AveragePool _ -> [ "average pool" ]
            | ClassToken _ -> [ "class token" ]
            | QnAPool pool ->
                "qna pool"
                :: plural pool.Heads "head"
                :: unusual "queries" pool.Queries 2 string
                @ flag "skip path" pool.Skip true

        kind
        @ [ (match head.Classes with
             | 0 -> "features"
             | 1 -> "1 class"
             | classes -> $"{classes} classes") ]
        |> String.concat ", "

    /// A transition with its block or kernel.
    let transition (transition: Transition) : string =
        let inside (attention: QnAAttention) mlpRatio layerScale =
            block givenHeads (Block(attention, MlpRatio = mlpRatio, LayerScale = layerScale))

        let what, options =
            match transition with
            | Merging _ -> "patch merging", []
            | Strided convolution ->
                (if convolution.IsPatches && convolution.Kernel = convolution.Stride then
                     $"patches {convolution.Kernel}×{convolution.Kernel}"
                 else
                     $"convolution {convolution.Kernel}×{convolution.Kernel}, stride {convolution.Stride}"),
                flag "bias" convolution.Bias false
            | QnADown down ->
                $"downsampling by {down.Stride} with {inside down.Attention down.MlpRatio down.LayerScale}",
                unusual "skip" down.Skip SkipPath.Convolution lowered
            | QnAUp up ->
                $"upsampling by {up.Factor} with {inside up.Attention up.MlpRatio up.LayerScale}", []

        what :: number "channels" transition.Channels @ options |> String.concat ", "

    /// A line for each run of equal blocks.
    let blocks (heads: Attention -> string) (blocks: Block list) : string list =
        blocks
        |> List.map (block heads)
        |> runs
        |> List.map (fun (text, length) -> if length = 1 then text else $"{length} × {text}")
