namespace LocalAttention.Cli

open System
open System.IO
open System.Reflection
open System.Text.Json
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Core.Specification

/// What was given is wrong: the message names the value and what would be right. Ends the command with exit code 2.
exception InputException of message: string with
    /// The text.
    override this.Message = this.message

/// How a command ends that cannot do what was asked.
type Refusal =
    {
        /// For whoever reads it: what is wrong and what would be right.
        Message: string
        /// For scripts.
        ExitCode: int
    }

/// From exceptions to what the user is told.
[<RequireQualifiedAccess>]
module Refusal =
    /// <summary>Ends the command: what was given is wrong.</summary>
    /// <exception cref="T:LocalAttention.Cli.InputException">Always.</exception>
    let wrong (message: string) : 'result = raise (InputException message)

    /// The variable with which an unexpected failure shows its stack.
    let traceVariable = "LOCALATTENTION_TRACE"

    /// Where it is the machine, not what was given: a full disk, a folder that may not be written to.
    let rec private isMachine (error: exn) =
        match error with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? OutOfMemoryException -> true
        | :? CheckpointException
        | :? DataFileException ->
            match error.InnerException with
            | null -> false
            | inner -> isMachine inner
        | _ -> false

    /// An argument's message without the parameter's name, which says nothing to who gave no parameter.
    let private withoutParameter (error: ArgumentException) =
        match error.ParamName with
        | null -> error.Message
        | parameter -> error.Message.Replace($" (Parameter '{parameter}')", "")

    /// What an exception means to the user.
    let rec ofException (error: exn) : Refusal =
        match error with
        | InputException message ->
            { Message = message
              ExitCode = ExitCode.Wrong }
        | :? OperationCanceledException ->
            { Message = "interrupted"
              ExitCode = ExitCode.Interrupted }
        | :? AggregateException as several when several.InnerExceptions.Count = 1 ->
            ofException several.InnerExceptions[0]
        | :? TargetInvocationException as outer when not (isNull outer.InnerException) ->
            ofException (nonNull outer.InnerException)
        | _ when isMachine error ->
            { Message = error.Message
              ExitCode = ExitCode.Broken }
        | :? SpecificationException
        | :? CheckpointException
        | :? DataFileException
        | :? NotSupportedException
        | :? JsonException ->
            { Message = error.Message
              ExitCode = ExitCode.Wrong }
        | :? ArgumentException as argument ->
            { Message = withoutParameter argument
              ExitCode = ExitCode.Wrong }
        | _ ->
            let trace =
                if Environment.GetEnvironmentVariable traceVariable = "1" then
                    $"{Environment.NewLine}{error}"
                else
                    $"; {traceVariable}=1 shows where"

            { Message = $"unexpected: {error.Message} ({error.GetType().Name}){trace}"
              ExitCode = ExitCode.Broken }
