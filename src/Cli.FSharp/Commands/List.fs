/// <c>list</c>: the models of the zoo.
module LocalAttention.Cli.Commands.List

open System.CommandLine
open LocalAttention.Cli
open LocalAttention.Core.Backbones
open LocalAttention.Dsl

let private pattern =
    Argument<string>(
        "PATTERN",
        Description = "Which names: * stands for any letters, ? for one. Left out: all.",
        DefaultValueFactory = (fun _ -> "*")
    )

let private entry (entry: ZooEntry) =
    {| name = entry.Name
       family = entry.Family.Title
       parameters = parameters entry.Architecture
       trainableParameters = trainableParameters entry.Architecture
       macs = (macs entry.Architecture).Total
       macsMerged = (macsMerged entry.Architecture).Total
       height = entry.Architecture.Resolution.Height
       width = entry.Architecture.Resolution.Width
       paper =
        {| arXiv = entry.Family.Paper
           parametersM = entry.Paper.ParametersM
           gFlops = entry.Paper.GFlops
           top1 = entry.Paper.Top1 |}
       source = entry.Source
       note = entry.Note |}

let private run (invocation: Invocation) =
    let pattern = invocation.Value pattern

    match Zoo.find pattern with
    | [] when pattern |> Seq.exists (fun letter -> letter = '*' || letter = '?') ->
        Refusal.wrong $"No name of the zoo matches '{pattern}'; 'localattention list' has all of them."
    | [] ->
        Refusal.wrong
            $"No name of the zoo matches '{pattern}'; {(LocalAttention.Core.Backbones.Zoo.Missing pattern).Remedy}."
    | entries ->
        invocation.Answer((fun () -> entries |> List.map entry), (fun () -> Printing.zoo entries))
        ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "list",
            "The models of the zoo: parameters, multiply-accumulates, and what their papers say.",
            [ "list 'slide-*'", "every Slide model, family by family"
              "list --json", "all models, for a script" ]
        )

    command.Arguments.Add pattern
    command.Runs run
    command
