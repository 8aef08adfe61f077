namespace LocalAttention.Dsl

open System

/// How the cells of a column stand.
type internal Align =
    | Left
    | Right

/// Tables of text, drawn with box characters: the same in a terminal, in F# Interactive and in a file.
module internal Table =
    let private rule (left: string) (cross: string) (right: string) (widths: int list) =
        left
        + String.Join(cross, [ for width in widths -> String('─', width + 2) ])
        + right

    let private cell (align: Align) (width: int) (text: string) =
        match align with
        | Left -> $" {text.PadRight width} "
        | Right -> $" {text.PadLeft width} "

    /// <summary>Draws a table.</summary>
    /// <param name="columns">Each column's heading and how its cells stand.</param>
    /// <param name="groups">Rows, in groups that a line parts; each row has a cell for every column.</param>
    let draw (columns: (string * Align) list) (groups: string list list list) : string =
        let headings = List.map fst columns
        let aligns = List.map snd columns

        let widths =
            headings :: List.concat groups
            |> List.transpose
            |> List.map (List.map String.length >> List.max)

        let line (cells: string list) =
            "│" + String.Join("│", List.map3 cell aligns widths cells) + "│"

        let between = rule "├" "┼" "┤" widths

        [ rule "┌" "┬" "┐" widths
          line headings
          for group in groups do
              between
              yield! List.map line group
          rule "└" "┴" "┘" widths ]
        |> String.concat Environment.NewLine
