/// <c>diff</c>: what differs between two models.
module LocalAttention.Cli.Commands.Diff

open System.CommandLine
open LocalAttention.Cli
open LocalAttention.Dsl

let private before = Arguments.model "A"
let private after = Arguments.model "B"

let private property (change: PropertyChange) =
    {| property = change.Property
       before = change.Before
       after = change.After |}

let private place (place: PlaceDifference) =
    let added, removed, changed =
        match place.Change with
        | PartAdded part -> Some part, None, []
        | PartRemoved part -> None, Some part, []
        | PartChanged changes -> None, None, changes

    {| place = place.Place
       added = added
       removed = removed
       changed = changed |> List.map property
       parameters = place.Parameters
       macs = place.MultiplyAccumulates |}

let private value (difference: Difference) =
    {| before = difference.Before.Name
       after = difference.After.Name
       equal = difference.IsEmpty
       whole = difference.Whole |> List.map property
       places = difference.Places |> List.map place
       parameters = difference.Parameters
       macs = difference.MultiplyAccumulates |}

let private run (invocation: Invocation) =
    let resolved (argument: Argument<string>) =
        (Models.resolve invocation (invocation.Value argument)).Architecture

    let difference = differences (resolved before) (resolved after)
    invocation.Answer((fun () -> value difference), (fun () -> Printing.difference difference))
    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "diff",
            "What differs between two models, place by place, in properties, parameters and multiply-accumulates.",
            [ "diff swin-tiny slide-swin-tiny", "what the Slide paper changed"
              "diff nat-mini mine.json", "a model of the zoo and one of yours" ]
        )

    command.Arguments.Add before
    command.Arguments.Add after
    command.Runs run
    command
