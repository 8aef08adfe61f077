/// <c>verify</c>: asks the questions of LocalAttention.Verification of a model, or of what a script ends in.
module LocalAttention.Cli.Commands.Verify

open System
open System.CommandLine
open System.Text
open LocalAttention.Cli
open LocalAttention.Core.Checkpoints
open LocalAttention.Verification

let private subject = Arguments.model "MODEL|SCRIPT"

let private cases =
    Option<int>(
        "--cases",
        HelpName = "COUNT",
        Description = "Random cases of each property.",
        DefaultValueFactory = fun _ -> Verify.settings.Cases
    )

let private seed =
    Option<int64>(
        "--seed",
        HelpName = "NUMBER",
        Description = "What all cases follow from: the same seed asks the same again.",
        DefaultValueFactory = fun _ -> Verify.settings.Seed
    )

let private names = Verify.properties |> List.map _.Name

let private property =
    Option<string array>(
        "--property",
        HelpName = "NAME",
        Description = "Ask this alone, or these. Left out: all there are.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = fun _ -> [||]
    )

let private html =
    Arguments.text "--html" "FILE" "Write the report as one HTML page as well, with pictures."

/// What is asked; wrong names are refused with the right ones.
let private asked (invocation: Invocation) : Questions =
    let cases = invocation.Value cases
    let chosen = List.ofArray (invocation.Value property)

    if cases < 1 then
        Refusal.wrong $"--cases is {cases}; it must be 1 or more."

    for name in chosen do
        if not (List.contains name names) then
            let known = String.concat "', '" names
            Refusal.wrong $"There is no property '{name}'; there are '{known}'."

    { Cases = cases
      Seed = invocation.Value seed
      Properties = chosen }

let private write (path: string) (text: string) =
    let bytes = UTF8Encoding(false).GetBytes text
    AtomicFile.Write(path, bytes.LongLength, fun stream -> stream.Write(ReadOnlySpan bytes))

let private run (invocation: Invocation) =
    let given = invocation.Value subject
    let questions = asked invocation

    let reports =
        if given.EndsWith(".fsx", StringComparison.OrdinalIgnoreCase) then
            Scripts.run invocation given (Questions.inScript questions) Questions.read
        else
            let model = Models.resolve invocation given
            invocation.While("verifying", (fun () -> Questions.ask questions model))

    match invocation.Text html with
    | Some path -> write path reports.Html
    | None -> ()

    invocation.Output.WriteLine(if invocation.Json then reports.Json else reports.Text)
    if reports.IsSound then ExitCode.Fine else ExitCode.Failed

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "verify",
            "Asks whether a model is right: equivariance, locality, gradients, agreement of backends and more. Exit code 1 and the smallest counterexample found, where it is not.",
            [ "verify slide-swin-tiny --property equivariance locality", "two questions to a model"
              "verify samples/broken.fsx --html report.html",
              "what a script ends in, the report with pictures"
              "verify mine.fsx --cases 200 --seed 7", "look harder, from another start" ]
        )

    command.Arguments.Add subject

    for option in [ cases :> Option; seed; property; html ] do
        command.Options.Add option

    command.Runs run
    command
