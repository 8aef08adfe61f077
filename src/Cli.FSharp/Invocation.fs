namespace LocalAttention.Cli

open System
open System.CommandLine
open System.IO
open System.Text.Encodings.Web
open System.Text.Json
open System.Text.Json.Nodes
open System.Text.Json.Serialization
open Spectre.Console

/// How results are written for machines.
[<RequireQualifiedAccess>]
module Json =
    /// Names in camel case, indented; letters beyond ASCII as they are; what is not there is left out.
    let options: Lazy<JsonSerializerOptions> =
        lazy
            (JsonSerializerOptions(
                WriteIndented = true,
                PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
                Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
                DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals
            ))

    /// A value, an anonymous record for example, as JSON text.
    let text (value: 'value) : string =
        JsonSerializer.Serialize(value, options.Value)

    /// JSON text as a part of a larger value.
    let node (json: string) : JsonNode = nonNull (JsonNode.Parse json)

/// Options that every command has.
[<RequireQualifiedAccess>]
module SharedOptions =
    /// One JSON value on the standard output, and nothing else.
    let json: Option<bool> =
        Option<bool>(
            "--json",
            Recursive = true,
            DefaultValueFactory = (fun _ -> false),
            Description = "Write one JSON value to standard output, and nothing else; errors too."
        )

/// <summary>One call of a command: what was given to it, and where its result goes.</summary>
/// <param name="parse">The command line, parsed.</param>
type Invocation(parse: ParseResult) =
    /// The command line, parsed.
    member _.Parse: ParseResult = parse

    /// The value of an option that must be given or has a default.
    member _.Value(option: Option<'value>) : 'value = parse.GetRequiredValue option

    /// The value of an argument.
    member _.Value(argument: Argument<'value>) : 'value = parse.GetRequiredValue argument

    /// The text of an option, if it was given.
    member _.Text(option: Option<string>) : string option =
        match parse.GetValue option with
        | null -> None
        | text -> Some text

    /// Whether an option was given.
    member _.Has(option: Option) : bool =
        match parse.GetResult option with
        | null -> false
        | result -> not result.Implicit

    /// Whether the standard output is for a machine: one JSON value and nothing else.
    member _.Json: bool = parse.GetRequiredValue SharedOptions.json

    /// Where results go.
    member _.Output: TextWriter = parse.InvocationConfiguration.Output

    /// Where everything else goes.
    member _.Error: TextWriter = parse.InvocationConfiguration.Error

    /// Whether somebody looks at the standard error: only then is progress shown there.
    member this.ErrorIsTerminal: bool =
        obj.ReferenceEquals(this.Error, Console.Error) && not Console.IsErrorRedirected

    /// A console on the standard error for progress; it draws nothing where that is no terminal.
    member this.Progress: IAnsiConsole =
        let support =
            if this.ErrorIsTerminal then
                InteractionSupport.Detect
            else
                InteractionSupport.No

        AnsiConsole.Create(AnsiConsoleSettings(Out = AnsiConsoleOutput this.Error, Interactive = support))

    /// <summary>Writes the result: as JSON where that is asked for, as text otherwise.</summary>
    /// <param name="value">The result for machines, mostly an anonymous record.</param>
    /// <param name="text">The result for readers.</param>
    member this.Answer(value: unit -> 'value, text: unit -> string) : unit =
        this.Output.WriteLine(if this.Json then Json.text (value ()) else text ())

    /// A line on the standard error, for readers.
    member this.Note(text: string) : unit = this.Error.WriteLine text

    /// <summary>Runs something long with a spinner on the standard error, if that is a terminal.</summary>
    /// <param name="doing">What is being done.</param>
    /// <param name="work">What to run.</param>
    member this.While(doing: string, work: unit -> 'result) : 'result =
        if this.ErrorIsTerminal then
            this.Progress.Status().Start(Markup.Escape doing, (fun _ -> work ()))
        else
            work ()

/// Tables for readers.
[<RequireQualifiedAccess>]
module Tables =
    /// <summary>A table as text, as wide as it needs to be; columns of numbers stand right.</summary>
    /// <param name="headings">The headings; one that begins with <c>&gt;</c> stands right, without that mark.</param>
    /// <param name="rows">Rows of cells.</param>
    let text (headings: string list) (rows: string list list) : string =
        let table = Table().SquareBorder()

        for heading in headings do
            let column = TableColumn(Markup.Escape(heading.TrimStart '>')).NoWrap()

            table.AddColumn(
                if heading.StartsWith '>' then
                    column.RightAligned()
                else
                    column
            )
            |> ignore

        for row in rows do
            table.AddRow([| for cell in row -> Markup.Escape cell |]) |> ignore

        use writer = new StringWriter()

        let console =
            AnsiConsole.Create(
                AnsiConsoleSettings(
                    Out = AnsiConsoleOutput writer,
                    Ansi = AnsiSupport.No,
                    ColorSystem = ColorSystemSupport.NoColors,
                    Interactive = InteractionSupport.No
                )
            )

        // Wrapping is the terminal's business: text that is piped on stays whole.
        console.Profile.Width <- 10_000
        console.Profile.Capabilities.Unicode <- true
        console.Write table
        writer.ToString().TrimEnd()
