/// <c>sweep</c>: a table of the models in which a script ends.
module LocalAttention.Cli.Commands.Sweep

open System
open System.Collections.Generic
open System.CommandLine
open System.Text
open System.Text.Json.Nodes
open LocalAttention.Cli
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Dsl

let private script =
    Argument<string>(
        "SCRIPT",
        HelpName = "SCRIPT.fsx",
        Description = "Ends in a sweep, or in a list of architectures."
    )

let private csv =
    Option<bool>("--csv", Description = "Comma-separated values, with all digits.")

let private markdown =
    Option<bool>("--markdown", Description = "A table in Markdown.")

let private output =
    Arguments.text "--output" "FILE" "Where to write the table; left out: standard output."

/// What a list of architectures is shown with.
let private columns =
    [ Column.name
      Column.blocks
      Column.lastMap
      Column.parameters
      Column.gmacs
      Column.mistakes ]

let private plain (architectures: Architecture list) : Sweep<Cell list> =
    let cells =
        [ for architecture in architectures -> [ for column in columns -> column.Of architecture ] ]

    cells
    |> Sweep.over
        [ for index, column in List.indexed columns ->
              { Heading = column.Heading
                Of = fun (row: Cell list) -> row[index] } ]

let private number (cell: Cell) : (JsonNode | null) =
    match cell with
    | Cell.Blank -> null
    | Cell.Text text -> JsonValue.Create text
    | Cell.Whole number -> JsonValue.Create number
    // JSON has no other numbers.
    | Cell.Real(number, _) when Double.IsFinite number -> JsonValue.Create number
    | Cell.Real(number, _) -> JsonValue.Create(string number)

/// A value for each row, by its headings.
let private value (sweep: Sweep<Cell list>) =
    [ for cells in sweep.Cells ->
          JsonObject
              [ for heading, cell in List.zip sweep.Headings cells -> KeyValuePair(heading, number cell) ] ]

let private run (invocation: Invocation) =
    let path = invocation.Value script

    match invocation.Has csv, invocation.Has markdown, invocation.Json with
    | true, true, _
    | true, _, true
    | _, true, true ->
        Refusal.wrong "--csv, --markdown and --json are three forms of one table; give one of them."
    | _ -> ()

    let sweep =
        match Scripts.answer invocation path with
        | Answer.Table sweep -> sweep
        | Answer.Architectures architectures -> plain architectures
        | Answer.Architecture architecture -> plain [ architecture ]
        | Answer.Other kind ->
            Refusal.wrong
                $"{path}: the script ends in a value of type {kind}; end it in a sweep or a list of architectures."

    let text =
        if invocation.Json then
            Json.text (value sweep) + "\n"
        elif invocation.Has csv then
            Sweep.toCsv sweep
        elif invocation.Has markdown then
            Sweep.toMarkdown sweep + "\n"
        else
            Sweep.toText sweep + "\n"

    match invocation.Text output with
    | Some file ->
        let bytes = UTF8Encoding(false).GetBytes text
        AtomicFile.Write(file, int64 bytes.Length, (fun stream -> stream.Write(bytes, 0, bytes.Length)))

        if invocation.Json then
            let written =
                {| output = file
                   rows = sweep.Cells.Length |}

            invocation.Output.WriteLine(Json.text written)
        else
            invocation.Note $"{sweep.Cells.Length} rows in {file}"
    | None -> invocation.Output.Write text

    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "sweep",
            "A table of models: a script makes them, and says what stands in the columns if it ends in a sweep.",
            [ "sweep samples/command-line/sweep.fsx", "the table, drawn"
              "sweep samples/command-line/sweep.fsx --csv --output windows.csv", "for a spreadsheet" ]
        )

    command.Arguments.Add script
    command.Options.Add csv
    command.Options.Add markdown
    command.Options.Add output
    command.Runs run
    command
