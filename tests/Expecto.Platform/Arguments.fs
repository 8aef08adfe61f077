/// Splits a command line into Expecto's options and those left for the testing platform.
module internal Expecto.Arguments

open System
open System.Globalization

/// What follows an option's name.
type Parameter<'a> =
    | Nothing of 'a
    | Text of (string -> 'a)
    | Number of (float -> 'a)
    | Words of (string -> Result<string, string>) * (string list -> 'a)

/// An option: its name, what it does, and its parameter.
type Option<'a> =
    { name: string
      meaning: string
      parameter: Parameter<'a> }

/// What a command line says.
type Parsed<'a> =
    { known: 'a list
      others: string list
      errors: string list }

let private isOption (word: string) =
    word.StartsWith("--", StringComparison.Ordinal)

let private read option words =
    match option.parameter, words with
    | Nothing case, rest -> Ok(case, rest)
    | Text case, word :: rest when not (isOption word) -> Ok(case word, rest)
    | Number case, word :: rest when not (isOption word) ->
        match Double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, number -> Ok(case number, rest)
        | false, _ -> Error $"{option.name} needs a number, not '{word}'"
    | Words(check, case), rest ->
        let own = List.takeWhile (isOption >> not) rest

        let wrong =
            own
            |> List.choose (
                check
                >> (function
                | Ok _ -> None
                | Error text -> Some text)
            )

        if List.isEmpty wrong then
            Ok(case own, List.skip own.Length rest)
        else
            Error(option.name + ": " + String.concat ", " wrong)
    | (Text _ | Number _), _ -> Error $"{option.name} requires a parameter"

/// Reads the words from left to right; words that belong to no option of the table are kept in order.
let parse (options: Option<'a> list) (words: string seq) =
    let rec loop parsed words =
        match words with
        | [] -> parsed
        | word :: rest ->
            match List.tryFind (fun option -> option.name = word) options with
            | None ->
                loop
                    { parsed with
                        others = word :: parsed.others }
                    rest
            | Some option ->
                match read option rest with
                | Ok(case, rest) ->
                    loop
                        { parsed with
                            known = case :: parsed.known }
                        rest
                | Error text ->
                    loop
                        { parsed with
                            errors = text :: parsed.errors }
                        (List.skipWhile (isOption >> not) rest)

    let parsed = loop { known = []; others = []; errors = [] } (List.ofSeq words)

    { known = List.rev parsed.known
      others = List.rev parsed.others
      errors = List.rev parsed.errors }

/// The help text.
let usage (options: Option<'a> list) =
    let width = options |> List.map _.name.Length |> List.max

    let line option =
        "  " + option.name.PadRight width + "  " + option.meaning

    "Options of the tests:\n" + (options |> List.map line |> String.concat "\n")
