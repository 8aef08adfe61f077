/// The sound layers of the catalogue as subjects, with what is promised of them.
module LocalAttention.Verification.Tests.Subjects

open System
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open LocalAttention.Verification
open TorchSharp

[<Literal>]
let private Channels = 6

/// Three, so that no order of heads is its own reverse.
[<Literal>]
let private HeadCount = 3

[<Literal>]
let Side = 3

/// A layer with every part of its own; the catalogue's layers replace one.
let soundLayer () =
    new NeighbourAttention(Channels, HeadCount, Side)

/// A layer whose bias is not among its parameters.
let layerWithHiddenBias () =
    new NeighbourAttention(Channels, HeadCount, Side, false)

/// A subject of the catalogue.
let subject (name: string) (promises: Promises) (make: unit -> NeighbourAttention) : Subject =
    Subject.ofModule name (Signature.Tokens(Channels, 5, 6)) promises (fun () -> make ())

/// What is promised of windows that end with the map.
let promises = Promises.window Side |> Promises.heads HeadCount

/// Windows that end with the map.
let neighbours = subject "attention to neighbours" promises soundLayer

/// What lies beyond the border is what lies at the opposite one.
let roll (map: torch.Tensor) (radius: int64) : torch.Tensor =
    let along (dimension: int64) (map: torch.Tensor) =
        let length = map.shape[int dimension]

        let places =
            [| for place in -radius .. length + radius - 1L -> ((place % length) + length) % length |]

        map.index_select (dimension, torch.tensor places)

    map |> along 1L |> along 2L

/// Windows on a torus.
let torus =
    subject "attention to neighbours on a torus" (Promises.torus Side |> Promises.heads HeadCount) (fun () ->
        { new NeighbourAttention(Channels, HeadCount, Side) with
            override layer.Extend map = roll map layer.Radius })

/// Windows that are shifted by half their side, masked or not.
let shiftedWindows (name: string) (isMasked: bool) : Subject =
    let side = 4

    /// Tokens of a dimension that share a window with one.
    let along length place =
        let shift = side / 2
        let first = (place + shift) / side * side - shift
        seq { max 0 first .. min length (first + side) - 1 }

    let reach (size: ImageSize) (row, column) =
        Seq.allPairs (along size.Height row) (along size.Width column) |> Set.ofSeq

    Subject.ofModule
        name
        (Signature
            .Tokens(Channels, 2 * side, 2 * side)
            .Where(fun size -> size.Height % side = 0 && size.Width % side = 0))
        (Promises.none
         |> Promises.moving (side, side) side
         |> Promises.reaching reach
         |> Promises.heads HeadCount)
        (fun () -> new ShiftedWindows(Channels, HeadCount, side, isMasked))

/// Gives the heads of a layer of the catalogue another order, with the parameters that belong to them.
let permuteHeads: Property =
    let permute (instance: Instance) (order: int[]) =
        let depth = Channels / HeadCount

        /// Rows of `parts` parts of all heads, each head `width` rows.
        let places parts width =
            [| for part in 0 .. parts - 1 do
                   for head in order do
                       for row in 0 .. width - 1 -> int64 ((part * HeadCount + head) * width + row) |]

        let reorder (parameter: torch.Tensor) (dimension: int64) (places: int64[]) =
            parameter.copy_ (parameter.index_select (dimension, torch.tensor places))
            |> ignore

        for name, parameter in instance.Parameters do
            match name with
            | "proj.weight" -> reorder parameter 1L (places 1 depth)
            | "qkv.weight"
            | "qkv.bias" -> reorder parameter 0L (places 3 depth)
            | "bias" -> reorder parameter 0L (places 1 1)
            // The projection's own bias belongs to no head.
            | _ -> ()

    Heads.permutedBy (Action<_, _> permute)
