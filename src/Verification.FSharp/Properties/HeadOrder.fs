namespace LocalAttention.Verification

open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open TorchSharp

/// Which parts of an attention layer's parameters belong to which head, and how heads trade places with them.
[<RequireQualifiedAccess>]
module HeadOrder =
    /// A parameter by its name in the layer, one of its dimensions, and the places along it in their new order.
    type private Reordering =
        { Parameter: string
          Dimension: int64
          Places: int64[] }

    /// The attention of a layer of this library; none where the module is another.
    let attentionOf (layer: torch.nn.Module) : Attention option =
        match layer with
        | :? QnALayer as qna -> Some qna.Attention
        | :? SlideLayer as slide -> Some slide.Attention
        | :? WindowLayer as window -> Some window.Attention
        | :? GlobalLayer as everywhere -> Some everywhere.Attention
        | :? SpatialReductionLayer as reduced -> Some reduced.Attention
        | :? PooledLayer as pooled -> Some pooled.Attention
        | :? CrossShapedLayer as cross -> Some cross.Attention
        | :? NeighbourhoodLayer as near -> Some near.Attention
        | _ -> None

    /// <summary>Heads that may trade places among themselves, counted from 0.</summary>
    /// <remarks>
    /// All of them, but for two kinds: cross-shaped stripes are vertical for the first half of the heads, and a fixed scale of
    /// +1 and −1 divides the heads of the middle one of an odd number of queries.
    /// </remarks>
    let groups (attention: Attention) : int list list =
        let halves () =
            [ [ 0 .. attention.Heads / 2 - 1 ]
              [ attention.Heads / 2 .. attention.Heads - 1 ] ]

        match attention with
        | :? CrossShapedAttention -> halves ()
        | :? QnAAttention as qna when qna.Scale = AttentionScale.PositiveNegative && qna.Queries % 2 = 1 ->
            halves ()
        | _ -> [ [ 0 .. attention.Heads - 1 ] ]

    /// Places of blocks of a length, in the order of the blocks.
    let private blocks (length: int) (order: int seq) =
        [| for block in order do
               for place in 0 .. length - 1 -> int64 (block * length + place) |]

    /// The same in each of several runs of blocks, one run after the other.
    let private inRuns (runs: int) (length: int) (order: int[]) =
        [ 0 .. runs - 1 ]
        |> Seq.collect (fun run -> order |> Seq.map (fun block -> run * order.Length + block))
        |> blocks length

    let private along dimension places parameter =
        { Parameter = parameter
          Dimension = dimension
          Places = places }

    let private linear name places =
        [ along 0L places $"{name}.weight"; along 0L places $"{name}.bias" ]

    let private joint layout depth order =
        match layout with
        | QkvOrder.HeadMajor -> blocks (3 * depth) order
        | _ -> inRuns 3 depth order
        |> linear "qkv"

    let private ofQnA (qna: QnAAttention) (size: string -> int64[]) depth (order: int[]) =
        let channels = blocks depth order

        /// The last dimension counts heads fastest, whatever it counts before.
        let heads name =
            match size name with
            | [||] -> []
            | shape ->
                let runs = int (Array.last shape) / qna.Heads
                [ along (int64 shape.Length - 1L) (inRuns runs 1 order) name ]

        [ along 1L channels "query"
          along 1L channels "Wk"
          along 0L (blocks 1 order) "Wk_b"
          along 1L channels "to_out.weight"
          along 2L channels "absolute_pos_embedding"
          along 0L (blocks 1 order) "rpe_bias.kernel" ]
        @ linear "to_v" channels
        @ List.collect
            heads
            [ "attn_scale_weights"
              "attn_scale_pos"
              "rpe_bias"
              "rpe_bias.kernel"
              "rpe_bias.bias" ]

    let private reorderings (attention: Attention) (shape: string -> int64[]) (order: int[]) =
        let depthOf (projection: string) =
            let lengths = shape projection
            int lengths[1] / attention.Heads

        match attention with
        | :? QnAAttention as qna -> ofQnA qna shape (depthOf "Wk") order
        | _ ->
            let depth = depthOf "proj.weight"
            let channels = blocks depth order
            let heads = blocks 1 order

            let own =
                match attention with
                | :? SlideAttention ->
                    along 1L heads "relative_position_bias_table"
                    :: joint QkvOrder.HeadMajor depth order
                | :? WindowAttention as window ->
                    along 1L heads "relative_position_bias_table" :: joint window.Order depth order
                | :? GlobalAttention as everywhere ->
                    linear "get_v" channels @ joint everywhere.Order depth order
                | :? SpatialReductionAttention
                | :? PooledAttention -> linear "q" channels @ linear "kv" (inRuns 2 depth order)
                | :? CrossShapedAttention ->
                    let half = order.Length / 2
                    let ofHorizontal = order[half..] |> Array.map (fun head -> head - half)

                    linear "get_v_vertical" (blocks depth order[.. half - 1])
                    @ linear "get_v_horizontal" (blocks depth ofHorizontal)
                    @ joint QkvOrder.QkvMajor depth order
                | :? NeighbourhoodAttention -> along 0L heads "rpb" :: joint QkvOrder.QkvMajor depth order
                | unknown -> invalidOp $"no heads are known of an attention of kind '{unknown.Kind}'"

            along 1L channels "proj.weight" :: own

    /// <summary>Gives the heads of a layer of this library another order, with the parameters that belong to them.</summary>
    /// <param name="order">For each head of the new order its number in the old one, from 0.</param>
    /// <param name="layer">The layer; its parameters are changed.</param>
    /// <exception cref="T:System.ArgumentException">The layer is none of this library's, or the order does not fit its heads.</exception>
    let apply (order: int[]) (layer: torch.nn.Module) : unit =
        let attention =
            match attentionOf layer with
            | Some attention -> attention
            | None -> invalidArg (nameof layer) $"{layer.GetName()} is no attention layer of this library"

        let staysInGroups =
            groups attention
            |> List.forall (fun group -> List.sort [ for head in group -> order[head] ] = group)

        if order.Length <> attention.Heads || not staysInGroups then
            let within = groups attention |> List.map string |> String.concat " and "
            let given = string (List.ofArray order)

            invalidArg
                (nameof order)
                $"{given} is no order of the heads of {layer.GetName()}; use one that permutes {within}"

        use _ = torch.no_grad ()

        let parameters =
            Map [ for struct (name, parameter) in layer.named_parameters () -> name, parameter ]

        let shape name =
            match parameters.TryFind name with
            | Some parameter -> parameter.shape
            | None -> [||]

        for reordering in reorderings attention shape order do
            match parameters.TryFind reordering.Parameter with
            | Some parameter ->
                use places = torch.tensor (reordering.Places, device = parameter.device)
                use reordered = parameter.index_select (reordering.Dimension, places)
                parameter.copy_ reordered |> ignore
            | None -> ()
