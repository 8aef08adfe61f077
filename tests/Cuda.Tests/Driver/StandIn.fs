/// A device of its own for each test: libraries that stand in for CUDA's, compiled from the sources beside this file, write
/// down how they are called and fail when they are told to.
module LocalAttention.Cuda.Tests.StandIn

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open Expecto
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open TorchSharp

let private newFolder () =
    Directory.CreateTempSubdirectory("localattention-cuda-").FullName

let private compile (source: string) (target: string) =
    let arguments =
        [ "-std=c++17"
          "-Wall"
          "-fPIC"
          "-shared"
          "-fvisibility=hidden"
          "-o"
          target ]

    let start =
        ProcessStartInfo(
            "g++",
            arguments @ [ Path.Combine(__SOURCE_DIRECTORY__, source) ],
            RedirectStandardError = true
        )

    use compiler = nonNull (Process.Start start)
    let errors = compiler.StandardError.ReadToEnd()
    compiler.WaitForExit()

    if compiler.ExitCode <> 0 then
        failwith $"{source} does not compile: {errors}"

/// Both libraries, compiled once in this process.
let private libraries =
    lazy
        (let folder = newFolder ()
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, true))
         let driver = Path.Combine(folder, "libcuda.so.1")
         let compiler = Path.Combine(folder, "libnvrtc.so")
         compile "StubDriver.cpp" driver
         compile "StubNvrtc.cpp" compiler
         driver, compiler)

/// A kernel's source and what it includes.
let sources = [ "Example.cu", "the kernels"; "Device.cuh", "what they include" ]

/// Sources by name.
let sourcesOf (texts: (string * string) list) =
    KernelSources [ for name, text in texts -> KeyValuePair(name, text) ]

/// One of the source's kernels.
let kernel (name: string) =
    CudaKernel("Example.cu", name, "ELEMENT=half WINDOW=3")

/// A launch's extent.
let grid = CudaGrid(5L, 2, 1, 64, 1000)

/// Launches a kernel.
let launch (device: ICudaDevice) (kernel: CudaKernel) (grid: CudaGrid) (arguments: CudaArgument list) =
    device.Launch(kernel, grid, ReadOnlySpan(Array.ofList arguments))

/// A pair of libraries in a folder of their own, with what they are told (`Stub.h`).
type StandIn(orders: string list) =
    let folder = newFolder ()
    let place (name: string) = Path.Combine(folder, name)

    do
        let driver, compiler = libraries.Value
        File.Copy(driver, place "libcuda.so.1")
        File.Copy(compiler, place "libnvrtc.so")
        File.WriteAllLines(place "orders", orders)

    /// The driver's file.
    member _.DriverFile = place "libcuda.so.1"

    /// The compiler's file.
    member _.CompilerFile = place "libnvrtc.so"

    /// A folder to keep things in.
    member _.Cache = place "cache"

    /// Tells the libraries something else.
    member _.Order(orders: string list) =
        File.WriteAllLines(place "orders", orders)

    /// All calls so far, in their order.
    member _.Calls =
        if File.Exists(place "calls") then
            List.ofArray (File.ReadAllLines(place "calls"))
        else
            []

    /// What was noted of the calls of a function.
    member this.CallsOf(name: string) =
        this.Calls
        |> List.filter (fun line -> line = name || line.StartsWith(name + " ", StringComparison.Ordinal))
        |> List.map (fun line -> line.Substring(name.Length).TrimStart())

    /// The driver, or why there is none.
    member _.TryDriver() =
        match CudaDriver.Load(place "libcuda.so.1") with
        | null, obstacle -> Error(nonNull obstacle)
        | driver, _ -> Ok driver

    /// The driver.
    member this.Driver() =
        match this.TryDriver() with
        | Ok driver -> driver
        | Error obstacle -> failwith obstacle

    /// The compiler.
    member this.Compiler() =
        match Nvrtc.Load(place "libnvrtc.so", this.Driver().Version) with
        | null, obstacle -> failwith $"{obstacle}"
        | compiler, _ -> compiler

    /// A device for tensors in main memory, of some sources, that keeps things in a folder.
    member this.Device(texts, cache: string | null, tunes) =
        DrivenDevice(this.Driver(), this.Compiler(), 0, sourcesOf texts, cache, tunes, DeviceType.CPU)

    /// A device that keeps nothing.
    member this.Device() = this.Device(sources, null, true)

    interface IDisposable with
        member _.Dispose() = Directory.Delete(folder, true)

/// The message of the error that a kernel or a device ends with.
let errorOf (body: unit -> unit) =
    try
        body ()
        failtest "no error"
    with :? CudaException as error ->
        error.Message

/// Holds a message to what it must say.
let says (parts: string list) (message: string) =
    for part in parts do
        Expect.stringContains message part "message"
