/// Processes of this program that are interrupted: what they leave behind.
module LocalAttention.Cli.Tests.Interrupting

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Runtime.InteropServices
open System.Threading
open Expecto
open LocalAttention.Cli
open LocalAttention.Cli.Tests.Calls
open LocalAttention.Core.Checkpoints

/// The first argument that makes this program a child.
[<Literal>]
let Mode = "--interrupted-child"

[<DllImport("libc", EntryPoint = "kill")>]
extern int private signal(int pid, int number)

/// In the child: in the middle of a file, or of work that listens.
let main (arguments: string array) : int =
    use _ = Interruption.watch ()

    match arguments[0] with
    | "writing" ->
        AtomicFile.Write(
            arguments[1],
            0L,
            fun stream ->
                stream.Write(Array.zeroCreate 100_000, 0, 100_000)
                Console.Out.WriteLine "ready"
                Thread.Sleep(TimeSpan.FromSeconds 60L)
        )

        0
    | _ ->
        Interruption.listening (fun token ->
            Console.Out.WriteLine "ready"
            token.WaitHandle.WaitOne(TimeSpan.FromSeconds 60L) |> ignore
            File.WriteAllText(arguments[1], "ended in good order"))

        ExitCode.Interrupted

/// The child's exit status after a signal that is sent once it is ready.
let private interrupted (arguments: string list) (number: int) =
    let start =
        // Where this process was started with interruptions ignored, as shells do behind an `&`, the child hears them all the same.
        ProcessStartInfo(
            "env",
            [ "--default-signal=INT"
              "dotnet"
              Assembly.GetExecutingAssembly().Location
              Mode ]
            @ arguments,
            RedirectStandardOutput = true
        )

    use child = nonNull (Process.Start start)
    Expect.equal (child.StandardOutput.ReadLine()) "ready" "the child began"
    signal (child.Id, number) |> ignore

    if not (child.WaitForExit(TimeSpan.FromSeconds 30L)) then
        child.Kill()
        failtest "the child has not ended"

    child.ExitCode

/// The tests of this file.
let tests =
    testList
        "interrupting"
        [ for name, number, status in [ "Ctrl-C", 2, 130; "a request to terminate", 15, 143 ] do
              testCase $"{name} in the middle of a file: the old one stays, and nothing beside it"
              <| inFolder (fun folder ->
                  let path = file folder "old.bin"
                  File.WriteAllText(path, "old")
                  Expect.equal (interrupted [ "writing"; path ] number) status "the exit status"
                  Expect.equal (namesIn folder) [ "old.bin" ] "the files"
                  Expect.equal (File.ReadAllText path) "old" "the old content")

          testCase "work that listens ends by itself"
          <| inFolder (fun folder ->
              let path = file folder "said.txt"
              Expect.equal (interrupted [ "listening"; path ] 2) 130 "the exit status"
              Expect.equal (File.ReadAllText path) "ended in good order" "what it did at the end") ]
