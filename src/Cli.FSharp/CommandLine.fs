namespace LocalAttention.Cli

open System.CommandLine
open System.CommandLine.Help
open System.CommandLine.Invocation
open System.IO

/// The whole program: its commands, and how a call of it ends.
[<RequireQualifiedAccess>]
module CommandLine =
    /// The commands, in the order in which help shows them.
    let commands: Command list =
        [ Commands.List.command
          Commands.Show.command
          Commands.Diff.command
          Commands.Sweep.command
          Commands.Train.command
          Commands.Predict.command
          Commands.Verify.command
          Commands.Forward.command
          Commands.Convert.command
          Commands.Bench.command
          Commands.Completion.command ]

    /// What all commands hang on.
    let root: RootCommand =
        let root =
            RootCommand
                "Local-attention vision models: look at them, compare, verify, train, convert and run them."

        root.Options.Add SharedOptions.json

        for command in commands do
            root.Subcommands.Add command

        for option in root.Options do
            match option with
            | :? HelpOption as help ->
                match help.Action with
                | :? HelpAction as usual -> help.Action <- HelpWithExamples usual
                | _ -> ()
            | _ -> ()

        root

    let private tell (json: bool) (output: TextWriter) (error: TextWriter) (failure: Refusal) =
        if json then
            output.WriteLine(
                Json.text
                    {| error = failure.Message
                       exitCode = failure.ExitCode |}
            )

        error.WriteLine $"localattention: {failure.Message}"
        failure.ExitCode

    /// Also where the command line is too wrong to be parsed.
    let private isJson (arguments: string list) =
        List.contains SharedOptions.json.Name arguments

    /// What is wrong with a command line, and what was probably meant.
    let private misused
        (arguments: string list)
        (parse: ParseResult)
        (output: TextWriter)
        (error: TextWriter)
        =
        let errors = parse.Errors |> Seq.map _.Message |> Seq.distinct |> List.ofSeq

        let noCommand =
            parse.UnmatchedTokens.Count > 0
            && obj.ReferenceEquals(parse.CommandResult.Command, root)

        // A command that is misspelt is not missing as well.
        let mistakes =
            match errors with
            | _ :: rest when noCommand && not rest.IsEmpty -> rest
            | all -> all

        let mistakes = String.concat System.Environment.NewLine mistakes

        let path =
            match parse.CommandResult.Command with
            | :? RootCommand -> "localattention --help"
            | command -> $"localattention {command.Name} --help"

        use corrections = new StringWriter()

        match parse.Action with
        | :? ParseErrorAction as action ->
            action.ShowHelp <- false

            parse.Invoke(InvocationConfiguration(Output = corrections, Error = TextWriter.Null))
            |> ignore
        | _ -> ()

        let code =
            { Message = mistakes
              ExitCode = ExitCode.Wrong }
            |> tell (isJson arguments) output error

        match corrections.ToString().Trim() with
        | "" -> ()
        | text -> error.WriteLine text

        error.WriteLine $"'{path}' says more."
        code

    /// <summary>Runs a command line.</summary>
    /// <param name="arguments">What stands behind the program's name.</param>
    /// <param name="output">Where results go.</param>
    /// <param name="error">Where everything else goes.</param>
    /// <returns>The exit code.</returns>
    let run (arguments: string list) (output: TextWriter) (error: TextWriter) : int =
        let parse = root.Parse(Array.ofList arguments)

        match parse.Action with
        | :? ParseErrorAction -> misused arguments parse output error
        | _ ->
            try
                parse.Invoke(
                    InvocationConfiguration(
                        Output = output,
                        Error = error,
                        EnableDefaultExceptionHandler = false,
                        ProcessTerminationTimeout = System.Nullable()
                    )
                )
            with problem ->
                Refusal.ofException problem |> tell (isJson arguments) output error
