namespace LocalAttention.Cli

open System.Collections.Generic
open System.IO
open System.Text.Json.Nodes
open LocalAttention.Core.Specification
open LocalAttention.Dsl

/// What a script ended in, as it comes back from F# Interactive.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Answer =
    /// An architecture.
    | Architecture of Architecture
    /// Several.
    | Architectures of Architecture list
    /// A table: headings and rows of cells.
    | Table of Sweep<Cell list>
    /// Something that no command takes; the name of its type.
    | Other of string

/// <summary>
/// Writes what a script ended in, inside F# Interactive, and reads it again here. The two sides are different processes; the
/// writing one has never run this program's start, so that nothing here may be a value that is computed once.
/// </summary>
[<RequireQualifiedAccess>]
module Answers =
    let private ofArchitecture (architecture: Architecture) : JsonNode =
        nonNull (JsonNode.Parse(SpecificationJson.Write architecture))

    let private array (nodes: (JsonNode | null) seq) : JsonNode = JsonArray(Array.ofSeq nodes)

    let private object (properties: (string * JsonNode) list) : JsonNode =
        JsonObject [ for name, value in properties -> KeyValuePair(name, value) ]

    let private text (value: string) : JsonNode = nonNull (JsonValue.Create value)

    let private ofCell (cell: Cell) : (JsonNode | null) =
        match cell with
        | Cell.Blank -> null
        | Cell.Text words -> text words
        | Cell.Whole number -> object [ "whole", JsonValue.Create number ]
        // As text: JSON has neither infinities nor NaN.
        | Cell.Real(number, decimals) ->
            object [ "real", text (number.ToString("R")); "decimals", JsonValue.Create decimals ]

    let private toCell (node: JsonNode | null) =
        match node with
        | null -> Cell.Blank
        | :? JsonObject as number ->
            match number["whole"], number["real"], number["decimals"] with
            | NonNull whole, _, _ -> Cell.Whole(whole.GetValue<int64>())
            | _, NonNull real, NonNull decimals ->
                Cell.Real(float (real.GetValue<string>()), decimals.GetValue<int>())
            | _ -> Cell.Blank
        | words -> Cell.Text(words.GetValue<string>())

    /// A sweep's table: what its rows were made of stays behind.
    let private tableOf (sweep: obj) =
        let property (name: string) =
            nonNull ((nonNull (sweep.GetType().GetProperty name)).GetValue sweep)

        let headings: string list = property "Headings" |> unbox
        let rows: Cell list list = property "Cells" |> unbox

        object
            [ "headings", array [ for heading in headings -> text heading ]
              "rows", array [ for cells in rows -> array [ for cell in cells -> ofCell cell ] ] ]

    let private isSweep (value: obj) =
        let kind = value.GetType()
        kind.IsGenericType && kind.GetGenericTypeDefinition() = typedefof<Sweep<_>>

    /// <summary>Writes what a script ended in to a file. Called at the script's end, in F# Interactive.</summary>
    /// <param name="path">The file.</param>
    /// <param name="value">The value.</param>
    let write (path: string) (value: objnull) : unit =
        let answer =
            match value with
            | null -> object [ "other", text "unit" ]
            | :? Architecture as architecture -> object [ "architecture", ofArchitecture architecture ]
            | :? seq<Architecture> as several ->
                object
                    [ "architectures", array [ for architecture in several -> ofArchitecture architecture ] ]
            | sweep when isSweep sweep -> object [ "table", tableOf sweep ]
            | other -> object [ "other", text (string (other.GetType())) ]

        File.WriteAllText(path, answer.ToJsonString())

    /// Reads what was written.
    let read (path: string) : Answer =
        let answer = nonNull (JsonNode.Parse(File.ReadAllText path))

        let architecture (node: JsonNode) =
            SpecificationJson.Read(node.ToJsonString())

        let elements (node: JsonNode | null) =
            [ for element in (nonNull node).AsArray() -> element ]

        match answer["architecture"], answer["architectures"], answer["table"] with
        | NonNull one, _, _ -> Answer.Architecture(architecture one)
        | _, NonNull several, _ ->
            Answer.Architectures [ for one in elements several -> architecture (nonNull one) ]
        | _, _, NonNull table ->
            let columns =
                elements table["headings"]
                |> List.mapi (fun index heading ->
                    { Heading = (nonNull heading).GetValue<string>()
                      Of = fun (cells: Cell list) -> cells[index] })

            Answer.Table(
                elements table["rows"]
                |> List.map (elements >> List.map toCell)
                |> Sweep.over columns
            )
        | _ -> Answer.Other((nonNull answer["other"]).GetValue<string>())
