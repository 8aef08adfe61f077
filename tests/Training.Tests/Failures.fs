/// Expecting an exception of one type, and its text.
module LocalAttention.Training.Tests.Failures

open Expecto
open LocalAttention.Core.Checkpoints

/// The exception of exactly this type that an action throws.
let failure<'failure when 'failure :> exn> (action: unit -> unit) : 'failure =
    let thrown =
        try
            action ()
            None
        with other ->
            Some other

    match thrown with
    | Some(:? 'failure as expected) when expected.GetType() = typeof<'failure> -> expected
    | Some other -> failtest $"expected {typeof<'failure>.Name}, but there was {other}"
    | None -> failtest $"expected {typeof<'failure>.Name}, but nothing was thrown"

/// The action throws exactly this type with exactly this text.
let failsWith<'failure when 'failure :> exn> (text: string) (action: unit -> unit) =
    Expect.equal (failure<'failure> action).Message text "the text of the exception"

/// The action throws an argument exception of this text; the argument's name, which .NET adds, is left out.
let refused (text: string) (action: unit -> unit) =
    let message = (failure<System.ArgumentException> action).Message
    Expect.equal (message.Split(" (Parameter '")[0]) text "the text of the exception"

/// The action throws a `CheckpointException` for the path, with this text behind the path.
let damaged (path: string) (mistake: string) (action: unit -> unit) =
    let thrown = failure<CheckpointException> action
    Expect.equal thrown.Message $"{path}: {mistake}" "the text of the exception"
    Expect.equal thrown.Path path "the path of the exception"
    Expect.equal thrown.Mistake mistake "the mistake of the exception"
