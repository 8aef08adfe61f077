namespace LocalAttention.Cli

open System
open System.Collections.Generic
open System.Runtime.InteropServices
open System.Threading
open LocalAttention.Core.Checkpoints

/// <summary>
/// Ctrl-C, and requests to terminate. A command that listens ends by itself; any other is ended at once. Either way no file
/// is left half written, and no child process is left alone.
/// </summary>
[<RequireQualifiedAccess>]
module Interruption =
    let private cleanups = LinkedList<unit -> unit>()
    let private listeners = Stack<CancellationTokenSource>()

    let private locked (action: unit -> 'result) = lock cleanups action

    /// Runs something if the process is ended by a signal before the result is disposed of: removes a folder, ends a child.
    let cleaning (cleanup: unit -> unit) : IDisposable =
        let node = locked (fun () -> cleanups.AddLast cleanup)

        { new IDisposable with
            member _.Dispose() =
                locked (fun () ->
                    if not (isNull node.List) then
                        cleanups.Remove node) }

    /// <summary>Runs work that ends by itself, in good order, once its token is cancelled; a second signal ends the process.</summary>
    /// <param name="work">What to run; raises <c>OperationCanceledException</c> or returns when it was cancelled.</param>
    let listening (work: CancellationToken -> 'result) : 'result =
        use source = new CancellationTokenSource()
        locked (fun () -> listeners.Push source)

        try
            work source.Token
        finally
            locked (fun () -> listeners.Pop() |> ignore)

    let private clean () =
        locked (fun () ->
            for cleanup in List.ofSeq cleanups do
                try
                    cleanup ()
                with _ ->
                    // The process is ending: what cannot be cleaned stays, and the rest is still cleaned.
                    ()

            cleanups.Clear())

        AtomicFile.RemoveUnfinished()

    let private handle (context: PosixSignalContext) =
        let listener =
            locked (fun () ->
                match listeners.TryPeek() with
                | true, source when not source.IsCancellationRequested -> Some source
                | _ -> None)

        match listener with
        | Some source ->
            context.Cancel <- true
            source.Cancel()
        | None ->
            clean ()

            // A progress bar hides the cursor.
            if not Console.IsErrorRedirected then
                Console.Error.Write "\u001b[?25h"

    /// Begins to watch for signals, for as long as the process lives.
    let watch () : IDisposable =
        let registrations =
            [ for signal in [ PosixSignal.SIGINT; PosixSignal.SIGTERM ] ->
                  PosixSignalRegistration.Create(signal, Action<PosixSignalContext> handle) ]

        { new IDisposable with
            member _.Dispose() =
                for registration in registrations do
                    registration.Dispose() }
