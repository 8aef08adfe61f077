/// Another process of this program, to be killed and interrupted: a training that says each step as it takes it.
module LocalAttention.Training.Tests.Child

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Runtime.InteropServices
open System.Threading
open LocalAttention.Core.Backbones
open LocalAttention.Core.Training
open LocalAttention.Training.Tests.Models
open LocalAttention.Training.Tests.Runs

/// The first argument that makes this program a child.
[<Literal>]
let Mode = "--train-in-child"

[<DllImport("libc", EntryPoint = "kill")>]
extern int private signal(int pid, int number)

/// Linux's numbers.
let interrupt, private terminate = 2, 15

/// Sends a signal to a child.
let send number (child: Process) = signal (child.Id, number) |> ignore

/// Trains in this process: arguments are the checkpoint, the steps between two of them, and the step whose report
/// waits for the end of the process or for a signal; 0 for none.
let main (arguments: string array) =
    let path, every, waitAt = arguments[0], int arguments[1], int64 arguments[2]
    let training, evaluation = data.Value
    use interruption = new CancelOnInterrupt()

    let trainer =
        if File.Exists path then
            Trainer.Resume(path, training, evaluation)
        else
            let options = options.With(checkpointPath = path, checkpointEverySteps = every)
            new Trainer(tiny.Build(seed = 1L), training, evaluation, options)

    let hear (report: TrainingProgress) =
        if isNull (box report.Ended) then
            Console.Out.WriteLine $"step {report.StepsTaken} {BitConverter.DoubleToInt64Bits report.StepLoss}"
            Console.Out.Flush()

            if report.StepsTaken = waitAt then
                interruption.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds 60L) |> ignore
                Console.Out.WriteLine "signalled"
                Console.Out.Flush()

                // Whoever asks to be interrupted twice is not to wait for the end of the step.
                if arguments.Length > 3 then
                    Thread.Sleep(TimeSpan.FromSeconds 60L)

    let result = trainer.Run(listening hear, interruption.Token)
    Console.Out.WriteLine(if result.Cancelled then "cancelled" else "finished")
    0

/// Starts this program as a child.
let start (arguments: string list) =
    let self = Assembly.GetExecutingAssembly().Location

    let host =
        match Environment.ProcessPath with
        | null -> failwith "this process has no path"
        | path when Path.GetFileNameWithoutExtension path = "dotnet" -> path
        | _ -> "dotnet"

    let start =
        // Where this process was started with interruptions ignored, as shells do behind an `&`, the child hears them all the same.
        ProcessStartInfo(
            "env",
            "--default-signal=INT" :: host :: self :: Mode :: arguments,
            RedirectStandardOutput = true,
            UseShellExecute = false
        )

    match Process.Start start with
    | null -> failwith $"{host} did not start"
    | child -> child

/// The child's lines up to the first one that satisfies a condition, that one included; all, if none does.
let linesUntil condition (child: Process) =
    let rec read lines =
        match child.StandardOutput.ReadLine() with
        | null -> List.rev lines
        | line when condition line -> List.rev (line :: lines)
        | line -> read (line :: lines)

    read []

/// The steps and losses among a child's lines.
let losses (lines: string list) =
    [ for line in lines do
          match line.Split ' ' with
          | [| "step"; step; bits |] -> int64 step, BitConverter.Int64BitsToDouble(int64 bits)
          | _ -> () ]

/// Waits for a child's end; its exit status.
let ended (child: Process) =
    if not (child.WaitForExit(TimeSpan.FromSeconds 30L)) then
        child.Kill()
        failwith "the child did not end"

    child.ExitCode
