/// Processes that are killed or interrupted in the middle of a training.
module LocalAttention.Training.Tests.Interruptions

open System
open System.IO
open System.Threading
open Expecto
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Child
open LocalAttention.Training.Tests.Files
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.Resumptions
open LocalAttention.Training.Tests.Runs
open TorchSharp

let private whole = lazy (uninterrupted tiny torch.ScalarType.Float32 options)

/// What a child said of its steps is what the uninterrupted training had.
let private sameLosses lines =
    for step, loss in losses lines do
        Expect.equal loss (fst whole.Value.steps[step]) $"the loss of step {step}"

let private isStep number (line: string) = line.StartsWith $"step {number} "

let private killed =
    testCase "killed between two checkpoints: the rest is what it would have been"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "training.safetensors")
        use child = start [ path; "2"; "5" ]
        let lines = linesUntil (isStep 5) child
        child.Kill()
        Expect.notEqual (ended child) 0 "it was killed"
        Expect.equal (losses lines |> List.map fst) [ 1L .. 5L ] "the steps until then"
        sameLosses lines
        Expect.equal (namesIn folder) [ "training.safetensors" ] "one file"
        goesOn whole.Value path 4L)

/// Nobody knows where the process is when it dies: in a step, in a file half written. One file is whole all the same,
/// and a second child takes it up.
let private killedAnywhere =
    testCase "killed anywhere, again and again"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "training.safetensors")
        let random = Random 5
        let mutable finished = false
        let mutable last = 0L

        for milliseconds in [ 0; 2; 5; random.Next 20; -1 ] do
            if not finished then
                use child = start [ path; "1"; "0" ]
                let next = last + 2L
                let lines = linesUntil (isStep next) child

                if milliseconds >= 0 then
                    Thread.Sleep milliseconds
                    child.Kill()

                let lines = lines @ linesUntil (fun _ -> false) child
                ended child |> ignore
                sameLosses lines
                finished <- List.contains "finished" lines

                if not (List.isEmpty (losses lines)) then
                    last <- losses lines |> List.map fst |> List.max

                // The file is at most the step behind whose report it is written after.
                use file = SafetensorsFile.Open path
                Expect.isNonEmpty file.Entries "tensors of the file"

        Expect.isTrue finished "the last child should end the training"
        use model = Checkpoint.Load path
        Expect.isTrue (bits model = whole.Value.parameters) "the parameters at the end, bit for bit")

let private interrupted =
    testCase "Ctrl-C: the step ends, a checkpoint is written, the process ends in good order"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "training.safetensors")
        use child = start [ path; "1000"; "4" ]
        let before = linesUntil (isStep 4) child
        send interrupt child
        let after = linesUntil (fun _ -> false) child
        Expect.equal (ended child) 0 "the exit status"
        Expect.equal after [ "signalled"; "cancelled" ] "what the child said"
        sameLosses before
        Expect.equal (namesIn folder) [ "training.safetensors" ] "one file"
        goesOn whole.Value path 4L)

let private interruptedTwice =
    testCase "Ctrl-C twice: the process ends at once, and the last checkpoint stays"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "training.safetensors")
        use child = start [ path; "2"; "5"; "stay" ]
        linesUntil (isStep 5) child |> ignore
        send interrupt child
        linesUntil ((=) "signalled") child |> ignore
        let clock = Diagnostics.Stopwatch.StartNew()
        send interrupt child
        let after = linesUntil (fun _ -> false) child
        Expect.notEqual (ended child) 0 "the exit status"
        Expect.isLessThan clock.Elapsed (TimeSpan.FromSeconds 20L) "the time until it ended"
        Expect.isEmpty after "nothing more is said"
        goesOn whole.Value path 4L)

/// The tests of this file.
let tests =
    testList "interruptions" [ killed; killedAnywhere; interrupted; interruptedTwice ]
