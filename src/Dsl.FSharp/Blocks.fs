namespace LocalAttention.Dsl

open LocalAttention.Core.Specification

/// Blocks of a kind that refinements cannot ask about: of several kinds, or of one that is known at run time only.
type AnyKind =
    inherit HasWindow

/// Kinds of attention that look through a window.
and HasWindow = interface end

/// Kinds that project every token to queries, keys and values, with a bias or without.
and HasQkv = interface end

/// Kinds whose logits may have a learned bias for each relative position and head.
and HasRelativeBias = interface end

/// Ordinary self-attention, in windows or over the whole map: its heads have an order, its output a projection bias.
and SelfAttention =
    inherit HasQkv

/// Blocks of query-and-attend: learned queries (arXiv 2112.11435).
and QnA =
    inherit HasWindow

/// Blocks of Slide Attention: shifts by depthwise convolution (arXiv 2304.04237).
and Slide =
    inherit HasWindow
    inherit HasQkv

/// Blocks of attention in windows that do not overlap, plain or shifted (arXiv 2103.14030).
and Window =
    inherit HasWindow
    inherit HasRelativeBias
    inherit SelfAttention

/// Blocks of attention in a window around each token, plain or dilated (arXiv 2204.07143, 2209.15001).
and Neighbourhood =
    inherit HasWindow
    inherit HasRelativeBias
    inherit HasQkv

/// Blocks of attention in vertical and horizontal stripes (arXiv 2107.00652).
and CrossShaped =
    inherit HasQkv

/// Blocks whose keys and values come from patches of the map (arXiv 2102.12122).
and SpatialReduction =
    inherit HasQkv

/// Blocks whose keys and values come from a map of fixed size, pooled from the whole (arXiv 2106.13797).
and Pooled =
    inherit HasQkv

/// Blocks of attention of all tokens to all tokens.
and Global =
    inherit SelfAttention

/// The blocks know their heads: they can stand in a stage.
type HeadsGiven = interface end

/// The blocks still need <c>heads</c>.
type HeadsMissing = interface end

/// Exactly one block.
type One = interface end

/// Blocks in a row.
type Many = interface end

/// <summary>
/// Blocks in a row, at least one unless multiplied by nothing. What can be said of them is in the type: their kind of
/// attention, whether their heads are given, and whether they are one or many. So <c>queries</c> refuses a slide block,
/// a stage refuses blocks without heads, and a transition refuses more than one.
/// </summary>
/// <remarks>
/// <c>2 * b</c> repeats, <c>a + b</c> puts one after the other. Both bind tighter than <c>|&gt;</c>, so a refinement
/// holds for everything before it: <c>2 * qna 3 + qna 5 |&gt; heads 8</c> gives all three blocks 8 heads.
/// </remarks>
/// <example><code lang="fsharp">
/// let pairs = 3 * (window 7 + shifted (window 7)) |> heads 12
/// </code></example>
[<StructuredFormatDisplay("{Text}")>]
type Blocks<'kind, 'heads, 'count> =
    internal
        { Items: Block list }

    /// A line for each run of equal blocks: kind, window, heads, and what is not the default.
    member this.Text: string =
        let heads =
            if typeof<'heads> = typeof<HeadsMissing> then
                fun _ -> "heads not given yet"
            else
                Words.givenHeads

        match Words.blocks heads this.Items with
        | [] -> "no block"
        | texts -> Words.lines texts

    /// The same as <c>Text</c>.
    override this.ToString() = this.Text

    /// Blocks repeated in order: none at all for 0 and below, which a stage then reports.
    static member (*)(times: int, blocks: Blocks<'kind, 'heads, 'count>) : Blocks<'kind, 'heads, Many> =
        { Items = List.replicate (max 0 times) blocks.Items |> List.concat }

    /// One after the other.
    static member (+)
        (first: Blocks<'kind, 'heads, 'count>, second: Blocks<'otherKind, 'heads, 'otherCount>)
        : Blocks<AnyKind, 'heads, Many> =
        { Items = first.Items @ second.Items }

/// What refinements are made of; they differ only in what they ask of the types.
module internal Blocks =
    let one (block: Block) : Blocks<'kind, 'heads, One> = { Items = [ block ] }

    let map (change: Block -> Block) (blocks: Blocks<_, _, 'count>) : Blocks<_, _, 'count> =
        { Items = List.map change blocks.Items }

    let mapAttention (change: Attention -> Attention) (blocks: Blocks<_, _, 'count>) : Blocks<_, _, 'count> =
        map (fun block -> block.With(attention = change block.Attention)) blocks

    /// Changes the blocks whose attention is of one record type and leaves the others.
    let mapOnly
        (change: 'attention -> 'attention)
        (blocks: Blocks<'kind, 'heads, 'count>)
        : Blocks<'kind, 'heads, 'count> =
        blocks
        |> mapAttention (fun attention ->
            match box attention with
            | :? 'attention as known -> change known :> obj :?> Attention
            | _ -> attention)
