namespace LocalAttention.Dsl

open System
open System.Globalization
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification

/// What a table has for one row and one column.
[<RequireQualifiedAccess>]
type Cell =
    /// Nothing is known.
    | Blank
    /// Words.
    | Text of string
    /// A whole number.
    | Whole of int64
    /// A number, and how many decimals tables show of it; CSV has all of them.
    | Real of value: float * decimals: int

/// A column of a sweep: its heading, and what it has for each row.
[<NoComparison; NoEquality>]
type Column<'row> =
    {
        /// The heading.
        Heading: string
        /// The cell of a row.
        Of: 'row -> Cell
    }

/// Columns: own ones of any function, and those that are wanted most.
[<RequireQualifiedAccess>]
module Column =
    /// <summary>A column of words.</summary>
    /// <example><code lang="fsharp">Column.text "conventions" (fun (model: Architecture) -> string model.Conventions.Naming)</code></example>
    let text (heading: string) (value: 'row -> string) : Column<'row> =
        { Heading = heading
          Of = value >> Cell.Text }

    /// <summary>A column of whole numbers.</summary>
    /// <example><code lang="fsharp">Column.whole "trainable" trainableParameters</code></example>
    let whole (heading: string) (value: 'row -> int64) : Column<'row> =
        { Heading = heading
          Of = value >> Cell.Whole }

    /// <summary>A column of numbers, of which tables show some decimals.</summary>
    /// <example><code lang="fsharp">Column.real "drop path" 2 (fun (model: Architecture) -> model.DropPath)</code></example>
    let real (heading: string) (decimals: int) (value: 'row -> float) : Column<'row> =
        { Heading = heading
          Of = fun row -> Cell.Real(value row, decimals) }

    /// <summary>The same, blank where there is no number.</summary>
    /// <example><code lang="fsharp">Column.known "paper: top-1" 1 (fun (entry: ZooEntry) -> entry.Paper.Top1)</code></example>
    let known (heading: string) (decimals: int) (value: 'row -> Nullable<float>) : Column<'row> =
        { Heading = heading
          Of =
            fun row ->
                match value row with
                | number when number.HasValue -> Cell.Real(number.Value, decimals)
                | _ -> Cell.Blank }

    /// <summary>A column for other rows, of which each has what the column asks about.</summary>
    /// <example><code lang="fsharp">Column.parameters |> Column.of' (fun (entry: ZooEntry) -> entry.Architecture)</code></example>
    let of' (part: 'row -> 'part) (column: Column<'part>) : Column<'row> =
        { Heading = column.Heading
          Of = part >> column.Of }

    /// The model's name.
    let name: Column<Architecture> = text "name" _.Name

    /// All parameters.
    let parameters: Column<Architecture> =
        whole "parameters" (fun model -> ParameterCount.Of(model).All)

    /// Multiply-accumulates of one image of the model's resolution, in thousand millions.
    let gmacs: Column<Architecture> =
        real "GMACs" 3 (fun model -> float (MultiplyAccumulates.Of(model).Total) / 1e9)

    /// Blocks of all stages.
    let blocks: Column<Architecture> =
        whole "blocks" (fun model -> model.Stages |> Seq.sumBy (fun stage -> int64 stage.Blocks.Count))

    /// The map that the head gets.
    let lastMap: Column<Architecture> =
        text "last map" (fun model -> string (ShapeInference.LastMap model))

    /// How many mistakes the model has; one that builds has none.
    let mistakes: Column<Architecture> =
        whole "mistakes" (fun model -> int64 (Validation.Check(model).Count))

module internal Cells =
    /// Columns of words stand left, those of numbers right.
    let aligns (columns: int) (cells: Cell list list) : Align list =
        let isText (cell: Cell) =
            match cell with
            | Cell.Text _ -> true
            | _ -> false

        [ for index in 0 .. columns - 1 ->
              if cells |> List.exists (fun row -> isText row[index]) then
                  Left
              else
                  Right ]

    /// What tables show: thousands apart, decimals as the column says.
    let shown (cell: Cell) : string =
        match cell with
        | Cell.Blank -> ""
        | Cell.Text text -> text
        | Cell.Whole number -> number.ToString "N0"
        | Cell.Real(number, decimals) -> number.ToString $"F{max 0 decimals}"

/// <summary>A table of models, or of anything else, against functions of them: a value to sort, to filter and to write out.</summary>
/// <example><code lang="fsharp">
/// [ for k in [ 3; 5; 7 ] -> QnAViT.tiny |> everyQna (windowSize k) |> named $"{k}×{k}" ]
/// |> Sweep.over [ Column.name; Column.parameters; Column.gmacs ]
/// |> Sweep.sortBy "GMACs"
/// |> Sweep.toMarkdown
/// |> printfn "%s"
/// </code></example>
[<NoComparison; NoEquality; StructuredFormatDisplay("{Shown}")>]
type Sweep<'row> =
    internal
        { Names: string list
          Lines: ('row * Cell list) list }

    /// The headings of its columns.
    member this.Headings: string list = this.Names

    /// What its rows were made of.
    member this.Rows: 'row list = List.map fst this.Lines

    /// Its cells, row by row.
    member this.Cells: Cell list list = List.map snd this.Lines

    /// The table, drawn.
    member this.Text: string =
        Table.draw
            (List.zip this.Names (Cells.aligns this.Names.Length this.Cells))
            [ this.Cells |> List.map (List.map Cells.shown) ]

    /// The table on lines of its own: F# Interactive indents the first line of a value only.
    member this.Shown: string = Environment.NewLine + this.Text

    /// The same as <c>Text</c>.
    override this.ToString() = this.Text

/// What can be done with sweeps.
[<RequireQualifiedAccess>]
module Sweep =
    /// <summary>A table: a row for each of some things, a column for each of some functions.</summary>
    /// <example><code lang="fsharp">Zoo.find "slide*" |> List.map _.Architecture |> Sweep.over [ Column.name; Column.gmacs ]</code></example>
    let over (columns: Column<'row> list) (rows: 'row list) : Sweep<'row> =
        { Names = List.map _.Heading columns
          Lines = [ for row in rows -> row, [ for column in columns -> column.Of row ] ] }

    let private index (heading: string) (sweep: Sweep<'row>) =
        match List.tryFindIndex ((=) heading) sweep.Names with
        | Some index -> index
        | None ->
            let known = String.Join("', '", sweep.Names)
            invalidArg (nameof heading) $"There is no column '{heading}'; the columns are '{known}'."

    let private number (cell: Cell) =
        match cell with
        | Cell.Whole number -> Some(float number)
        | Cell.Real(number, _) -> Some number
        | Cell.Blank
        | Cell.Text _ -> None

    /// The rows of which something is true.
    let filter (holds: 'row -> bool) (sweep: Sweep<'row>) : Sweep<'row> =
        { sweep with
            Lines = sweep.Lines |> List.filter (fst >> holds) }

    /// <summary>The rows that have a number in a column of which something is true.</summary>
    /// <exception cref="T:System.ArgumentException">There is no such column; the message lists those that are there.</exception>
    /// <example><code lang="fsharp">sweep |> Sweep.where "GMACs" (fun cost -> cost &lt; 4.5)</code></example>
    let where (heading: string) (holds: float -> bool) (sweep: Sweep<'row>) : Sweep<'row> =
        let column = index heading sweep

        { sweep with
            Lines =
                sweep.Lines
                |> List.filter (fun (_, cells) -> number cells[column] |> Option.exists holds) }

    /// Blanks, NaN among them, stand last, whichever way is up; numbers stand before words.
    let private sorted (compared: int -> int) (heading: string) (sweep: Sweep<'row>) =
        let column = index heading sweep

        let rank cell =
            match cell, number cell with
            | _, Some value when not (Double.IsNaN value) -> 0
            | Cell.Text _, _ -> 1
            | _ -> 2

        let order (_, first: Cell list) (_, second: Cell list) =
            match rank first[column], rank second[column] with
            | 0, 0 -> compared (compare (number first[column]) (number second[column]))
            | 1, 1 -> compared (String.CompareOrdinal(string first[column], string second[column]))
            | one, other -> compare one other

        { sweep with
            Lines = List.sortWith order sweep.Lines }

    /// <summary>The rows by a column, smallest first; equal ones keep their order, blanks come last.</summary>
    /// <exception cref="T:System.ArgumentException">There is no such column; the message lists those that are there.</exception>
    let sortBy (heading: string) (sweep: Sweep<'row>) : Sweep<'row> = sorted id heading sweep

    /// <summary>The rows by a column, largest first; equal ones keep their order, blanks come last.</summary>
    /// <exception cref="T:System.ArgumentException">There is no such column; the message lists those that are there.</exception>
    let sortDescendingBy (heading: string) (sweep: Sweep<'row>) : Sweep<'row> =
        sorted (fun order -> -(sign order)) heading sweep

    /// The table, drawn, as F# Interactive shows it.
    let toText (sweep: Sweep<'row>) : string = sweep.Text

    let private exactly (cell: Cell) =
        match cell with
        | Cell.Blank -> ""
        | Cell.Text text -> text
        | Cell.Whole number -> number.ToString CultureInfo.InvariantCulture
        | Cell.Real(number, _) -> number.ToString("R", CultureInfo.InvariantCulture)

    /// The table as comma-separated values (RFC 4180): a heading, rows that end in CR LF, numbers with all their digits and a
    /// decimal point, text in quotes where it needs them.
    let toCsv (sweep: Sweep<'row>) : string =
        let field (text: string) =
            if text.AsSpan().IndexOfAny("\",\r\n") >= 0 then
                "\"" + text.Replace("\"", "\"\"") + "\""
            else
                text

        let line (cells: string list) =
            String.Join(",", List.map field cells) + "\r\n"

        String.Join(
            "",
            line sweep.Names
            :: [ for cells in sweep.Cells -> line (List.map exactly cells) ]
        )

    /// The table in Markdown, as GitHub reads it.
    let toMarkdown (sweep: Sweep<'row>) : string =
        let escaped (text: string) =
            text
                .Replace("\\", "\\\\")
                .Replace("|", "\\|")
                .Replace("\r\n", "<br>")
                .Replace("\n", "<br>")
                .Replace("\r", "<br>")

        let line (cells: string list) = "| " + String.Join(" | ", cells) + " |"

        let rule =
            [ for align in Cells.aligns sweep.Names.Length sweep.Cells ->
                  match align with
                  | Left -> "---"
                  | Right -> "---:" ]

        Words.lines
            [ line (List.map escaped sweep.Names)
              line rule
              for cells in sweep.Cells do
                  line (List.map (Cells.shown >> escaped) cells) ]

    /// <summary>Writes the table as comma-separated values; the file appears whole or not at all.</summary>
    /// <example><code lang="fsharp">sweep |> Sweep.saveCsv "windows.csv"</code></example>
    let saveCsv (path: string) (sweep: Sweep<'row>) : unit = Files.write path (toCsv sweep)
