/// Scripts and programs as a user runs them: child processes in the repository, one at a time.
module LocalAttention.Dsl.Tests.Child

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto

/// The folder of the repository.
let repository =
    Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))

/// How a child ended, and what it wrote to its two outputs.
type Ended =
    { Code: int
      Output: string
      Error: string }

    /// Lines of the output without those that are empty.
    member this.Lines =
        this.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> Array.map _.TrimEnd()
        |> List.ofArray

/// Far more than any child needs on an idle machine; it only ends one that hangs.
let private longest = TimeSpan.FromMinutes 10.0

/// Two at a time would only wait for each other's processor.
let private oneAtATime = new SemaphoreSlim 1

/// Runs `dotnet` with arguments and a text for its standard input.
let dotnet (arguments: string list) (input: string) : Ended =
    let start =
        ProcessStartInfo(
            "dotnet",
            arguments,
            WorkingDirectory = repository,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    start.Environment["LOCALATTENTION_QUICK"] <- "1"
    start.Environment["DOTNET_NOLOGO"] <- "1"

    oneAtATime.Wait()

    try
        use child = new Process(StartInfo = start)
        child.Start() |> ignore
        let output = child.StandardOutput.ReadToEndAsync()
        let error = child.StandardError.ReadToEndAsync()
        child.StandardInput.Write input
        child.StandardInput.Close()

        if not (child.WaitForExit longest) then
            child.Kill true
            let line = String.Join(' ', arguments)
            failtest $"dotnet {line} has not ended after {longest}"

        { Code = child.ExitCode
          Output = output.Result
          Error = error.Result }
    finally
        oneAtATime.Release() |> ignore

/// Runs `dotnet` and expects that it ends well.
let succeeding (arguments: string list) (input: string) : Ended =
    let ended = dotnet arguments input

    if ended.Code <> 0 then
        let line = String.Join(' ', arguments)
        failtest $"dotnet {line} ended with {ended.Code}:\n{ended.Output}\n{ended.Error}"

    ended

/// Writes a script to a folder of its own for as long as `run` takes.
let withScript (text: string) (run: string -> 'result) : 'result =
    let folder = Directory.CreateTempSubdirectory "local-attention-scripts-"

    try
        let path = Path.Combine(folder.FullName, "script.fsx")
        File.WriteAllText(path, text)
        run path
    finally
        folder.Delete true

let private inRepository (name: string) =
    Path.Combine(repository, name).Replace("\\", "/")

let private language = inRepository "LocalAttention.fsx"

/// The directive with which a script anywhere loads the language.
let loading = $"#load \"{language}\""

/// The directive with which a script anywhere loads verification beside it.
let loadingVerification =
    let path = inRepository "LocalAttention.Verification.fsx"
    $"#load \"{path}\""

/// The argument with which a prompt opens the language.
let using = $"--use:{language}"
