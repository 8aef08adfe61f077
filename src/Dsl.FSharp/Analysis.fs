namespace LocalAttention.Dsl

open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification

/// Where a unit looks, and which shifts of the image a model follows: computed from the value, without a tensor.
[<AutoOpen>]
module Analysis =
    /// <summary>
    /// The receptive field of a unit of a stage's map, at a row and a column counted from 0: what the growth formula gives, and
    /// exactly the pixels that the unit depends on.
    /// </summary>
    /// <example><code lang="fsharp">(SlideSwin.tiny |> receptiveField 1 (0, 27)).Pixels.Rows // how far from the upper border</code></example>
    let receptiveField (stage: int) (row: int, column: int) (architecture: Architecture) : ReceptiveField =
        ReceptiveField.Of(architecture, stage, row, column)

    /// <summary>
    /// The receptive field of a unit of any place, as <c>trace</c> names them: <c>stem</c>, <c>stage 2, block 3</c>,
    /// <c>stage 2, transition</c>.
    /// </summary>
    /// <example><code lang="fsharp">Swin.tiny |> receptiveFieldAt "stage 3, block 2" (7, 7) |> Printing.receptiveField</code></example>
    let receptiveFieldAt
        (place: string)
        (row: int, column: int)
        (architecture: Architecture)
        : ReceptiveField =
        ReceptiveField.Of(architecture, place, row, column)

    /// The pixels that the logits depend on: not all where convolutions stride over some.
    let logitsField (architecture: Architecture) : PixelSet = ReceptiveField.OfLogits architecture

    /// <summary>
    /// Under which shifts of the image the maps of the stages shift with it and the logits stay, and why: for an image that
    /// moves, inside a band along the border, and for one that rolls as a torus, everywhere.
    /// </summary>
    /// <example><code lang="fsharp">Swin.tiny |> equivariance |> Printing.equivariance |> printfn "%s"</code></example>
    let equivariance (architecture: Architecture) : Equivariance = Equivariance.Of architecture

    /// The same for images of another size, on which windows as large as the map, grids and padding depend.
    let equivarianceAt (height: int) (width: int) (architecture: Architecture) : Equivariance =
        Equivariance.Of(architecture, ImageSize(height, width))
