/// Memory that code without `Dispose` uses: peaks of processes of their own.
module LocalAttention.Tests.Memory

open System
open System.Diagnostics
open System.Globalization
open System.IO
open System.Reflection
open Expecto
open LocalAttention.Tests.Values

/// This program again, with other arguments.
let private again arguments =
    let program = nonNull Environment.ProcessPath
    let start = ProcessStartInfo(program, RedirectStandardOutput = true)

    if Path.GetFileNameWithoutExtension program = "dotnet" then
        start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location)

    List.iter start.ArgumentList.Add arguments
    start

/// By how many MiB the load raises the peak of a process.
let private growth load =
    onlyOwnEngine "TorchSharp leaves native memory to Dispose."

    if not MemoryLoads.isMeasured then
        skiptest "Only Linux tells a process its peak."

    use child = nonNull (Process.Start(again [ "memory"; load ]))
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()
    Expect.equal child.ExitCode 0 $"exit code of the load {load}"
    float (Int64.Parse(output.Trim(), CultureInfo.InvariantCulture)) / 1024.0

/// In MiB, for a million tensors after the first 300 000. A tensor of sixteen numbers takes some 700 bytes: its numbers,
/// two headers of libtorch's, a .NET object with its finaliser. Left alone a million add more than 600 MiB. Disposed
/// ones free theirs at once; unreachable ones are collected whenever 100 000 of them, 70 MB, have gathered, which the
/// first 300 000 have shown thrice. What may come on top is the collector's and the allocator's fragmentation.
let private bound = 48.0

let tests =
    testList
        "memory"
        [ test "a million tensors that nobody disposes do not pile up" {
              Expect.isLessThan (growth "tensors-dropped") bound "MiB"
          }
          test "a million tensors that are disposed leave nothing behind" {
              Expect.isLessThan (growth "tensors-disposed") bound "MiB"
          }
          test "training without Dispose peaks at most half above training with it" {
              let dropped, disposed = growth "training-dropped", growth "training-disposed"
              Expect.isLessThan dropped (1.5 * disposed) $"{dropped} MiB without, {disposed} MiB with"
          } ]
