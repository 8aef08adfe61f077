namespace LocalAttention.Verification

open System
open System.Globalization

/// Pictures as inline SVG: a cell a square, its number in its tooltip.
module internal Drawing =
    /// More cells than this along a side are drawn as blocks of several.
    [<Literal>]
    let private Finest = 48

    let private coordinate (number: float) =
        number.ToString("0.##", CultureInfo.InvariantCulture)

    /// Of several cells the one that differs most from 0, so that a lone difference stays visible; NaN above all.
    let private strongest (cells: float seq) =
        cells
        |> Seq.reduce (fun kept cell ->
            if Double.IsNaN kept then kept
            elif Double.IsNaN cell || abs cell > abs kept then cell
            else kept)

    /// The rows in blocks of `side` by `side` cells.
    let private blocks (side: int) (rows: float[][]) =
        [| for band in Array.chunkBySize side rows ->
               let width = band |> Array.map _.Length |> Array.max

               [| for left in 0..side .. width - 1 ->
                      let cells =
                          [ for row in band do
                                for column in left .. min (left + side) row.Length - 1 -> row[column] ]

                      if cells.IsEmpty then nan else strongest cells |] |]

    /// Blue below 0, white at 0, red above; without negative numbers white to red alone.
    let private colour (largest: float) (cell: float) =
        if Double.IsNaN cell then
            "#7a28c7"
        else
            let strength = if largest = 0.0 then 0.0 else min 1.0 (abs cell / largest)

            let toward (full: int) =
                int (Math.Round(255.0 + strength * (float full - 255.0)))

            let red, green, blue =
                if cell < 0.0 then
                    toward 24, toward 90, toward 190
                else
                    toward 190, toward 40, toward 30

            $"#{red:x2}{green:x2}{blue:x2}"

    let private cell (largest: float) (row: int) (column: int) (value: float) =
        Markup.element
            "rect"
            [ "x", string column
              "y", string row
              "width", "1"
              "height", "1"
              "fill", colour largest value ]
            [ Markup.labelled "title" [] $"row {row}, column {column}: {Wording.number value}" ]

    /// What numbers a picture has, and how many cells a square stands for.
    let private caption (side: int) (values: float[]) =
        let finite = values |> Array.filter Double.IsFinite

        let range =
            match finite with
            | [||] -> "no finite number"
            | finite when Array.forall ((=) 0.0) finite -> "0 everywhere"
            | finite -> $"{Wording.number (Array.min finite)} … {Wording.number (Array.max finite)}"

        [ range
          if finite.Length < values.Length then
              Wording.count (values.Length - finite.Length) "number is not finite" "numbers are not finite"
          if side > 1 then
              $"a square is {side}×{side} numbers, and shows the one furthest from 0" ]
        |> String.concat "; "

    /// A picture with its title and its range.
    let figure (picture: Picture) : Markup =
        let values = Array.concat picture.Rows

        let content =
            if values.Length = 0 then
                [ Markup.labelled "span" [ "class", "range" ] "nothing to draw" ]
            else
                let longest =
                    picture.Rows |> Array.map _.Length |> Array.max |> max picture.Rows.Length

                let side = (longest + Finest - 1) / Finest
                let drawn = blocks side picture.Rows
                let width = drawn |> Array.map _.Length |> Array.max

                let largest =
                    values
                    |> Array.filter Double.IsFinite
                    |> Array.fold (fun most cell -> max most (abs cell)) 0.0

                let height = drawn.Length
                // Small maps in large squares, large ones no wider than a third of the page.
                let scale = min 24.0 (260.0 / float (max width height))

                [ Markup.element
                      "svg"
                      [ "xmlns", "http://www.w3.org/2000/svg"
                        "viewBox", $"0 0 {width} {height}"
                        "width", coordinate (scale * float width)
                        "height", coordinate (scale * float height)
                        "role", "img"
                        "aria-label", picture.Title
                        "shape-rendering", "crispEdges" ]
                      [ for row in 0 .. height - 1 do
                            for column in 0 .. drawn[row].Length - 1 ->
                                cell largest row column (drawn[row][column]) ]
                  Markup.labelled "span" [ "class", "range" ] (caption side values) ]

        Markup.element "figure" [] (Markup.labelled "figcaption" [] picture.Title :: content)
