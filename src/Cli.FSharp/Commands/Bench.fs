/// <c>bench</c>: the measurements of <c>./bench.sh</c>.
module LocalAttention.Cli.Commands.Bench

open System
open System.CommandLine
open System.Diagnostics
open System.IO
open LocalAttention.Cli

/// The folder of the repository: the nearest one above that has the script.
let private repository () =
    let rec above (folder: DirectoryInfo | null) =
        match folder with
        | null -> None
        | folder when
            File.Exists(Path.Combine(folder.FullName, "bench.sh"))
            && File.Exists(Path.Combine(folder.FullName, "LocalAttention.Dsl.sln"))
            ->
            Some folder.FullName
        | folder -> above folder.Parent

    [ AppContext.BaseDirectory; Environment.CurrentDirectory ]
    |> List.tryPick (DirectoryInfo >> above)

/// What the script's exit status means here.
let private meaning (status: int) =
    match status with
    | ExitCode.Fine
    | ExitCode.Wrong
    | ExitCode.Interrupted -> status
    | _ -> ExitCode.Broken

/// The script, begun; what it writes comes here unless this process's own streams are where it goes.
let private started (root: string) (arguments: string list) (direct: bool) =
    ProcessStartInfo(
        Path.Combine(root, "bench.sh"),
        arguments,
        RedirectStandardOutput = not direct,
        RedirectStandardError = not direct
    )
    |> Process.Start
    |> nonNull

/// How the script's own messages begin.
let private mark = "bench: "

/// What the script writes on its way is handed on line by line; then its status, its output, and its message: the last line
/// that is marked as one, or else the last.
let private listened (root: string) (invocation: Invocation) (arguments: string list) =
    use child = started root arguments false
    use _ = Interruption.cleaning (fun () -> child.Kill true)
    let output = child.StandardOutput.ReadToEndAsync()
    let mutable message = ""
    let mutable line = child.StandardError.ReadLine()

    while not (isNull line) do
        let text = nonNull line
        invocation.Error.WriteLine text

        if text.StartsWith mark || (text.Trim() <> "" && not (message.StartsWith mark)) then
            message <- text

        line <- child.StandardError.ReadLine()

    child.WaitForExit()

    child.ExitCode,
    output.Result,
    (if message.StartsWith mark then
         message[mark.Length ..]
     else
         message)

/// The script did not do what was asked.
let private failed (status: int) (message: string) : exn =
    match meaning status with
    | ExitCode.Wrong -> InputException message
    | ExitCode.Interrupted -> OperationCanceledException()
    | _ -> IOException $"bench.sh ended with status {status}: {message}"

let private list = "--list"

/// <summary>Runs a repository's script with what the command line has for it.</summary>
/// <param name="root">The folder of the repository.</param>
/// <param name="invocation">The call.</param>
let internal runIn (root: string) (invocation: Invocation) : int =
    let given = List.ofSeq invocation.Parse.UnmatchedTokens

    if invocation.Json && given = [ list ] then
        match listened root invocation given with
        | 0, output, _ ->
            let names = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            invocation.Output.WriteLine(Json.text names)
            ExitCode.Fine
        | status, _, message -> raise (failed status message)
    elif invocation.Json then
        let status, output, message =
            listened root invocation (given @ [ SharedOptions.json.Name ])

        // For machines there is an answer, whatever becomes of it.
        if status <> 0 && output.Trim() = "" then
            raise (failed status message)

        invocation.Output.Write output
        meaning status
    elif obj.ReferenceEquals(invocation.Output, Console.Out) then
        use child = started root given true
        use _ = Interruption.cleaning (fun () -> child.Kill true)
        child.WaitForExit()
        meaning child.ExitCode
    else
        let status, output, _ = listened root invocation given
        invocation.Output.Write output
        meaning status

let private run (invocation: Invocation) =
    if invocation.Json && Seq.contains "--kernels" invocation.Parse.UnmatchedTokens then
        Refusal.wrong "--kernels has no JSON: BenchmarkDotNet writes its own files; leave out --json."

    match repository () with
    | Some root -> runIn root invocation
    | None ->
        Refusal.wrong
            "bench.sh is a part of the repository, which is neither here nor above this program; run it from a clone."

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "bench",
            "Measures ours and the peers in turns, as ./bench.sh does, which gets all other arguments: --quick, --only NAME, --list, --kernels.",
            [ "bench --quick", "in about two minutes"
              "bench --only 'slide*' --json", "some of it, for a script" ]
        )

    command.TreatUnmatchedTokensAsErrors <- false
    command.Runs run
    command
