namespace LocalAttention.Verification

open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open TorchSharp

/// Shifting the input shifts the output, for the shifts that are promised, and for no others that one could tell.
[<RequireQualifiedAccess>]
module Equivariance =
    /// How an input is shifted.
    type private Way =
        /// What it holds goes on, and something new enters at the border.
        | Moved
        /// What leaves at one side enters at the other.
        | Rolled

    let private verb way =
        match way with
        | Moved -> "moving"
        | Rolled -> "rolling"

    let private lattice way (map: MapPromise) =
        match way with
        | Moved -> map.Moves
        | Rolled -> map.Rolls

    /// An input, and the same shifted down and to the right.
    let private shifted (case: Case) way (down: int, right: int) =
        let subject = case.Subject
        let rows, columns = Measuring.axes subject.Layout

        match way with
        | Rolled ->
            let input = Measuring.input subject case.Seed 1 torch.ScalarType.Float64
            input, torch.roll (input, [| int64 down; int64 right |], [| rows; columns |])
        | Moved ->
            // Two crops of one larger input: what the second shows further down is what the first shows.
            let height, width = subject.Size.Height, subject.Size.Width

            let large =
                Measuring.numbers
                    case.Seed
                    "input"
                    (Measuring.shape subject 1 (ImageSize(height + abs down, width + abs right)))

            let crop top left =
                large
                    .narrow(rows, int64 top, int64 height)
                    .narrow(columns, int64 left, int64 width)
                    .contiguous()

            let first top shift = if shift > 0 then top else 0

            crop (first (abs down) down) (first (abs right) right),
            crop (first (abs down) -down) (first (abs right) -right)

    /// Tokens that a shift by pixels is, where it is a whole number.
    let private tokens (stride: float) (pixels: int) =
        let tokens = float pixels / stride
        if tokens = floor tokens then Some(int tokens) else None

    /// Along one axis, the places of the shifted map that are compared, each with its partner on the first map.
    let private partners way (step: bool) (before: int64, after: int64) (stride: float) length pixels shift =
        match way with
        | Rolled -> [ for place in 0 .. length - 1 -> place, ((place - shift) % length + length) % length ]
        | Moved ->
            // Along an axis that nothing moves along, the border is where it was.
            let isInside place =
                float place * stride >= float before
                && float (place + 1) * stride <= float (int64 pixels - after)

            [ for place in 0 .. length - 1 do
                  let partner = place - shift

                  if
                      partner >= 0
                      && partner < length
                      && (shift = 0 || not step || (isInside place && isInside partner))
                  then
                      place, partner ]

    /// Which tokens of the two maps should be equal; none where the shift is between two tokens, or there are none.
    let private places way (size: ImageSize) (promise: MapPromise) (height, width) (down, right) =
        match promise.Stride with
        | None -> Some([ (0, 0) ], [ (0, 0) ])
        | Some(rowStride, columnStride) ->
            match tokens rowStride down, tokens columnStride right with
            | Some rows, Some columns ->
                let lattice, border = lattice way promise, promise.Border

                let rows =
                    partners
                        way
                        lattice.Down.HasValue
                        (border.Top, border.Bottom)
                        rowStride
                        height
                        size.Height
                        rows

                let columns =
                    partners
                        way
                        lattice.Right.HasValue
                        (border.Left, border.Right)
                        columnStride
                        width
                        size.Width
                        columns

                if rows.IsEmpty || columns.IsEmpty then
                    None
                else
                    Some(rows, columns)
            | _ -> None

    /// The tokens of a map at some rows and columns.
    let private selected (map: torch.Tensor) rows columns =
        let index (places: int list) =
            torch.tensor (places |> List.map int64 |> Array.ofList)

        map.index_select(1L, index rows).index_select(2L, index columns)

    /// One map under one shift.
    type private Comparison =
        { Promise: MapPromise
          Rows: int list
          Columns: int list
          Expected: torch.Tensor
          Actual: torch.Tensor
          Deviation: float }

    let private compare
        way
        (case: Case)
        (shift: int * int)
        promise
        (first: torch.Tensor)
        (second: torch.Tensor)
        =
        let size = int first.shape[1], int first.shape[2]

        places way case.Subject.Size promise size shift
        |> Option.map (fun (rows, columns) ->
            let expected = selected first (List.map snd rows) (List.map snd columns)
            let actual = selected second (List.map fst rows) (List.map fst columns)

            { Promise = promise
              Rows = List.map fst rows
              Columns = List.map fst columns
              Expected = expected
              Actual = actual
              Deviation =
                // By the whole map's magnitude: the few tokens inside a wide border may all be small.
                Measuring.difference expected actual
                * max (Measuring.magnitude expected) (Measuring.magnitude actual)
                / max (Measuring.magnitude first) (Measuring.magnitude second) })

    /// All maps under one shift, with the inputs.
    let private comparisons (case: Case) (instance: Instance) way shift =
        let input, other = shifted case way shift
        use _ = torch.no_grad ()
        let first, second = instance.Maps input, Map(instance.Maps other)

        let compared =
            [ for promise in case.Subject.Promises.Maps case.Subject.Size do
                  match List.tryFind (fun (place, _) -> place = promise.Place) first with
                  | Some(place, map) ->
                      yield! Option.toList (compare way case shift promise map second[place])
                  | None ->
                      let known = first |> List.map fst |> String.concat ", "

                      invalidOp
                          $"something is promised of the map '{promise.Place}', and there is none; it makes these: {known}" ]

        input, other, compared

    let private direction (down, right) =
        let along length (one: string) other =
            if length > 0 then Some $"{length} {one}"
            elif length < 0 then Some $"{-length} {other}"
            else None

        [ along down "down" "up"; along right "to the right" "to the left" ]
        |> List.choose id
        |> String.concat " and "

    /// What is seen of a deviation: where, how much, and whether it is the border's.
    let private explanation way (case: Case) tolerance shift (broken: Comparison) =
        let channels = int broken.Expected.shape[3]

        let expected, actual =
            Measuring.elements broken.Expected, Measuring.elements broken.Actual

        let apart =
            Array.map2
                (fun (one: float) other -> if one = other then 0.0 else abs (one - other))
                expected
                actual
            |> Array.map (fun difference ->
                if System.Double.IsNaN difference then
                    infinity
                else
                    difference)

        let worst = apart |> Seq.indexed |> Seq.maxBy snd |> fst
        let place = worst / channels

        let row, column =
            broken.Rows[place / broken.Columns.Length], broken.Columns[place % broken.Columns.Length]

        let scale = Measuring.magnitude broken.Expected

        let differing =
            apart
            |> Seq.chunkBySize channels
            |> Seq.filter (fun token -> Seq.max token > tolerance * scale)
            |> Seq.length

        let all = broken.Rows.Length * broken.Columns.Length

        let effect =
            match broken.Promise.Stride, way with
            | None, _ -> $"should leave {broken.Promise.Place} as it is"
            | Some _, Rolled -> $"should roll all of {broken.Promise.Place}"
            | Some _, Moved when broken.Promise.Border.Widest > 0L ->
                let band =
                    if broken.Promise.Border = BorderBand(1L, 1L, 1L, 1L) then
                        "1 pixel"
                    else
                        string broken.Promise.Border

                $"should move {broken.Promise.Place} wherever it is further than {band} from the border"
            | Some _, Moved -> $"should move {broken.Promise.Place}"

        let because =
            match broken.Promise.Reasons with
            | [] -> ""
            | reasons -> $""" What is known of its layers: {String.concat "; " reasons}."""

        let number (value: float) =
            value.ToString("G4", System.Globalization.CultureInfo.InvariantCulture)

        $"{verb way} an input of {case.Subject.Size} by {direction shift} {effect}, and does not: at row {row}, column {column}, "
        + $"channel {worst % channels} there is {number actual[worst]} where {number expected[worst]} should be. "
        + $"{differing} of {all} places differ, by {number broken.Deviation} of the largest magnitude at most; rounding explains {number tolerance}."
        + because

    /// Where a map differs, laid out as the map.
    let private pictureOf (map: torch.Tensor) (broken: Comparison) =
        let expected, actual =
            Measuring.elements broken.Expected, Measuring.elements broken.Actual

        let channels = int broken.Expected.shape[3]

        let rows =
            Array.init (int map.shape[1]) (fun _ -> Array.create (int map.shape[2]) 0.0)

        for line, row in List.indexed broken.Rows do
            for place, column in List.indexed broken.Columns do
                let first = (line * broken.Columns.Length + place) * channels

                rows[row][column] <-
                    seq { first .. first + channels - 1 }
                    |> Seq.map (fun index -> abs (expected[index] - actual[index]))
                    |> Seq.max

        { Title = $"where {broken.Promise.Place} differs from what the shift should give"
          Rows = rows }

    /// Multiples of a step that are less than the input, the smallest first.
    let private multiples (step: System.Nullable<int64>) length =
        [ if step.HasValue then
              for multiple in 1..3 do
                  let shift = multiple * int step.Value

                  if shift < length then
                      shift ]

    /// Shifts that are promised of some map, the smallest first.
    let private promised way (case: Case) =
        let size = case.Subject.Size

        [ for map in case.Subject.Promises.Maps size do
              let lattice = lattice way map

              let downs, rights =
                  multiples lattice.Down size.Height, multiples lattice.Right size.Width

              for down in downs do
                  down, 0

              for right in rights do
                  0, right

              for down in downs do
                  for right in rights do
                      down, right
                      -down, right ]
        |> List.distinct
        |> List.sortBy (fun (down, right) -> abs down + abs right)

    /// Shifts by whole tokens of some map that are promised of none.
    let private others way (case: Case) =
        let size = case.Subject.Size
        let maps = case.Subject.Promises.Maps size

        [ for map in maps do
              let rows, columns = Option.defaultValue (1.0, 1.0) map.Stride

              for count in 1..3 do
                  let down, right =
                      max 1 (int (rows * float count)), max 1 (int (columns * float count))

                  if down < size.Height then
                      down, 0

                  if right < size.Width then
                      0, right ]
        |> List.distinct
        |> List.filter (fun (down, right) ->
            not (
                maps
                |> List.exists (fun map -> (lattice way map).Contains(int64 down, int64 right))
            ))

    let private holds way (down: int, right: int) (compared: Comparison) =
        (lattice way compared.Promise).Contains(int64 down, int64 right)

    /// Whether a promised shift leaves something to compare on a map of some size.
    let private leaves way (case: Case) (sizes: Map<string, int * int>) (shift: int * int) =
        case.Subject.Promises.Maps case.Subject.Size
        |> List.exists (fun promise ->
            let down, right = shift

            (lattice way promise).Contains(int64 down, int64 right)
            && (sizes.TryFind promise.Place
                |> Option.forall (fun size -> (places way case.Subject.Size promise size shift).IsSome)))

    /// The shift drawn for a case and, where it breaks, the smallest that breaks.
    let private broken (case: Case) instance tolerance sizes way =
        let at shift =
            let input, other, compared = comparisons case instance way shift
            let compared = compared |> List.filter (holds way shift)
            let worst = compared |> List.map _.Deviation |> List.fold max 0.0

            compared.Length,
            worst,
            compared
            |> List.tryFind (fun compared -> not (compared.Deviation <= tolerance))
            |> Option.map (fun compared -> shift, input, other, compared)

        match promised way case |> List.filter (leaves way case sizes) with
        | [] -> 0, 0.0, None
        | shifts ->
            let count, worst, found =
                at shifts[Measuring.choice case.Seed (verb way) shifts.Length]

            let found =
                found
                |> Option.map (fun found ->
                    shifts
                    |> Seq.truncate 6
                    |> Seq.tryPick (fun shift ->
                        let _, _, found = at shift
                        found)
                    |> Option.defaultValue found)

            count, worst, found

    /// How far a shift that is not promised takes the maps from what a shift would give: a figure, for others may hold by
    /// chance, as where a window is the map.
    let private outside (case: Case) instance way =
        match others way case with
        | [] -> []
        | shifts ->
            let shift = shifts[Measuring.choice case.Seed $"{verb way} otherwise" shifts.Length]
            let _, _, compared = comparisons case instance way shift

            [ for compared in compared -> "smallest deviation outside the lattice", compared.Deviation ]

    let private check (case: Case) =
        let maps = case.Subject.Promises.Maps case.Subject.Size

        if maps.IsEmpty then
            Verdict.CannotAsk "nothing is promised about shifts"
        elif maps |> List.forall (fun map -> map.Moves.IsNone && map.Rolls.IsNone) then
            Verdict.CannotAsk "no shift of the input is promised to shift a map"
        else
            use instance = case.Subject.Build case.Seed torch.ScalarType.Float64
            let tolerance = Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance

            let sizes =
                use _ = torch.no_grad ()

                instance.Maps(Measuring.input case.Subject case.Seed 1 torch.ScalarType.Float64)
                |> List.map (fun (place, map) -> place, (int map.shape[1], int map.shape[2]))
                |> Map

            let results =
                [ for way in [ Rolled; Moved ] -> way, broken case instance tolerance sizes way ]

            let failure =
                results
                |> List.tryPick (fun (way, (_, _, found)) -> found |> Option.map (fun found -> way, found))

            match failure with
            | Some(way, (shift, input, other, compared)) ->
                let map =
                    instance.Maps other
                    |> List.find (fun (place, _) -> place = compared.Promise.Place)
                    |> snd

                Verdict.Breaks(
                    List.ofArray input.shape,
                    explanation way case tolerance shift compared,
                    [ Measuring.pictureOf case.Subject "the input" input
                      Measuring.pictureOf case.Subject "the shifted input" other
                      pictureOf map compared ]
                )
            | None when results |> List.forall (fun (_, (count, _, _)) -> count = 0) ->
                Verdict.CannotAsk
                    $"an input of {case.Subject.Size} leaves no shift, or no place inside the border, to compare"
            | None ->
                Verdict.Holds
                    [ for way, (count, worst, _) in results do
                          if count > 0 then
                              $"largest deviation when {verb way}", worst
                      for way in [ Rolled; Moved ] do
                          yield! outside case instance way ]

    /// <summary>
    /// Shifts of the input that are promised shift every map by as many tokens: everywhere for an input that rolls as a
    /// torus, and inside the border band for one that moves.
    /// </summary>
    /// <remarks>
    /// In double precision. Shifts outside the lattice are measured too, and never fail: <c>smallest deviation outside the
    /// lattice</c> says how clearly they break.
    /// </remarks>
    let shifts: Property =
        Ask.cases "equivariance" "shifting the input by what is promised shifts the output" check
