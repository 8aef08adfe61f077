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

/// <summary>Runs a repository's script.</summary>
/// <param name="root">The folder of the repository.</param>
/// <param name="invocation">Where its outputs go.</param>
/// <param name="arguments">What it is given.</param>
let internal runIn (root: string) (invocation: Invocation) (arguments: string list) : int =
    let direct = obj.ReferenceEquals(invocation.Output, Console.Out)

    let start =
        ProcessStartInfo(
            Path.Combine(root, "bench.sh"),
            arguments,
            RedirectStandardOutput = not direct,
            RedirectStandardError = not direct
        )

    use child = nonNull (Process.Start start)
    use _ = Interruption.cleaning (fun () -> child.Kill true)

    if not direct then
        let error = child.StandardError.ReadToEndAsync()
        invocation.Output.Write(child.StandardOutput.ReadToEnd())
        invocation.Error.Write error.Result

    child.WaitForExit()
    meaning child.ExitCode

let private run (invocation: Invocation) =
    match repository () with
    | Some root ->
        let json = if invocation.Json then [ SharedOptions.json.Name ] else []
        runIn root invocation (List.ofSeq invocation.Parse.UnmatchedTokens @ json)
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
