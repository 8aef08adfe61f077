/// Reads and writes beside a tensor: every tensor of a process of its own ends, or starts, at a page that no one may touch.
module LocalAttention.Kernels.Tests.Guard

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open Expecto
open LocalAttention.Core.Kernels
open LocalAttention.Core.Tests.Cases
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Kernels.Tests.Harness
open TorchSharp

/// The variable that the tensor engine reads when it is loaded.
let private variable = "LOCALATTENTION_GUARD"

/// The first argument of a process of its own.
let argument = "guarded"

/// What such a process does: the whole grid, forward and backward, at every width, in both precisions.
let private everything () =
    for case in Grid.all do
        for elementType in [ torch.ScalarType.Float32; torch.ScalarType.Float64 ] do
            use layer = build case
            layer.``to`` elementType |> ignore

            for width in widths do
                atWidth width (fun () -> Agreement.results Backend.FusedCpu layer case |> ignore)

    NeighbourhoodKernel.everything ()

/// One read behind, or before, the elements of a tensor: the process must not survive it.
let private trespass (offset: int) =
    use tensor = torch.zeros (1024L, dtype = torch.ScalarType.Float32)
    let elements = tensor.bytes
    let beside = Unsafe.Add(&MemoryMarshal.GetReference elements, offset)
    Console.Out.WriteLine beside

/// Runs as a process of its own.
let run (arguments: string list) =
    match arguments with
    | [ "everything" ] -> everything ()
    | [ "behind" ] -> trespass 4096
    | [ "before" ] -> trespass -4
    | _ -> failwith $"unknown work {arguments}"

    0

let private child side work =
    if (nonNull typeof<torch.Tensor>.Assembly.FullName).StartsWith "TorchSharp" then
        skiptest "TorchSharp allocates its tensors itself."

    if not (OperatingSystem.IsLinux() || OperatingSystem.IsMacOS()) then
        skiptest "Pages are protected on Linux and macOS alone."

    let program = nonNull Environment.ProcessPath

    let start =
        ProcessStartInfo(program, RedirectStandardOutput = true, RedirectStandardError = true)

    if Path.GetFileNameWithoutExtension program = "dotnet" then
        start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location)

    start.ArgumentList.Add argument
    start.ArgumentList.Add work
    start.Environment[variable] <- side
    // A crash is the expected end of some: no core files.
    start.Environment["DOTNET_DbgEnableMiniDump"] <- "0"
    use work = nonNull (Process.Start start)
    let errors = work.StandardError.ReadToEndAsync()
    let _ = work.StandardOutput.ReadToEnd()
    work.WaitForExit()
    work.ExitCode, errors.Result

let private side name =
    testCase $"nothing is read or written beyond the {name} of a tensor"
    <| fun () ->
        let code, errors = child name "everything"

        if code <> 0 then
            failtest $"the process ended with {code}: {errors}"

/// The tests of this file.
let tests =
    testList
        "guard"
        [ side "end"
          side "start"
          testCase "the guard notices a read behind a tensor"
          <| fun () -> Expect.notEqual (fst (child "end" "behind")) 0 "exit code"
          testCase "the guard notices a read before a tensor"
          <| fun () -> Expect.notEqual (fst (child "start" "before")) 0 "exit code" ]
