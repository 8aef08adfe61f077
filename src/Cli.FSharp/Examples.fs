namespace LocalAttention.Cli

open System
open System.CommandLine
open System.CommandLine.Help
open System.CommandLine.Invocation

/// A command line that can be copied, and what it does.
type Example =
    {
        /// Everything behind <c>localattention</c>.
        Arguments: string
        /// What it does, in a few words.
        Meaning: string
    }

/// <summary>A command whose help ends in examples.</summary>
/// <param name="name">Its name.</param>
/// <param name="description">What it does, in a sentence or two.</param>
/// <param name="examples">Command lines without <c>localattention</c>, and what they do.</param>
type ExampledCommand(name: string, description: string, examples: (string * string) list) =
    inherit Command(name, description)

    /// Its examples.
    member _.Examples: Example list =
        [ for arguments, meaning in examples ->
              { Arguments = arguments
                Meaning = meaning } ]

    /// <summary>What it does when it is called. Exceptions become messages and exit codes: see <c>Refusal</c>.</summary>
    /// <param name="action">From the call to the exit code.</param>
    member this.Runs(action: Invocation -> int) : unit =
        this.SetAction(fun (parse: ParseResult) -> action (Invocation parse))

/// Help: the usual one, then examples, and for the whole program the exit codes.
type internal HelpWithExamples(usual: HelpAction) =
    inherit SynchronousCommandLineAction()

    override _.ClearsParseErrors = true

    override _.Invoke(parse: ParseResult) : int =
        usual.MaxWidth <- 120
        let result = usual.Invoke parse
        let output = parse.InvocationConfiguration.Output

        let examples =
            match parse.CommandResult.Command with
            | :? ExampledCommand as command -> command.Examples
            | :? RootCommand as root ->
                [ for command in root.Subcommands do
                      match command with
                      | :? ExampledCommand as command -> yield! List.truncate 1 command.Examples
                      | _ -> () ]
            | _ -> []

        if not examples.IsEmpty then
            output.WriteLine "Examples:"

            for example in examples do
                output.WriteLine $"  localattention {example.Arguments}"
                output.WriteLine $"      {example.Meaning}"

            output.WriteLine()

        if parse.CommandResult.Command :? RootCommand then
            output.WriteLine "Exit codes:"

            for code, meaning in ExitCode.meanings do
                output.WriteLine $"  {code, -5}{meaning}"

            output.WriteLine()

        result
