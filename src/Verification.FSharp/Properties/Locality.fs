namespace LocalAttention.Verification

open System
open TorchSharp

/// An output depends on the places of the input that are promised, and on no others.
[<RequireQualifiedAccess>]
module Locality =
    /// A place of a map, and what is promised of it.
    type private Unit =
        { Map: MapPromise
          Row: int
          Column: int
          Reach: Set<int * int> }

    /// One unit of an output: its channels, as the function that is looked at.
    let private unitOf (instance: Instance) (unit: Unit) (input: torch.Tensor) =
        let map =
            instance.Maps input
            |> List.find (fun (place, _) -> place = unit.Map.Place)
            |> snd

        map.select(1L, int64 unit.Row).select(1L, int64 unit.Column)

    let private sizeOf (instance: Instance) (place: string) (input: torch.Tensor) =
        use _ = torch.no_grad ()

        match instance.Maps input |> List.tryFind (fun (name, _) -> name = place) with
        | Some(_, map) -> int map.shape[1], int map.shape[2]
        | None -> invalidOp $"something is promised of the map '{place}', and there is no such map"

    let private size (case: Case) = case.Subject.Size

    let private input (case: Case) number =
        Measuring.input
            case.Subject
            (if number = 0 then
                 case.Seed
             else
                 Measuring.derived case.Seed $"input {number}")
            1
            torch.ScalarType.Float64

    /// The largest magnitude among the channels at each place, row by row.
    let private byPlace (case: Case) (tensor: torch.Tensor) =
        let tokens = (Measuring.tokens case.Subject.Layout tensor).contiguous()

        Measuring.elements tokens
        |> Array.chunkBySize case.Subject.Channels
        |> Array.map (
            Array.fold
                (fun largest element ->
                    if Double.IsNaN element then
                        infinity
                    else
                        max largest (abs element))
                0.0
        )

    /// How much the unit changes with each place of the input, by its gradient; none where it has none.
    let private slopes (case: Case) (instance: Instance) unit number =
        use _ = torch.enable_grad ()
        let x = (input case number).requires_grad_()
        let output = unitOf instance unit x

        if not output.requires_grad then
            None
        else
            let weights = Measuring.numbers case.Seed $"weights {number}" output.shape
            (output * weights).sum().backward()

            match x.grad with
            | null -> None
            | slope -> Some(byPlace case slope)

    /// Puts other numbers in some places of an input.
    let private changed (case: Case) (x: torch.Tensor) (isChanged: int * int -> bool) =
        let height, width = (size case).Height, (size case).Width

        let mask =
            [| for row in 0 .. height - 1 do
                   for column in 0 .. width - 1 -> isChanged (row, column) |]

        let shape =
            match case.Subject.Layout with
            | Layout.Images -> [| 1L; 1L; int64 height; int64 width |]
            | Layout.Tokens -> [| 1L; int64 height; int64 width; 1L |]

        let mask = torch.tensor (mask, ReadOnlySpan shape)
        let others = Measuring.numbers case.Seed "other numbers" x.shape
        torch.where (mask, others, x)

    /// How much the unit changes when other numbers stand at some places.
    let private change (case: Case) (instance: Instance) unit isChanged =
        use _ = torch.no_grad ()
        let x = input case 0
        let before = unitOf instance unit x
        let after = unitOf instance unit (changed case x isChanged)
        Measuring.difference before after

    /// The same for a function without gradient: by changing one place at a time.
    let private changes (case: Case) (instance: Instance) unit =
        [| for row in 0 .. (size case).Height - 1 do
               for column in 0 .. (size case).Width - 1 -> change case instance unit ((=) (row, column)) |]

    let private places (places: (int * int) seq) =
        let shown = places |> Seq.truncate 6 |> Seq.map string |> String.concat ", "
        let more = Seq.length places - 6
        if more > 0 then $"{shown} and {more} more" else shown

    let private extent (reach: Set<int * int>) =
        if reach.IsEmpty then
            "no place"
        else
            let range one many (places: Set<int>) =
                if places.MinimumElement = places.MaximumElement then
                    $"{one} {places.MinimumElement}"
                else
                    $"{many} {places.MinimumElement}–{places.MaximumElement}"

            let count =
                if reach.Count = 1 then
                    "1 place"
                else
                    $"{reach.Count} places"

            $"""{count} in {range "row" "rows" (Set.map fst reach)} and {range "column" "columns" (Set.map snd reach)}"""

    let private breaks (case: Case) unit how (measured: float array) extra missing =
        let width = (size case).Width
        let x = input case 0

        let kind =
            match Seq.isEmpty extra, Seq.isEmpty missing with
            | true, _ -> "too little"
            | false, true -> "too much"
            | false, false -> "elsewhere"

        let seen =
            [ if not (Seq.isEmpty extra) then
                  $"it also depends on {places extra}"
              if not (Seq.isEmpty missing) then
                  $"it does not depend on {places missing}" ]
            |> String.concat ", and "

        let picture title (rows: int -> int -> float) =
            { Title = title
              Rows = Array.init (size case).Height (fun row -> Array.init width (rows row)) }

        let where =
            match unit.Map.Stride with
            | None -> unit.Map.Place
            | Some _ -> $"{unit.Map.Place} at row {unit.Row}, column {unit.Column}"

        Verdict.BreaksAs(
            kind,
            List.ofArray x.shape,
            $"for an input of {size case}, {where} should depend on {extent unit.Reach} of the input, counted from 0; {seen}. Found by {how}.",
            [ Measuring.pictureOf case.Subject "the input" x
              picture "what it should depend on" (fun row column ->
                  if unit.Reach.Contains(row, column) then 1.0 else 0.0)
              picture "how much it depends on each place" (fun row column -> measured[row * width + column]) ]
        )

    /// What a path leads from, and parameters do not happen to cancel, has a gradient far above this beside the largest:
    /// attention weights that are infinitely small are masks.
    let private nothing = 1e-30

    let private check (case: Case) =
        let promised = case.Subject.Promises.Maps(size case) |> List.filter _.Reach.IsSome

        match promised with
        | [] -> Verdict.CannotAsk "nothing is promised of what its outputs depend on"
        | promised ->
            use instance = case.Subject.Build case.Seed torch.ScalarType.Float64
            let map = promised[Measuring.choice case.Seed "map" promised.Length]
            let height, width = sizeOf instance map.Place (input case 0)

            let row, column =
                Measuring.choice case.Seed "row" height, Measuring.choice case.Seed "column" width

            let unit =
                { Map = map
                  Row = row
                  Column = column
                  Reach = map.Reach.Value(row, column) }

            let outside place = not (unit.Reach.Contains place)
            let tolerance = Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance

            let support how (measured: float array) =
                let largest = Array.fold max 0.0 measured
                let width = (size case).Width
                let at (row, column) = measured[row * width + column]

                let all =
                    [ for row in 0 .. (size case).Height - 1 do
                          for column in 0 .. width - 1 do
                              (row, column) ]

                // What is computed by way of spectra rounds where there is nothing.
                let extra =
                    all
                    |> List.filter (fun place -> outside place && not (at place <= tolerance * largest))

                let missing =
                    unit.Reach |> Set.filter (fun place -> not (at place > nothing * largest))

                if extra.IsEmpty && missing.IsEmpty then
                    Verdict.Holds [ "largest reach in places", float unit.Reach.Count ]
                else
                    breaks case unit how measured extra missing

            match slopes case instance unit 0 with
            | None -> support "changing the places one by one" (changes case instance unit)
            | Some first ->
                // A unit that is off at one input is on at another, and what cancels at one does not at all of them.
                let rec together number measured =
                    let isMissing (row, column) =
                        measured |> Array.item (row * (size case).Width + column) = 0.0

                    if number > 3 || not (Set.exists isMissing unit.Reach) then
                        measured
                    else
                        match slopes case instance unit number with
                        | None -> measured
                        | Some more -> together (number + 1) (Array.map2 max measured more)

                match support "gradients in double precision" (together 1 first) with
                | Verdict.Holds figures when unit.Reach.Count < (size case).Height * (size case).Width ->
                    // A gradient may leave out what the output does see.
                    let moved = change case instance unit outside

                    if moved <= tolerance then
                        Verdict.Holds figures
                    else
                        breaks
                            case
                            unit
                            "changing all other places, though their gradients are zero"
                            (changes case instance unit)
                            (Seq.filter
                                outside
                                (Seq.allPairs [ 0 .. (size case).Height - 1 ] [ 0 .. (size case).Width - 1 ])
                             |> Seq.filter (fun place -> change case instance unit ((=) place) > tolerance))
                            Set.empty
                | verdict -> verdict

    /// <summary>
    /// A unit of a map depends on exactly the places of the input that are promised: where its gradient is not zero, in
    /// double precision, joined over a few inputs. Functions without gradient have their places changed one by one, and what
    /// stands outside the promised places is changed in any case.
    /// </summary>
    let support: Property =
        Ask.cases "locality" "an output depends on exactly the inputs that are promised" check
