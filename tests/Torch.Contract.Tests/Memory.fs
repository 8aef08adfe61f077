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

/// In MiB, for a million tensors of sixteen numbers. Each takes some 650 bytes of native memory, for the numbers and
/// libtorch's two headers of them: a million that are never freed add 600 MiB and more. Those that are disposed give
/// theirs back at once. Unreachable ones are collected when some ten thousands have gathered, 20 MiB; but the finaliser
/// frees them on a thread of its own, which leaves gaps in the C library's heaps: 70 to 130 MiB, measured, until they
/// fill up.
let private smallBound = 200.0

/// In MiB, what the engine lets unreachable tensors hold before it collects them, however small the load.
let private alwaysTolerated = 32.0

let tests =
    testList
        "memory"
        [ test "a million small tensors that nobody disposes do not pile up" {
              Expect.isLessThan (growth "small-dropped") smallBound "MiB"
          }
          test "a second million that are disposed leaves next to nothing behind" {
              Expect.isLessThan (growth "small-disposed") alwaysTolerated "MiB"
          }
          test "large tensors are collected by their bytes, not by the size of their .NET objects" {
              // 20 000 tensors of 64 KiB are 1250 MiB; the collector alone would not wake up before.
              Expect.isLessThan (growth "large-dropped") (2.0 * alwaysTolerated) "MiB"
          }
          test "training without Dispose peaks at most half above training with it" {
              let dropped, disposed = growth "training-dropped", growth "training-disposed"

              Expect.isLessThan
                  dropped
                  (1.5 * disposed + alwaysTolerated)
                  $"{dropped} MiB without, {disposed} MiB with"
          } ]
