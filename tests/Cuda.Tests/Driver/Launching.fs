/// What reaches the driver when a kernel is launched.
module LocalAttention.Cuda.Tests.Launching

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Threading
open Expecto
open FsCheck
open FSharp.NativeInterop
open LocalAttention.Core.Kernels.Cuda
open LocalAttention.Core.Kernels.Cuda.Driver
open LocalAttention.Cuda.Tests.StandIn
open TorchSharp

#nowarn "9" // Addresses of tensors' elements.

let private addressOf (tensor: torch.Tensor) =
    let elements = tensor.bytes
    let first = Unsafe.AsPointer(&MemoryMarshal.GetReference elements)
    NativePtr.toNativeInt (NativePtr.ofVoidPtr<byte> first)

let private parametersOf (line: string) =
    let text =
        line.Substring(line.IndexOf("parameters=", StringComparison.Ordinal) + 11)

    List.ofArray (text.Split(',', StringSplitOptions.RemoveEmptyEntries))

let private single (value: float32) : CudaArgument = CudaArgument.op_Implicit value
let private int32Of (value: int) : CudaArgument = CudaArgument.op_Implicit value
let private int64Of (value: int64) : CudaArgument = CudaArgument.op_Implicit value

let private parameters =
    testList
        "parameters"
        [ testCase "a launch has the blocks, threads, shared memory, stream and device that were asked for"
          <| fun () ->
              use standIn = new StandIn([])
              launch (standIn.Device()) (kernel "scale") (CudaGrid(70000L, 3, 2, 96, 4096)) []

              Expect.equal
                  (standIn.CallsOf "cuLaunchKernel")
                  [ "scale device=0 grid=70000,3,2 block=96,1,1 shared=4096 stream=0 extra=0 parameters=" ]
                  "launches"
          testCase "tensors arrive as the addresses of their first elements, none as a null pointer"
          <| fun () ->
              use standIn = new StandIn([ "parameters scale 8 8 8 8" ])
              use whole = torch.zeros (4L, 6L)
              use part = whole.narrow (0, 2, 2)
              use bytes = torch.zeros (3L, dtype = torch.ScalarType.BFloat16)
              use empty = torch.zeros 0L

              launch
                  (standIn.Device())
                  (kernel "scale")
                  grid
                  [ CudaArgument.Read part
                    CudaArgument.Write bytes
                    CudaArgument.Read null
                    CudaArgument.Read empty ]

              let line = List.exactlyOne (standIn.CallsOf "cuLaunchKernel")

              let expected =
                  [ addressOf whole + 2n * 6n * 4n; addressOf bytes; 0n ]
                  |> List.map (fun address -> (int64 address).ToString "x16")

              Expect.equal (List.take 3 (parametersOf line)) expected "addresses"
          testPropertyWithConfig
              { FsCheckConfig.defaultConfig with
                  maxTest = 30 }
              "numbers arrive bit for bit"
          <| fun (a: int) (b: int64) (c: float32) (DoNotSize(d: int64)) ->
              use standIn = new StandIn([ "parameters scale 4 8 4 8 4" ])
              let device = standIn.Device()
              launch device (kernel "scale") grid [ int32Of a; int64Of b; single c; int64Of d; single -0.0f ]

              let expected =
                  [ a.ToString "x8"
                    b.ToString "x16"
                    (BitConverter.SingleToUInt32Bits c).ToString "x8"
                    d.ToString "x16"
                    "80000000" ]

              parametersOf (List.exactlyOne (standIn.CallsOf "cuLaunchKernel")) = expected
          testCase "a tensor elsewhere is refused"
          <| fun () ->
              use standIn = new StandIn([])

              let device =
                  DrivenDevice(standIn.Driver(), standIn.Compiler(), 0, sourcesOf sources, null, false)

              use here = torch.zeros 4L

              errorOf (fun () ->
                  launch device (kernel "scale") grid [ CudaArgument.Read null; CudaArgument.Read here ])
              |> says
                  [ "scale (ELEMENT=half WINDOW=3)"
                    "Stand-in 900 (device 0)"
                    "parameter 1 is on cpu" ]

              Expect.isEmpty (standIn.CallsOf "cuLaunchKernel") "launches"
          for extent, complaint in
              [ CudaGrid(0L, 1, 1, 64, 0), "0×1×1 blocks"
                CudaGrid(1L <<< 31, 1, 1, 64, 0), "2147483648×1×1 blocks"
                CudaGrid(1L, 65536, 1, 64, 0), "1×65536×1 blocks"
                CudaGrid(1L, 1, 0, 64, 0), "1×1×0 blocks"
                CudaGrid(1L, 1, 1, 48, 0), "48 threads"
                CudaGrid(1L, 1, 1, 0, 0), "0 threads"
                CudaGrid(1L, 1, 1, 1056, 0), "1056 threads"
                CudaGrid(1L, 1, 1, 64, -1), "-1 bytes of shared memory"
                CudaGrid(1L, 1, 1, 64, 232449), "232449 bytes of shared memory; a block has up to 232448" ] do
              testCase $"{complaint} never reach the driver"
              <| fun () ->
                  use standIn = new StandIn([])

                  errorOf (fun () -> launch (standIn.Device()) (kernel "scale") extent [])
                  |> says [ complaint; "scale"; "Stand-in 900" ]

                  Expect.isEmpty (standIn.CallsOf "cuLaunchKernel") "launches" ]

let private around =
    testList
        "around a launch"
        [ testCase "shared memory above 48 KiB is asked for, once for each larger size"
          <| fun () ->
              use standIn = new StandIn([])
              let device = standIn.Device()

              for bytes in [ 0; 49152; 50000; 49153; 60000; 60000 ] do
                  launch device (kernel "scale") (CudaGrid(1L, 1, 1, 32, bytes)) []

              launch device (kernel "other") (CudaGrid(1L, 1, 1, 32, 50000)) []

              Expect.equal
                  (standIn.CallsOf "cuFuncSetAttribute")
                  [ "scale 8 50000"; "scale 8 60000"; "other 8 50000" ]
                  "attributes"
          testCase "a file is loaded once for each of its constants, however many kernels it has"
          <| fun () ->
              use standIn = new StandIn([])
              let device = standIn.Device()

              for name, constants in [ "scale", "A=1"; "other", "A=1"; "scale", "A=1"; "scale", "A=2" ] do
                  launch device (CudaKernel("Example.cu", name, constants)) grid []

              Expect.hasLength (standIn.CallsOf "cuModuleLoadDataEx") 2 "modules"
              Expect.equal (standIn.CallsOf "cuModuleGetFunction") [ "scale"; "other"; "scale" ] "functions"
              Expect.hasLength (standIn.CallsOf "cuLaunchKernel") 4 "launches"
          testCase "a thread's own context is there again afterwards, and after an error"
          <| fun () ->
              use standIn = new StandIn([])
              let driver = standIn.Driver()
              let device = standIn.Device()
              let other = driver.RetainContext(3, "another")
              driver.MakeCurrent(other, "another")
              launch device (kernel "scale") grid []
              Expect.equal (driver.CurrentContext "it") other "context"
              standIn.Order [ "fail cuLaunchKernel 701" ]
              errorOf (fun () -> launch device (kernel "scale") grid []) |> ignore
              Expect.equal (driver.CurrentContext "it") other "context after an error"
              driver.MakeCurrent(0n, "none")
          testCase "threads without a context launch on the device, and compile a kernel once"
          <| fun () ->
              use standIn = new StandIn([])
              let device = standIn.Device()
              let mutable failures = 0

              let work () =
                  try
                      for _ in 1..5 do
                          launch device (kernel "scale") grid []
                  with _ ->
                      Interlocked.Increment &failures |> ignore

              let threads = [ for _ in 1..4 -> Thread work ]

              for thread in threads do
                  thread.Start()

              for thread in threads do
                  thread.Join()

              Expect.equal failures 0 "failures"
              let launches = standIn.CallsOf "cuLaunchKernel"
              Expect.hasLength launches 20 "launches"
              Expect.all launches (fun line -> line.Contains "device=0") "on the device"
              Expect.hasLength (standIn.CallsOf "nvrtcCompileProgram") 1 "compilations"
          testCase "limits are the device's own"
          <| fun () ->
              use standIn = new StandIn([ "name Another 100"; "capability 86"; "shared 101376" ])
              Expect.equal (standIn.Device().Limits) (CudaLimits("Another 100", 86, 132, 101376)) "limits"
          testCase "a device that grants no more shared memory has the usual amount"
          <| fun () ->
              use standIn = new StandIn([ "shared 0" ])
              Expect.equal (standIn.Device().Limits.SharedMemory) 49152 "shared memory" ]

/// The tests of this file.
let tests = testList "launching" [ parameters; around ]
