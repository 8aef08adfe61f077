namespace LocalAttention.Cli

open System
open System.ComponentModel
open System.Diagnostics
open System.IO

/// <summary>
/// Scripts, run by F# Interactive in a process of its own. The language is there without a <c>#load</c>; one that loads it all
/// the same may.
/// </summary>
[<RequireQualifiedAccess>]
module Scripts =
    /// What scripts may use: those of them that stand beside this program.
    let private assemblies =
        [ "Torch.CSharp.dll"
          "TorchSharp.dll"
          "LocalAttention.Core.dll"
          "LocalAttention.Dsl.dll"
          "FsCheck.dll"
          "LocalAttention.Verification.dll" ]

    let private references () =
        [ for assembly in assemblies do
              let path = Path.Combine(AppContext.BaseDirectory, assembly)

              if File.Exists path then
                  $"-r:{path}"
          // This program itself, for what reads the script's end.
          $"-r:{typeof<Answer>.Assembly.Location}" ]

    /// The program that runs this one, if it is the one that can run scripts.
    let private dotnet () =
        match Environment.GetEnvironmentVariable "DOTNET_HOST_PATH", Environment.ProcessPath with
        | NonNull host, _ when host <> "" -> host
        | _, NonNull self when Path.GetFileNameWithoutExtension self = "dotnet" -> self
        | _ -> "dotnet"

    let private started (start: ProcessStartInfo) =
        try
            nonNull (Process.Start start)
        with :? Win32Exception as error ->
            raise (
                IOException(
                    $"Scripts are run by 'dotnet fsi' of the .NET SDK, which cannot be started: {error.Message}"
                )
            )

    /// Text as a literal of F#.
    let literal (text: string) : string =
        "@\"" + text.Replace("\"", "\"\"") + "\""

    /// <summary>Runs a script, and behind it a last piece of F# in which <c>it</c> is the value that the script ended in.</summary>
    /// <param name="invocation">Where the script's output goes: to the standard error.</param>
    /// <param name="path">The script.</param>
    /// <param name="last">The last piece, given the path of a file that it should write.</param>
    /// <param name="read">Reads that file, which is gone afterwards.</param>
    /// <exception cref="T:LocalAttention.Cli.InputException">The script does not compile, fails, or ends in no value.</exception>
    let run
        (invocation: Invocation)
        (path: string)
        (last: string -> string)
        (read: string -> 'result)
        : 'result =
        if not (File.Exists path) then
            Refusal.wrong $"There is no script '{path}'."

        let folder = Directory.CreateTempSubdirectory "localattention-"
        let remove () = folder.Delete true
        use _ = Interruption.cleaning remove

        try
            let answer = Path.Combine(folder.FullName, "answer.json")
            let ending = Path.Combine(folder.FullName, "end.fsx")
            File.WriteAllText(ending, last answer)

            let start =
                ProcessStartInfo(
                    dotnet (),
                    [ "fsi"; "--quiet"; "--nologo"; "--exec" ]
                    @ references ()
                    @ [ $"--use:{Path.GetFullPath path}"; $"--use:{ending}" ],
                    RedirectStandardInput = true,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true
                )

            let messages, code =
                invocation.While(
                    $"running {path}",
                    fun () ->
                        use child = started start
                        use _ = Interruption.cleaning (fun () -> child.Kill true)
                        child.StandardInput.Close()
                        let messages = child.StandardError.ReadToEndAsync()

                        // What a script prints is for its reader; the standard output is the command's.
                        let mutable line = child.StandardOutput.ReadLine()

                        while not (isNull line) do
                            invocation.Note(nonNull line)
                            line <- child.StandardOutput.ReadLine()

                        child.WaitForExit()
                        messages.Result.Trim(), child.ExitCode
                )

            if File.Exists answer then
                if messages <> "" then
                    invocation.Note messages

                read answer
            elif messages.Contains ending then
                Refusal.wrong $"{path}: the script ends in no value; its last line should be an expression."
            elif messages <> "" then
                Refusal.wrong $"{path}: F# Interactive says:{Environment.NewLine}{messages}"
            else
                Refusal.wrong $"{path}: the script ended with status {code} before its last line."
        finally
            remove ()

    /// <summary>Runs a script and reads what it ended in.</summary>
    /// <exception cref="T:LocalAttention.Cli.InputException">The script does not compile, fails, or ends in no value.</exception>
    let answer (invocation: Invocation) (path: string) : Answer =
        run
            invocation
            path
            (fun file -> $"LocalAttention.Cli.Answers.write {literal file} (box it)")
            Answers.read
