namespace LocalAttention.Verification

open System
open System.Runtime.CompilerServices
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification

/// What is promised of a layer of one's own, put together: `Promises.window 3 |> Promises.heads 2`.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Promises =
    let private lattice (down: int, right: int) =
        if down < 1 || right < 1 then
            invalidArg
                (nameof down)
                $"shifts by multiples of ({down}, {right}) are none; use 1 or more for each"

        ShiftLattice(Nullable(int64 down), Nullable(int64 right))

    let private output =
        { Place = "output"
          Stride = Some(1.0, 1.0)
          Moves = ShiftLattice.None
          Border = BorderBand(0L, 0L, 0L, 0L)
          Rolls = ShiftLattice.None
          Reach = None
          Reasons = [] }

    /// Nothing: what needs no promise is still asked.
    let none: Promises =
        { Maps = fun _ -> []
          Heads = None }

    /// Changes what is promised of the output, for each size.
    let output' (change: ImageSize -> MapPromise -> MapPromise) (promises: Promises) : Promises =
        { promises with
            Maps =
                fun size ->
                    match promises.Maps size with
                    | [] -> [ change size output ]
                    | maps ->
                        [ for map in maps do
                              if map.Place = output.Place then change size map else map ] }

    /// Rows and columns of the input per row and column of the output; 1 where nothing is said.
    let stride (down: int, right: int) (promises: Promises) : Promises =
        if down < 1 || right < 1 then
            invalidArg (nameof down) $"a stride of ({down}, {right}) is none; use 1 or more for each"

        promises
        |> output' (fun _ map ->
            { map with
                Stride = Some(float down, float right) })

    /// Where the input moves by multiples of so many rows and columns, so does the output, but for the tokens within a border
    /// of so many rows and columns of the input.
    let moving (down: int, right: int) (border: int) (promises: Promises) : Promises =
        let shifts, band = lattice (down, right), int64 border

        promises
        |> output' (fun _ map ->
            { map with
                Moves = shifts
                Border = BorderBand(band, band, band, band) })

    /// Where the input rolls as a torus, by multiples of so many rows and columns, so does the whole output.
    let rolling (down: int, right: int) (promises: Promises) : Promises =
        let shifts = lattice (down, right)

        promises |> output' (fun _ map -> { map with Rolls = shifts })

    /// The output has no places, and rolls of the input by multiples of so many rows and columns leave it as it is.
    let invariant (down: int, right: int) (promises: Promises) : Promises =
        let shifts = lattice (down, right)

        promises
        |> output' (fun _ map ->
            { map with
                Stride = None
                Rolls = shifts })

    /// An output depends on these places of the input, and on no others: from the input's size and the output's place.
    let reaching (reach: ImageSize -> int * int -> Set<int * int>) (promises: Promises) : Promises =
        promises |> output' (fun size map -> { map with Reach = Some(reach size) })

    /// So many heads can be permuted with their parameters.
    let heads (count: int) (promises: Promises) : Promises = { promises with Heads = Some count }

    let private radiusOf side =
        if side < 1 || side % 2 = 0 then
            invalidArg
                (nameof side)
                $"a window of {side} has no place in its middle; use an odd number, or say what is reached"

        side / 2

    /// What is promised of an odd window around each place, which ends with the map: padded convolutions, slide attention.
    let window (side: int) : Promises =
        let radius = radiusOf side

        let along length place =
            seq { max 0 (place - radius) .. min (length - 1) (place + radius) }

        none
        |> moving (1, 1) radius
        |> reaching (fun size (row, column) ->
            Seq.allPairs (along size.Height row) (along size.Width column) |> Set.ofSeq)

    /// What is promised of an odd window around each place of a torus: circular padding.
    let torus (side: int) : Promises =
        let radius = radiusOf side

        let along length place =
            seq { for offset in -radius .. radius -> ((place + offset) % length + length) % length }

        none
        |> moving (1, 1) radius
        |> rolling (1, 1)
        |> reaching (fun size (row, column) ->
            Seq.allPairs (along size.Height row) (along size.Width column) |> Set.ofSeq)

    /// What is promised of what looks at each place alone: norms, MLPs, activations.
    let pointwise: Promises = torus 1

/// The same from C#: `Promise.Window(3).WithHeads(2)`.
[<Extension; AbstractClass; Sealed>]
type Promise private () =
    /// Nothing: what needs no promise is still asked.
    static member None: Promises = Promises.none

    /// What is promised of what looks at each place alone.
    static member Pointwise: Promises = Promises.pointwise

    /// What is promised of an odd window around each place, which ends with the map.
    static member Window(side: int) : Promises = Promises.window side

    /// What is promised of an odd window around each place of a torus.
    static member Torus(side: int) : Promises = Promises.torus side

    /// Rows and columns of the input per row and column of the output.
    [<Extension>]
    static member WithStride(promises: Promises, down: int, right: int) : Promises =
        Promises.stride (down, right) promises

    /// The output moves with the input, but for a border of so many rows and columns of the input.
    [<Extension>]
    static member Moving(promises: Promises, down: int, right: int, border: int) : Promises =
        Promises.moving (down, right) border promises

    /// The whole output rolls with the input.
    [<Extension>]
    static member Rolling(promises: Promises, down: int, right: int) : Promises =
        Promises.rolling (down, right) promises

    /// The output has no places, and rolls of the input leave it as it is.
    [<Extension>]
    static member Invariant(promises: Promises, down: int, right: int) : Promises =
        Promises.invariant (down, right) promises

    /// The places of the input that a place of the output depends on: from the input's size, the row and the column.
    [<Extension>]
    static member Reaching
        (promises: Promises, reach: Func<ImageSize, int, int, seq<struct (int * int)>>)
        : Promises =
        promises
        |> Promises.reaching (fun size (row, column) ->
            set [ for struct (row, column) in reach.Invoke(size, row, column) -> row, column ])

    /// So many heads can be permuted with their parameters.
    [<Extension>]
    static member WithHeads(promises: Promises, count: int) : Promises = Promises.heads count promises
